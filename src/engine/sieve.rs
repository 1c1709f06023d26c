//! Finds the units without differences among many, on several processors.
//!
//! After a start or a reconnection everything is dirty, and nearly all of it is as it shall be. To
//! compare a unit only reads, so many can be compared at the same time. What differs stays dirty:
//! which transaction writes it is decided one unit at a time ([`batch`](super::batch)).

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::northbound::{Northbound, UnitId};

use super::state::State;
use super::unit_changes::unit_changes;

/// The dirty units without differences.
pub(super) fn clean(state: &State, northbound: &Northbound) -> BTreeSet<UnitId> {
    let units: Vec<UnitId> = state.dirty.units().collect();
    let is_clean = |unit: &UnitId| !unit_changes(*unit, state, northbound).differs(northbound);
    let clean: Vec<UnitId> = units.into_par_iter().filter(is_clean).collect();
    clean.into_iter().collect()
}
