//! Prefixes: overlap, and an index that finds who overlaps without looking at everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::northbound::Family;

/// Whether two prefixes share an address.
#[must_use]
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// A prefix as a sort key: addresses left-aligned, so that what a prefix contains follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    family: Family,
    network: u128,
    length: u8,
}

const ADDRESS_BITS: u8 = 128;
const IP4_SHIFT: u32 = 96;

impl Slot {
    fn of(prefix: &IpNet) -> Self {
        let network = match prefix.network() {
            IpAddr::V4(address) => u128::from(address.to_bits()) << IP4_SHIFT,
            IpAddr::V6(address) => address.to_bits(),
        };
        Self { family: Family::of(prefix), network, length: prefix.prefix_len() }
    }

    /// The prefix of this length that contains this one.
    fn ancestor(self, length: u8) -> Self {
        let kept = u32::from(ADDRESS_BITS - length.min(ADDRESS_BITS));
        let mask = u128::MAX.checked_shl(kept).unwrap_or(0);
        Self { network: self.network & mask, length, ..self }
    }

    /// The last slot that this prefix contains.
    fn last(self) -> Self {
        let host = u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
        Self { network: self.network | host, length: ADDRESS_BITS, ..self }
    }
}

/// Which members stand behind which prefixes.
///
/// Finding the overlaps of a prefix costs a look-up per prefix length in use, and one step per
/// prefix found.
#[derive(Clone, Debug)]
pub struct PrefixIndex<T> {
    members: BTreeMap<Slot, BTreeSet<T>>,
    lengths: BTreeMap<(Family, u8), usize>,
}

impl<T> Default for PrefixIndex<T> {
    fn default() -> Self {
        Self { members: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<T: Ord> PrefixIndex<T> {
    /// Adds a member behind a prefix.
    pub fn insert(&mut self, prefix: &IpNet, member: T) {
        let slot = Slot::of(prefix);
        let members = self.members.entry(slot).or_default();
        if members.is_empty() {
            *self.lengths.entry((slot.family, slot.length)).or_default() += 1;
        }
        members.insert(member);
    }

    /// Takes a member from behind a prefix.
    pub fn remove(&mut self, prefix: &IpNet, member: &T) {
        let slot = Slot::of(prefix);
        let Some(members) = self.members.get_mut(&slot) else { return };
        members.remove(member);
        if !members.is_empty() {
            return;
        }
        self.members.remove(&slot);
        let key = (slot.family, slot.length);
        if let Some(count) = self.lengths.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&key);
            }
        }
    }

    /// The members behind prefixes that overlap this one; one may come more than once.
    pub fn overlapping(&self, prefix: &IpNet) -> impl Iterator<Item = &T> {
        let slot = Slot::of(prefix);
        let shortest = (slot.family, 0);
        let containing = self
            .lengths
            .range(shortest..=(slot.family, slot.length))
            .filter_map(move |((_, length), _)| self.members.get(&slot.ancestor(*length)));
        let first_inside = Slot { length: slot.length.saturating_add(1), ..slot };
        let inside = (slot.length < ADDRESS_BITS)
            .then(|| self.members.range(first_inside..=slot.last()))
            .into_iter()
            .flatten()
            .map(|(_, members)| members);
        containing.chain(inside).flatten()
    }

    /// Whether no prefix is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix() -> impl Strategy<Value = IpNet> {
        // Few distinct bits, so that overlaps are common.
        let v4 = (0_u32..8, 0_u8..=32).prop_map(|(bits, length)| {
            IpNet::new(IpAddr::V4((bits << 29).into()), length).map(|net| net.trunc())
        });
        let v6 = (0_u128..8, 0_u8..=128).prop_map(|(bits, length)| {
            IpNet::new(IpAddr::V6((bits << 125).into()), length).map(|net| net.trunc())
        });
        prop_oneof![v4, v6].prop_map(|net| net.expect("a length in range"))
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_walk_over_all_finds(
            entries in prop::collection::vec((prefix(), 0_u8..4), 0..24),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            wanted in prefix(),
        ) {
            let mut index = PrefixIndex::default();
            let mut all: BTreeSet<(IpNet, u8)> = BTreeSet::new();
            for (net, member) in &entries {
                index.insert(net, *member);
                all.insert((*net, *member));
            }
            for choice in removed.iter().filter(|_| !entries.is_empty()) {
                let (net, member) = choice.get(&entries);
                index.remove(net, member);
                all.remove(&(*net, *member));
            }
            let found: BTreeSet<u8> = index.overlapping(&wanted).copied().collect();
            let expected: BTreeSet<u8> =
                all.iter().filter(|(net, _)| overlap(net, &wanted)).map(|(_, m)| *m).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(index.is_empty(), all.is_empty());
        }
    }
}
