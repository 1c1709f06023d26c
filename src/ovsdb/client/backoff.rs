//! How long to wait before the next attempt to connect.
//!
//! Owns the rule. May not touch the clock or randomness: both are parameters. The rule: after a
//! healthy session the first attempt follows at once; then each round through all remotes waits
//! twice as long as the one before, from 1 to 8 s; within a round the next remote follows at once
//! (as OVS's "backoff-free tries" do).

use std::time::Duration;

/// Longest wait for an attempt that follows "at once": it spreads the many clients of one server.
const AT_ONCE: Duration = Duration::from_millis(100);
/// Wait after the first failed round.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest wait, without the random part.
const LONGEST: Duration = Duration::from_secs(8);
/// A session of at least this length was healthy, if it lasted as long as its opening took.
const HEALTHY: Duration = Duration::from_millis(200);

/// Counts attempts since the last healthy session.
#[derive(Debug)]
pub(super) struct Backoff {
    remotes: u32,
    attempts: u32,
}

impl Backoff {
    /// For this number of remotes.
    pub(super) fn new(remotes: usize) -> Self {
        Self { remotes: u32::try_from(remotes).unwrap_or(u32::MAX).max(1), attempts: 0 }
    }

    /// Notes the end of a session that took `opening` to begin, first dump included, and then
    /// lasted `stood`; returns whether it was healthy. A session that ends right after its
    /// beginning is not healthy: if the client retried at once, the server would do nothing but
    /// compose dumps.
    pub(super) fn session_ended(&mut self, opening: Duration, stood: Duration) -> bool {
        let healthy = stood >= HEALTHY.max(opening);
        if healthy {
            self.attempts = 0;
        }
        healthy
    }

    fn begins_round(&self) -> bool {
        self.attempts.is_multiple_of(self.remotes)
    }

    /// The wait before the next attempt; `chance` is uniform over all of `u64`. It adds at most a
    /// quarter to the 1 to 8 s, so that clients that lost one server do not return in step.
    pub(super) fn next(&mut self, chance: u64) -> Duration {
        let round = self.attempts / self.remotes;
        let at_once = round == 0 || !self.begins_round();
        self.attempts = self.attempts.saturating_add(1);
        let share = u32::try_from(chance % 1000).unwrap_or(0);
        if at_once {
            return AT_ONCE / 2 + AT_ONCE / 2 * share / 1000;
        }
        let wait = SHORTEST.saturating_mul(1 << (round - 1).min(16)).min(LONGEST);
        wait + wait / 4 * share / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(backoff: &mut Backoff, chance: u64) -> u128 {
        backoff.next(chance).as_millis()
    }

    #[test]
    fn one_remote() {
        let mut backoff = Backoff::new(1);
        let waits: Vec<_> = (0..7).map(|_| millis(&mut backoff, 0)).collect();
        assert_eq!(waits, [50, 1000, 2000, 4000, 8000, 8000, 8000]);
        for (opening, stood) in [(0, 199), (5000, 4999)] {
            backoff.session_ended(Duration::from_millis(opening), Duration::from_millis(stood));
            assert_eq!(millis(&mut backoff, 999), 9998);
        }
        backoff.session_ended(Duration::from_secs(5), Duration::from_secs(5));
        assert_eq!(millis(&mut backoff, 999), 99);
    }

    #[test]
    fn three_remotes_are_all_tried_before_the_wait_grows() {
        let mut backoff = Backoff::new(3);
        let waits: Vec<_> = (0..9).map(|_| millis(&mut backoff, 0)).collect();
        assert_eq!(waits, [50, 50, 50, 1000, 50, 50, 2000, 50, 50]);
        assert!(backoff.begins_round());
    }

    #[test]
    fn it_never_overflows() {
        let mut backoff = Backoff { remotes: 1, attempts: u32::MAX };
        assert!(backoff.next(u64::MAX) < Duration::from_secs(11));
        assert!(Backoff::new(0).next(0) < Duration::from_secs(1));
    }
}
