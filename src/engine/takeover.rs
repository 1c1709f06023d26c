//! When a standby takes the lock from a holder that is silent.
//!
//! A holder that dies loses the lock with its connection. One that is stopped, or cut off, keeps it
//! until the server finds out, which may take minutes. A standby sees it sooner: what it found to
//! differ is not mended. While there is nothing to mend, a silent holder does no harm and is left
//! alone. What the lock's loser still had under way fails, as every write asserts the lock.

use std::time::Duration;

use super::Deadline;

/// How long something may stay to be mended while the northbound stands still.
const PATIENCE: Duration = Duration::from_millis(1000);
/// Standbys differ in patience by less than this, so that not all of them take the lock at once.
const SPREAD_MS: u64 = 500;
/// Patience doubles each time that a new holder changed nothing: something else is wrong then.
const MOST_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Takeover {
    first_patience: Duration,
    patience: Duration,
    /// Since when nothing of what is to be mended has been.
    since: Option<Duration>,
}

impl Takeover {
    pub(super) fn new(host: &str) -> Self {
        let sum = |sum: u64, byte: u8| sum.wrapping_mul(31).wrapping_add(byte.into());
        let spread = host.bytes().fold(7, sum) % SPREAD_MS;
        let first_patience = PATIENCE + Duration::from_millis(spread);
        Self { first_patience, patience: first_patience, since: None }
    }

    /// Whether there is something to be mended by whoever holds the lock.
    pub(super) fn watch(&mut self, waiting: bool, now: Duration) {
        if waiting {
            self.since.get_or_insert(now);
        } else {
            self.rest();
            self.patience = self.first_patience;
        }
    }

    /// The holder is at work.
    pub(super) fn progress(&mut self, now: Duration) {
        if let Some(since) = &mut self.since {
            *since = now;
        }
    }

    /// Nobody can tell at present, or there is nothing to tell.
    pub(super) fn rest(&mut self) {
        self.since = None;
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let at = self.since? + self.patience;
        Some(Deadline { at, why: "the holder of the lock is silent" })
    }

    /// Whether to take the lock now.
    pub(super) fn is_due(&mut self, now: Duration) -> bool {
        let due = self.deadline().is_some_and(|deadline| deadline.at <= now);
        if due {
            self.since = Some(now);
            self.patience = (self.patience * 2).min(MOST_PATIENCE);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_silent_holder_is_replaced_and_a_busy_one_is_not() {
        let mut takeover = Takeover::new("hv1");
        let patience = takeover.patience;
        assert!(patience >= PATIENCE && patience < PATIENCE + ms(SPREAD_MS));
        takeover.watch(true, ms(0));
        takeover.watch(true, ms(900));
        assert!(!takeover.is_due(ms(900)));
        takeover.progress(ms(900));
        assert!(!takeover.is_due(patience));
        assert!(takeover.is_due(patience + ms(900)));
        assert!(!takeover.is_due(patience + ms(901)));
        let next = takeover.deadline().expect("it still waits").at;
        assert_eq!(next, patience + ms(900) + 2 * patience);
    }

    #[test]
    fn where_nothing_waits_nobody_hurries() {
        let mut takeover = Takeover::new("hv1");
        takeover.watch(false, ms(0));
        takeover.progress(ms(1));
        assert_eq!(takeover.deadline(), None);
        assert!(!takeover.is_due(ms(1_000_000)));
    }
}
