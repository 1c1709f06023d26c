//! Prefixes: overlap, and an index that finds overlaps without a scan.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::northbound::Family;

/// Prefixes of a network: one copy for the network itself and for its peers.
pub type Prefixes = Arc<[IpNet]>;

/// Whether two prefixes share an address.
#[must_use]
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// A prefix as a sort key: addresses are left-aligned, so that a prefix is followed by those that
/// it contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    family: Family,
    /// Big-endian bytes: they sort as the number does, and need no alignment.
    network: [u8; 16],
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
        let network = network.to_be_bytes();
        Self { family: Family::of(prefix), network, length: prefix.prefix_len() }
    }

    /// The prefix of this length that contains this one.
    fn ancestor(self, length: u8) -> Self {
        let kept = u32::from(ADDRESS_BITS - length.min(ADDRESS_BITS));
        let mask = u128::MAX.checked_shl(kept).unwrap_or(0);
        let network = u128::from_be_bytes(self.network) & mask;
        Self { network: network.to_be_bytes(), length, ..self }
    }

    /// The last slot that this prefix contains.
    fn last(self) -> Self {
        let host = u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
        let network = u128::from_be_bytes(self.network) | host;
        Self { network: network.to_be_bytes(), length: ADDRESS_BITS, ..self }
    }

    /// The next slot: no slot is between the two.
    fn following(self) -> Self {
        Self { length: self.length.saturating_add(1), ..self }
    }

    /// The number of leading bits that two networks share.
    fn shared_bits(self, other: Self) -> u8 {
        let [one, other] = [self, other].map(|slot| u128::from_be_bytes(slot.network));
        u8::try_from((one ^ other).leading_zeros()).unwrap_or(ADDRESS_BITS)
    }
}

/// An index of members by prefix, for many places that are independent of each other.
///
/// Finding the overlaps of a prefix costs a look-up per prefix that contains it (or that the search
/// meets on the way), and one step per prefix inside it. There is one index for all places, because
/// most places have one prefix with one member.
#[derive(Clone, Debug)]
pub struct PrefixIndex<P, T> {
    /// `None` sorts before all members of a prefix, as the bound of ranges.
    members: BTreeSet<(P, Slot, Option<T>)>,
}

impl<P, T> Default for PrefixIndex<P, T> {
    fn default() -> Self {
        Self { members: BTreeSet::new() }
    }
}

impl<P: Ord + Clone, T: Ord> PrefixIndex<P, T> {
    /// Adds a member to a prefix.
    pub fn insert(&mut self, place: &P, prefix: &IpNet, member: T) {
        self.members.insert((place.clone(), Slot::of(prefix), Some(member)));
    }

    /// Removes a member from a prefix.
    pub fn remove(&mut self, place: &P, prefix: &IpNet, member: T) {
        self.members.remove(&(place.clone(), Slot::of(prefix), Some(member)));
    }

    /// The members at a place with prefixes that overlap this one; a member may come more than
    /// once.
    pub fn overlapping(&self, place: &P, prefix: &IpNet) -> impl Iterator<Item = &T> {
        let slot = Slot::of(prefix);
        let containing =
            self.containing(place, slot).flat_map(|found| self.range(place, found, found));
        containing.chain(self.range(place, slot.following(), slot.last()))
    }

    /// The members of the prefixes from one slot to another.
    fn range(&self, place: &P, first: Slot, last: Slot) -> impl Iterator<Item = &T> {
        let from = self.members.range((place.clone(), first, None)..);
        from.take_while(move |(at, slot, _)| at == place && *slot <= last)
            .filter_map(|(_, _, member)| member.as_ref())
    }

    /// The prefixes at a place that contain this one, itself among them, the longest first.
    fn containing(&self, place: &P, slot: Slot) -> impl Iterator<Item = Slot> {
        let mut next = Some(slot);
        std::iter::from_fn(move || {
            while let Some(at) = next {
                let (of, found, _) =
                    self.members.range(..(place.clone(), at.following(), None)).next_back()?;
                if of != place || found.family != slot.family {
                    return None;
                }
                // A prefix that contains this one also contains the last one before it.
                let shared = found.shared_bits(slot);
                if shared >= found.length {
                    next = found.length.checked_sub(1).map(|length| slot.ancestor(length));
                    return Some(*found);
                }
                next = Some(slot.ancestor(shared));
            }
            None
        })
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
        // Few different bits, so that overlaps are common.
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
            entries in prop::collection::vec((0_u8..2, prefix(), 0_u8..4), 0..24),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            place in 0_u8..2,
            wanted in prefix(),
        ) {
            let mut index = PrefixIndex::default();
            let mut all: BTreeSet<(u8, IpNet, u8)> = BTreeSet::new();
            for (at, net, member) in &entries {
                index.insert(at, net, *member);
                all.insert((*at, *net, *member));
            }
            for choice in removed.iter().filter(|_| !entries.is_empty()) {
                let (at, net, member) = choice.get(&entries);
                index.remove(at, net, *member);
                all.remove(&(*at, *net, *member));
            }
            let found: BTreeSet<u8> = index.overlapping(&place, &wanted).copied().collect();
            let expected: BTreeSet<u8> =
                all.iter().filter(|(at, net, _)| *at == place && overlap(net, &wanted)).map(|(_, _, m)| *m).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(index.is_empty(), all.is_empty());
        }
    }
}
