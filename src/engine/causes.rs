//! What degrades a half, for those who may read different words of it.

use std::collections::BTreeSet;

use super::change::Reader;

/// What degrades a half, in the words for operators and in those for its owner.
#[derive(Debug, Default)]
pub(super) struct Causes {
    pub(super) operators: BTreeSet<String>,
    pub(super) owner: BTreeSet<String>,
}

impl Causes {
    /// Those that are not among others, and who reads each.
    pub(super) fn beyond(&self, other: &Self) -> Vec<(String, Reader)> {
        let operators: BTreeSet<_> = self.operators.difference(&other.operators).collect();
        let owner: BTreeSet<_> = self.owner.difference(&other.owner).collect();
        let reader = |cause| match (operators.contains(cause), owner.contains(cause)) {
            (true, true) => Reader::Both,
            (true, false) => Reader::Operators,
            (false, _) => Reader::Owner,
        };
        operators.union(&owner).map(|cause| ((*cause).clone(), reader(*cause))).collect()
    }
}
