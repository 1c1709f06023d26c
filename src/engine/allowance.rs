//! How much each project may store: so many bytes at once, and so many a second in the long run.
//!
//! The northbound keeps a log of all that is written, and every host reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a project may store at once, in bytes: a change begins while any of it is left.
const AT_ONCE: u64 = 1 << 20;
/// What it gets back, in bytes a second.
const EACH_SECOND: u64 = 64 << 10;

/// What projects have used, as the moment at which all of it is there again.
#[derive(Debug, Default)]
pub(super) struct Allowances(BTreeMap<Arc<str>, Duration>);

impl Allowances {
    /// How long a project has to wait until it may store something; none if it may now.
    pub(super) fn wait(&self, project: &str, now: Duration) -> Option<Duration> {
        let full = self.0.get(project)?;
        let begins = full.checked_sub(Duration::from_secs(AT_ONCE / EACH_SECOND))?;
        begins.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    /// A project stores so many bytes.
    pub(super) fn take(&mut self, project: &Arc<str>, bytes: usize, now: Duration) {
        self.0.retain(|_, full| *full > now);
        let full = self.0.entry(Arc::clone(project)).or_insert(now);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        *full += Duration::from_micros(bytes.saturating_mul(1_000_000) / EACH_SECOND);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_stores_some_at_once_and_then_as_fast_as_it_gets_it_back() {
        let (mut allowances, project) = (Allowances::default(), Arc::from("blue"));
        let mut now = Duration::from_secs(7);
        let (mut bytes, begin) = (0, now);
        for _ in 0..10_000 {
            if let Some(wait) = allowances.wait(&project, now) {
                assert!(allowances.wait("green", now).is_none());
                now += wait;
            }
            assert_eq!(allowances.wait(&project, now), None);
            allowances.take(&project, 7 << 10, now);
            bytes += 7 << 10;
        }
        let seconds = (now - begin).as_secs();
        assert!(bytes <= AT_ONCE + (7 << 10) + (seconds + 1) * EACH_SECOND, "{bytes}, {seconds} s");
        assert!(bytes >= seconds * EACH_SECOND);
        // What is more than all of it is paid back.
        let mut allowances = Allowances::default();
        allowances.take(&project, 8 << 20, now);
        assert_eq!(allowances.wait(&project, now), Some(Duration::from_secs(112)));
        assert_eq!(allowances.wait(&project, now + Duration::from_secs(112)), None);
    }
}
