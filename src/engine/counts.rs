//! How many halves stand where.

use std::collections::BTreeMap;

use crate::peering::{Reason, State};

/// A state and its reason.
pub(super) type Standing = (State, Option<Reason>);

/// The number of halves of each standing that some half has.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(BTreeMap<Standing, usize>);

impl Counts {
    /// A half went from one standing to another.
    pub(super) fn adjust(&mut self, before: Option<Standing>, after: Option<Standing>) {
        if let Some(before) = before
            && let Some(count) = self.0.get_mut(&before)
        {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&before);
            }
        }
        if let Some(after) = after {
            *self.0.entry(after).or_default() += 1;
        }
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (Standing, usize)> {
        self.0.iter().map(|(standing, count)| (*standing, *count))
    }
}
