//! The identity of a peering: an unordered pair of networks.

use std::fmt;

use super::NetworkKey;

/// Two different networks, in order; there is at most one peering between them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeeringKey {
    a: NetworkKey,
    b: NetworkKey,
}

impl PeeringKey {
    /// The pair, independent of the order of the arguments; `None` for a network with itself.
    #[must_use]
    pub fn new(one: NetworkKey, other: NetworkKey) -> Option<Self> {
        match one.cmp(&other) {
            std::cmp::Ordering::Less => Some(Self { a: one, b: other }),
            std::cmp::Ordering::Greater => Some(Self { a: other, b: one }),
            std::cmp::Ordering::Equal => None,
        }
    }

    /// The network that sorts first.
    #[must_use]
    pub fn a(&self) -> &NetworkKey {
        &self.a
    }

    /// The other network.
    #[must_use]
    pub fn b(&self) -> &NetworkKey {
        &self.b
    }
}

impl fmt::Display for PeeringKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} - {}", self.a, self.b)
    }
}
