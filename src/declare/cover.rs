//! The set of addresses of some prefixes, with look-ups in logarithmic time.

use std::net::IpAddr;

use ipnet::IpNet;

/// The addresses of some prefixes, as sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Ranges of IPv4, and of IPv6; a range includes both ends.
    ranges: [Vec<(u128, u128)>; 2],
}

impl Cover {
    /// The cover of these prefixes, in any order.
    #[must_use]
    pub fn of(prefixes: &[IpNet]) -> Self {
        let mut cover = Self::default();
        for prefix in prefixes {
            let (at, range) = range(prefix);
            if let Some(ranges) = cover.ranges.get_mut(at) {
                ranges.push(range);
            }
        }
        for ranges in &mut cover.ranges {
            ranges.sort_unstable();
            let mut merged: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
            for (first, last) in ranges.drain(..) {
                match merged.last_mut() {
                    Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                    _ => merged.push((first, last)),
                }
            }
            *ranges = merged;
        }
        cover
    }

    /// Whether it contains every address of a prefix.
    #[must_use]
    pub fn contains(&self, prefix: &IpNet) -> bool {
        self.around(prefix).is_some_and(|(last, wanted)| wanted.1 <= last)
    }

    /// The end of the range in which a prefix begins, and its own range.
    fn around(&self, prefix: &IpNet) -> Option<(u128, (u128, u128))> {
        let (at, wanted) = range(prefix);
        let ranges = self.ranges.get(at)?;
        let before = ranges.partition_point(|(first, _)| *first <= wanted.0);
        let (_, last) = ranges.get(before.checked_sub(1)?)?;
        Some((*last, wanted))
    }

    /// Whether it contains any address of a prefix.
    #[must_use]
    pub fn overlaps(&self, prefix: &IpNet) -> bool {
        let (at, (first, last)) = range(prefix);
        let Some(ranges) = self.ranges.get(at) else { return false };
        let next = ranges.partition_point(|(_, end)| *end < first);
        ranges.get(next).is_some_and(|(start, _)| *start <= last)
    }
}

fn range(prefix: &IpNet) -> (usize, (u128, u128)) {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    let at = usize::from(matches!(prefix, IpNet::V6(_)));
    (at, (bits(prefix.network()), bits(prefix.broadcast())))
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// Prefixes of a small space (the last 4 bits of IPv4, and of IPv6), so that parts, aggregates
    /// and neighbours are common.
    pub(crate) fn prefix() -> impl Strategy<Value = IpNet> {
        (any::<bool>(), 0_u8..16, 0_u8..=4).prop_map(|(six, bits, length)| {
            let (address, length) = if six {
                (IpAddr::V6(u128::from(bits).into()), 124 + length)
            } else {
                (IpAddr::V4(u32::from(bits).into()), 28 + length)
            };
            IpNet::new(address, length).expect("a length in range").trunc()
        })
    }

    /// Every address, one by one.
    pub(crate) fn addresses(prefixes: &[IpNet]) -> BTreeSet<IpAddr> {
        prefixes
            .iter()
            .flat_map(|prefix| {
                let (six, (first, last)) = range(prefix);
                (first..=last).map(move |bits| match six {
                    0 => IpAddr::V4(u32::try_from(bits).expect("IPv4").into()),
                    _ => IpAddr::V6(bits.into()),
                })
            })
            .collect()
    }

    pub(crate) fn offered() -> impl Strategy<Value = Vec<IpNet>> {
        prop::collection::btree_set(prefix(), 0..8).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn a_cover_knows_what_its_addresses_tell(all in offered(), wanted in prefix()) {
            let cover = Cover::of(&all);
            let (there, asked) = (addresses(&all), addresses(&[wanted]));
            prop_assert_eq!(cover.contains(&wanted), asked.is_subset(&there));
            prop_assert_eq!(cover.overlaps(&wanted), !asked.is_disjoint(&there));
        }
    }
}
