//! Which pairs have to do with what one network lends another one: load balancers and names.

use std::collections::BTreeSet;

use crate::declare::PeeringKey;
use crate::northbound::{Northbound, Touched};

use super::balancing_index::BalancingIndex;
use super::naming_index::NamingIndex;
use super::network::Networks;
use super::outcome::Link;

/// Both indexes.
#[derive(Debug, Default)]
pub(super) struct LentIndex {
    pub(super) balancing: BalancingIndex,
    pub(super) naming: NamingIndex,
}

impl LentIndex {
    /// Notes the link of a pair. Returns the other pairs that may use what this one gained or lost;
    /// with `moved`, or has.
    pub(super) fn set(
        &mut self,
        key: &PeeringKey,
        link: Option<&Link>,
        moved: bool,
    ) -> BTreeSet<PeeringKey> {
        let mut rivals = self.balancing.set(key, link, moved);
        rivals.extend(self.naming.set(key, link, moved));
        rivals
    }

    /// The pairs that a change of the northbound concerns because of either.
    pub(super) fn concerned(
        &self,
        touched: &Touched,
        networks: &Networks,
        northbound: &Northbound,
    ) -> BTreeSet<PeeringKey> {
        if self.balancing.is_empty() && self.naming.is_empty() {
            return BTreeSet::new();
        }
        let routers = touched.routers.iter();
        let moved = routers.flat_map(|router| networks.sharing(*router, northbound));
        let moved: Vec<_> = moved.collect();
        let mut found = self.balancing.concerned(&touched.balancers, &moved);
        found.extend(self.naming.concerned(&touched.named, &moved));
        found
    }
}
