//! The moments at which time alone changes the decision on pairs, in order, so that nothing is
//! scanned.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::declare::PeeringKey;

/// When each pair must be decided again without any change.
#[derive(Debug, Default)]
pub(super) struct DueTimes(BTreeSet<(Timestamp, PeeringKey)>);

impl DueTimes {
    pub(super) fn insert(&mut self, at: Option<Timestamp>, pair: &PeeringKey) {
        self.0.extend(at.map(|at| (at, pair.clone())));
    }

    pub(super) fn remove(&mut self, at: Option<Timestamp>, pair: &PeeringKey) {
        if let Some(at) = at {
            self.0.remove(&(at, pair.clone()));
        }
    }

    /// Removes and returns a pair whose time has come, or any pair if the clock went back.
    pub(super) fn take(&mut self, now: Timestamp, went_back: bool) -> Option<PeeringKey> {
        let (at, _) = self.0.first()?;
        if *at > now && !went_back {
            return None;
        }
        self.0.pop_first().map(|(_, pair)| pair)
    }

    /// The next moment; `None` if only a clock that goes back could bring one.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.0.first().map(|(at, _)| *at).filter(|at| *at != Timestamp::MAX)
    }
}
