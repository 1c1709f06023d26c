//! How often each token may ask: a bucket that fills with time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::declare::RateSettings;

/// The buckets of the tokens: for each, when it would be full again.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<BTreeMap<Arc<str>, Instant>>);

impl Rates {
    /// Counts a request of a token.
    ///
    /// # Errors
    /// The bucket is empty, for this time.
    pub(super) fn take(
        &self,
        token: &Arc<str>,
        rate: RateSettings,
        now: Instant,
    ) -> Result<(), Duration> {
        let one = Duration::from_secs(1) / rate.per_second.max(1);
        let room = one * rate.burst.max(1).saturating_sub(1);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Full buckets need no place: so nobody is remembered whose token is gone.
        buckets.retain(|name, full| *full > now || name == token);
        let full = buckets.get(token).copied().unwrap_or(now).max(now);
        let missing = full.duration_since(now);
        if missing > room {
            return Err(missing - room);
        }
        buckets.insert(Arc::clone(token), full + one);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_then_so_many_each_second_of_each_token() {
        let rates = Rates::default();
        let rate = RateSettings { per_second: 10, burst: 5 };
        let start = Instant::now();
        let (ci, other): (Arc<str>, Arc<str>) = ("ci".into(), "other".into());
        let taken = |token: &Arc<str>, at: Duration| {
            (0..100).take_while(|_| rates.take(token, rate, start + at).is_ok()).count()
        };
        assert_eq!(taken(&ci, Duration::ZERO), 5);
        assert_eq!(rates.take(&ci, rate, start), Err(Duration::from_millis(100)));
        assert_eq!(taken(&other, Duration::ZERO), 5);
        assert_eq!(taken(&ci, Duration::from_millis(300)), 3);
        assert_eq!(taken(&ci, Duration::from_secs(60)), 5, "no more than a burst");
        assert_eq!(rates.0.lock().unwrap().len(), 1, "nobody is remembered for ever");
    }
}
