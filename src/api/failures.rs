//! Logins that fail, counted by address.
//!
//! A secret has 256 bits: nobody guesses one. The count keeps the log and the processor from those
//! who try all the same. Who has a right secret is admitted whatever its neighbours do, so that
//! nobody locks out those behind the same address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::MOST_FAILURES;

const WINDOW: Duration = Duration::from_secs(60);
/// How often those of earlier windows are removed, at the most.
const TIDY_PAUSE: Duration = Duration::from_secs(1);
/// Addresses that are remembered; further ones share a count.
const MOST_ADDRESSES: usize = 4096;

/// What became of a login that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// It is told so; it is this one of its window.
    Told(u32),
    /// It is only told to wait for so many seconds.
    Wait(u64),
}

/// Failures of the last while.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    by_address: BTreeMap<Option<IpAddr>, (Instant, u32)>,
    /// When those of earlier windows were last removed.
    tidied: Option<Instant>,
}

impl Failures {
    /// Counts one.
    pub(super) fn add(&self, site: IpAddr, now: Instant) -> Failed {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { by_address: counts, tidied } = &mut *counts;
        // Whoever fails from ever other addresses must not make each failure a look at all of them.
        let is_due = tidied.is_none_or(|at| now.duration_since(at) >= TIDY_PAUSE);
        if counts.len() >= MOST_ADDRESSES && is_due {
            counts.retain(|_, (since, _)| now.duration_since(*since) < WINDOW);
            *tidied = Some(now);
        }
        let is_known = counts.contains_key(&Some(site)) || counts.len() < MOST_ADDRESSES;
        let (since, count) = counts.entry(is_known.then_some(site)).or_insert((now, 0));
        if now.duration_since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        if *count < MOST_FAILURES {
            *count += 1;
            return Failed::Told(*count);
        }
        let left = WINDOW.saturating_sub(now.duration_since(*since));
        Failed::Wait(left.as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_address_has_a_few_in_a_minute_and_few_addresses_are_remembered() {
        let failures = Failures::default();
        let start = Instant::now();
        let site = |number: u32| IpAddr::V4(Ipv4Addr::from(number));
        for count in 1..=MOST_FAILURES {
            assert_eq!(failures.add(site(1), start), Failed::Told(count));
        }
        assert_eq!(failures.add(site(1), start), Failed::Wait(61));
        assert_eq!(failures.add(site(2), start), Failed::Told(1), "another address");
        assert_eq!(failures.add(site(1), start + WINDOW), Failed::Told(1), "another minute");
        for number in 0..100_000 {
            failures.add(site(number), start + WINDOW);
        }
        assert!(failures.0.lock().unwrap().by_address.len() <= MOST_ADDRESSES + 1);
        assert!(matches!(failures.add(site(99_999), start + WINDOW), Failed::Wait(_)));
    }
}
