//! How long something that happens again and again has to wait: a few times not at all, then with
//! pauses that double.
//!
//! A token bucket alone would allow as much in the tenth minute as in the first. Here each further
//! time costs a longer pause. A calm period resets the count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The first pause; each further one is twice as long, up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
pub(super) const LONGEST: Duration = Duration::from_secs(45);
/// The count is reset where nothing happens for this long.
pub(super) const CALM: Duration = Duration::from_secs(90);

/// How often each thing happened.
#[derive(Debug)]
pub(super) struct Pauses<K> {
    /// How often it may happen before the first pause.
    at_once: u32,
    counts: BTreeMap<K, Count>,
    /// All of `counts`, by the time of the last event.
    order: BTreeSet<(Duration, K)>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    times: u32,
    last: Duration,
}

impl<K: Ord + Clone> Pauses<K> {
    pub(super) fn new(at_once: u32) -> Self {
        Self { at_once, counts: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// It happened. `again` says whether it counts.
    pub(super) fn note(&mut self, key: &K, again: bool, now: Duration) {
        let count = self.counts.entry(key.clone()).or_insert(Count { times: 0, last: now });
        let before = count.last;
        count.times = count.times.saturating_add(u32::from(again));
        count.last = now;
        self.order.remove(&(before, key.clone()));
        self.order.insert((now, key.clone()));
    }

    /// When it may happen again; none if it does not have to wait.
    pub(super) fn until(&self, key: &K) -> Option<Duration> {
        let count = self.counts.get(key)?;
        let over = count.times.checked_sub(self.at_once + 1)?;
        let pause = FIRST.saturating_mul(1_u32.checked_shl(over).unwrap_or(u32::MAX));
        Some(count.last + pause.min(LONGEST))
    }

    /// Whether it has to wait now.
    pub(super) fn waits(&self, key: &K, now: Duration) -> bool {
        self.until(key).is_some_and(|until| until > now)
    }

    /// When its count is reset, unless it happens again before.
    pub(super) fn forgotten_at(&self, key: &K) -> Option<Duration> {
        self.counts.get(key).map(|count| count.last + CALM)
    }

    /// Time has passed. Removes the counts of everything that has been calm, and returns it.
    pub(super) fn pass(&mut self, now: Duration) -> Vec<K> {
        let mut forgotten = Vec::new();
        while self.order.first().is_some_and(|(last, _)| *last + CALM <= now) {
            let Some((_, key)) = self.order.pop_first() else { break };
            self.counts.remove(&key);
            forgotten.push(key);
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AT_ONCE: u32 = 3;

    const fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// The moments at which it happens if somebody tries every millisecond.
    fn tried_always(end: u64) -> Vec<u64> {
        let mut pauses = Pauses::new(AT_ONCE);
        let mut happened = Vec::new();
        for now in 0..end {
            pauses.pass(ms(now));
            if !pauses.waits(&(), ms(now)) {
                pauses.note(&(), true, ms(now));
                happened.push(now);
            }
        }
        happened
    }

    #[test]
    fn a_few_at_once_and_ever_fewer_after_that() {
        let happened = tried_always(600_000);
        let within =
            |from: u64, to: u64| happened.iter().filter(|at| (from..to).contains(*at)).count();
        assert_eq!(&happened[..8], [0, 1, 2, 3, 1003, 3003, 7003, 15_003]);
        assert!(within(0, 1_000) <= 8, "{}", within(0, 1_000));
        for second in 1..540 {
            let minute = within(second * 1_000, (second + 60) * 1_000);
            assert!(minute <= 6, "{minute} in the minute after second {second}");
        }
    }

    #[test]
    fn a_calm_while_forgets_all() {
        let mut pauses = Pauses::new(0);
        for _ in 0..40 {
            pauses.note(&"x", true, ms(0));
        }
        assert_eq!(pauses.until(&"x"), Some(LONGEST));
        assert_eq!(pauses.forgotten_at(&"x"), Some(CALM));
        assert!(pauses.pass(CALM - ms(1)).is_empty());
        assert_eq!((pauses.pass(CALM), pauses.until(&"x")), (vec!["x"], None));
        assert!(pauses.counts.is_empty() && pauses.order.is_empty());
    }

    /// The same, computed from the whole history.
    fn until(history: &[(u8, bool, u64)], key: u8, now: u64) -> Option<u64> {
        let calm = u64::try_from(CALM.as_millis()).expect("a while");
        let of_key: Vec<_> = history.iter().filter(|(of, ..)| *of == key).collect();
        let mut times = 0;
        let mut last = None;
        for (_, again, at) in of_key {
            if last.is_some_and(|last| last + calm <= *at) {
                times = 0;
            }
            times += u32::from(*again);
            last = Some(*at);
        }
        let last = last.filter(|last| last + calm > now)?;
        (times > AT_ONCE).then(|| last + (1000 << (times - AT_ONCE - 1).min(20)).min(45_000))
    }

    proptest! {
        #[test]
        fn it_waits_as_a_look_at_all_that_has_happened_says(
            steps in proptest::collection::vec((0u8..3, any::<bool>(), 0u64..20_000), 0..200),
        ) {
            let (mut pauses, mut history, mut now) = (Pauses::new(AT_ONCE), Vec::new(), 0);
            for (key, again, wait) in steps {
                // Short waits mostly, long ones sometimes.
                now += if wait < 15_000 { wait / 50 } else { (wait - 15_000) * 20 };
                pauses.pass(ms(now));
                for key in 0..3 {
                    prop_assert_eq!(pauses.until(&key), until(&history, key, now).map(ms));
                }
                if !pauses.waits(&key, ms(now)) {
                    pauses.note(&key, again, ms(now));
                    history.push((key, again, now));
                }
            }
        }
    }
}
