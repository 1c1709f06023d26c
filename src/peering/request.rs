//! How long a request may wait for its answer.
//!
//! A pure function of the declaration, the record and the time.

use jiff::{SignedDuration, Timestamp};

/// The most by which the clocks of two hosts may differ.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The record of a half as a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Since when it is pending, if that was its last state.
    pub(super) pending: Option<Timestamp>,
    /// When it expired, unless it was renewed since.
    pub(super) expired: Option<Timestamp>,
}

impl Waiting {
    /// Whether it expired only because a clock was ahead.
    fn was_ahead(&self, now: Timestamp) -> bool {
        self.expired.is_some_and(|at| at.duration_since(now) > SKEW)
    }

    /// Since when it is pending, if it expired only because a clock was ahead.
    #[must_use]
    pub(super) fn asked_before(
        &self,
        expiry: Option<SignedDuration>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let at = self.expired.filter(|_| self.was_ahead(now))?;
        at.checked_sub(expiry?).ok()
    }
}

/// A half as a request, at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// It can be answered: until this time if it stays pending, or without an end.
    Open {
        /// When it expires.
        until: Option<Timestamp>,
    },
    /// It waited too long: no answer counts until it is renewed.
    Expired {
        /// When it expired.
        at: Timestamp,
        /// When a renewal with a future date begins to count.
        renewed: Option<Timestamp>,
    },
}

impl Request {
    /// Checks a half. Time comes before answers: a request whose time is over is expired, even if
    /// the answer comes at the same moment. `requested` counts once it is not in the future;
    /// `expiry` is the policy's. An expiry in the future does not count, because a clock was ahead.
    #[must_use]
    pub(super) fn judge(
        requested: Option<Timestamp>,
        waiting: Waiting,
        expiry: Option<SignedDuration>,
        now: Timestamp,
    ) -> Self {
        if let Some(at) = waiting.expired {
            match requested.filter(|requested| *requested > at) {
                Some(renewed) if renewed <= now => {}
                _ if waiting.was_ahead(now) => {
                    return Self::Open { until: expiry.is_some().then_some(at) };
                }
                renewed => return Self::Expired { at, renewed },
            }
        }
        let Some(expiry) = expiry else { return Self::Open { until: None } };
        // A request without a record of being pending is pending from now on; so is one that was
        // just renewed.
        let pending = waiting.pending.filter(|_| waiting.expired.is_none());
        let renewed = requested.filter(|requested| *requested <= now);
        let since = pending.map_or(now, |pending| renewed.map_or(pending, |at| at.max(pending)));
        let until = since.saturating_add(expiry).unwrap_or(Timestamp::MAX);
        if until <= now {
            Self::Expired { at: until, renewed: None }
        } else {
            Self::Open { until: Some(until) }
        }
    }

    /// Whether an answer counts.
    #[must_use]
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Open { .. } => true,
            Self::Expired { .. } => false,
        }
    }

    /// When it expired, if it has.
    #[must_use]
    pub(super) fn expired(&self) -> Option<Timestamp> {
        match self {
            Self::Open { .. } => None,
            Self::Expired { at, .. } => Some(*at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRY: Option<SignedDuration> = Some(SignedDuration::from_secs(100));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a moment")
    }

    fn open(until: i64) -> Request {
        Request::Open { until: Some(at(until)) }
    }

    fn expired(when: i64, renewed: Option<i64>) -> Request {
        Request::Expired { at: at(when), renewed: renewed.map(at) }
    }

    #[test]
    fn a_request_by_the_clock() {
        // (pending since, expired at, requested, now) -> what it is.
        let cases = [
            ("new", None, None, None, 5, open(105)),
            ("new, asked for long ago", None, None, Some(-900), 5, open(105)),
            ("pending", Some(0), None, None, 99, open(100)),
            ("its time is over", Some(0), None, None, 100, expired(100, None)),
            ("seen late", Some(0), None, None, 900, expired(100, None)),
            ("asked again in time", Some(0), None, Some(60), 100, open(160)),
            ("asked before it was seen", Some(0), None, Some(-60), 99, open(100)),
            ("a renewal of the future", Some(0), None, Some(120), 99, open(100)),
            ("not in time", Some(0), None, Some(120), 110, expired(100, None)),
            ("sticky", None, Some(100), None, 9000, expired(100, None)),
            (
                "sticky although another host's clock is behind",
                None,
                Some(100),
                None,
                40,
                expired(100, None),
            ),
            ("the clock was ahead", None, Some(100), None, 39, open(100)),
            ("the clock was ahead, and it is renewed", None, Some(100), Some(20), 39, open(100)),
            ("the clock was far ahead", None, Some(9000), None, 50, open(9000)),
            ("an old renewal", None, Some(100), Some(99), 200, expired(100, None)),
            ("a renewal yet to come", None, Some(100), Some(150), 120, expired(100, Some(150))),
            ("renewed", None, Some(100), Some(150), 150, open(250)),
            ("renewed, seen later", None, Some(100), Some(150), 400, open(500)),
        ];
        for (what, pending, past, requested, now, is) in cases {
            let waiting = Waiting { pending: pending.map(at), expired: past.map(at) };
            let judged = Request::judge(requested.map(at), waiting, EXPIRY, at(now));
            assert_eq!(judged, is, "{what}");
        }
    }

    #[test]
    fn without_an_expiry_only_what_expired_before_stays_so() {
        let pending = Waiting { pending: Some(at(0)), expired: None };
        let never = Request::Open { until: None };
        assert_eq!(Request::judge(None, pending, None, at(1_000_000)), never);
        let past = Waiting { pending: None, expired: Some(at(0)) };
        assert_eq!(Request::judge(None, past, None, at(9)), expired(0, None));
        assert_eq!(Request::judge(Some(at(5)), past, None, at(9)), never);
    }

    #[test]
    fn it_changes_at_the_moment_that_is_named_and_not_before() {
        for (pending, past, requested) in
            [(Some(0), None, None), (Some(0), None, Some(40)), (None, Some(50), Some(70))]
        {
            let waiting = Waiting { pending: pending.map(at), expired: past.map(at) };
            let judge = |now| Request::judge(requested.map(at), waiting, EXPIRY, at(now));
            let mut last = judge(41).is_open();
            let mut due = None;
            for now in 41..300 {
                let judged = judge(now);
                if judged.is_open() != last {
                    assert_eq!(due, Some(at(now)), "{waiting:?}");
                    last = judged.is_open();
                }
                due = match judged {
                    Request::Open { until } => until,
                    Request::Expired { renewed, .. } => renewed,
                };
                if waiting.expired.is_some() && judged.is_open() {
                    break; // From here on another state is remembered.
                }
            }
        }
    }
}
