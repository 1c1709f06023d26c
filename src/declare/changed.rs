//! Which declarations in effect a change concerns.

use std::collections::BTreeSet;

use super::model::{HalfKey, NetworkKey, RejectionKey};

/// The keys whose declaration in effect was added, altered, removed or moved to another file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Networks.
    pub networks: BTreeSet<NetworkKey>,
    /// Halves.
    pub halves: BTreeSet<HalfKey>,
    /// Rejections.
    pub rejections: BTreeSet<RejectionKey>,
}

impl Changed {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && self.halves.is_empty() && self.rejections.is_empty()
    }

    /// Adds what another one says.
    pub fn extend(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.halves.extend(other.halves);
        self.rejections.extend(other.rejections);
    }
}
