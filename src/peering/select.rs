//! Which prefixes pass a filter: the algebra of announcing and taking.
//!
//! What is on offer passes as the list says. An entry that names one prefix, without `ge` and `le`,
//! lets that prefix pass as it is written if what is on offer covers it: a part of a subnet, or
//! several subnets as one. Costs the logarithm of what is on offer for each entry, and of the
//! entries for each prefix on offer.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::declare::{Filter, PrefixList};

/// The addresses of some prefixes, as ranges that neither overlap nor touch, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cover {
    /// Of IPv4, of IPv6; both ends belong to a range.
    ranges: [Vec<(u128, u128)>; 2],
}

impl Cover {
    /// Of these prefixes, in any order.
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

    /// Whether every address of a prefix is among them.
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

    /// Whether some address of a prefix is among them.
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

/// What of the prefixes on offer passes, sorted. Of a list, none inside another one that passes.
#[must_use]
pub fn select(offered: &[IpNet], filter: &Filter) -> Vec<IpNet> {
    match filter {
        Filter::All => offered.to_vec(),
        Filter::List(list) => by_list(offered, list),
    }
}

fn by_list(offered: &[IpNet], list: &PrefixList) -> Vec<IpNet> {
    let cover = Cover::of(offered);
    let named = named(list).filter(|prefix| cover.contains(prefix));
    let mut passed: Vec<IpNet> =
        offered.iter().filter(|prefix| list.permits(prefix)).copied().chain(named).collect();
    passed.sort_unstable();
    let mut last: Option<IpNet> = None;
    // Sorted, what a prefix contains stands behind it.
    passed.retain(|prefix| {
        let inside = last.is_some_and(|last| last.contains(prefix));
        if !inside {
            last = Some(*prefix);
        }
        !inside
    });
    passed
}

/// Prefixes that a list names and permits, whether they are on offer or not.
pub(super) fn named(list: &PrefixList) -> impl Iterator<Item = IpNet> {
    list.rules().iter().filter_map(|rule| rule.names()).filter(|prefix| list.permits(prefix))
}

/// Prefixes that an export list names although the network does not own them.
pub(super) fn not_owned(own: &[IpNet], may_export: &[IpNet], filter: &Filter) -> Vec<IpNet> {
    let Filter::List(list) = filter else { return Vec::new() };
    let owned = Cover::of(&[own, may_export].concat());
    let mut not_owned: Vec<IpNet> = named(list).filter(|prefix| !owned.contains(prefix)).collect();
    not_owned.sort_unstable();
    not_owned.dedup();
    not_owned
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::declare::{Action, Rule};

    /// Prefixes of a small space, so that parts, aggregates and neighbours are common: the last 4
    /// bits of IPv4, and of IPv6.
    fn prefix() -> impl Strategy<Value = IpNet> {
        (any::<bool>(), 0_u8..16, 0_u8..=4).prop_map(|(six, bits, length)| {
            let (address, length) = if six {
                (IpAddr::V6(u128::from(bits).into()), 124 + length)
            } else {
                (IpAddr::V4(u32::from(bits).into()), 28 + length)
            };
            IpNet::new(address, length).expect("a length in range").trunc()
        })
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let rule =
            (prefix(), any::<bool>(), prop::option::of(0_u8..=4)).prop_map(|(prefix, deny, le)| {
                let action = if deny { Action::Deny } else { Action::Permit };
                let le = le.map(|le| (prefix.max_prefix_len() - 4 + le).max(prefix.prefix_len()));
                Rule { action, prefix, ge: None, le }
            });
        let list = prop::collection::vec(rule, 0..6).prop_map(PrefixList::new);
        prop_oneof![1 => Just(Filter::All), 6 => list.prop_map(Filter::List)]
    }

    /// Every address, one by one.
    fn addresses(prefixes: &[IpNet]) -> BTreeSet<IpAddr> {
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

    /// The same by walking over all and everything.
    fn naive(offered: &[IpNet], filter: &Filter) -> Vec<IpNet> {
        let Some(rules) = filter.rules() else { return offered.to_vec() };
        let matches = |rule: &Rule, prefix: &IpNet| match rule.le {
            None => rule.prefix == *prefix,
            Some(le) => rule.prefix.contains(prefix) && prefix.prefix_len() <= le,
        };
        let permitted = |prefix: &IpNet| {
            let first = rules.iter().find(|rule| matches(rule, prefix));
            first.is_some_and(|rule| rule.action == Action::Permit)
        };
        let there = addresses(offered);
        let exact = |rule: &&Rule| rule.le.is_none() && rule.action == Action::Permit;
        let named = rules.iter().filter(exact).map(|rule| rule.prefix);
        let named = named.filter(|prefix| addresses(&[*prefix]).is_subset(&there));
        let all: BTreeSet<IpNet> =
            offered.iter().copied().chain(named).filter(|prefix| permitted(prefix)).collect();
        let inside = |prefix: &IpNet| all.iter().any(|it| it != prefix && it.contains(prefix));
        all.iter().filter(|prefix| !inside(prefix)).copied().collect()
    }

    fn offered() -> impl Strategy<Value = Vec<IpNet>> {
        prop::collection::btree_set(prefix(), 0..8).prop_map(|all| all.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_passes_is_what_a_walk_finds(offered in offered(), filter in filter()) {
            prop_assert_eq!(select(&offered, &filter), naive(&offered, &filter));
        }

        #[test]
        fn nothing_passes_that_is_not_on_offer(
            offered in offered(),
            export in filter(),
            import in filter(),
        ) {
            let exported = select(&offered, &export);
            let taken = select(&exported, &import);
            prop_assert!(addresses(&exported).is_subset(&addresses(&offered)));
            prop_assert!(addresses(&taken).is_subset(&addresses(&exported)));
            // To filter again changes nothing.
            prop_assert_eq!(select(&taken, &import), taken.clone());
            prop_assert_eq!(select(&exported, &export), exported);
        }

        #[test]
        fn a_cover_knows_what_its_addresses_tell(all in offered(), wanted in prefix()) {
            let cover = Cover::of(&all);
            let (there, asked) = (addresses(&all), addresses(&[wanted]));
            prop_assert_eq!(cover.contains(&wanted), asked.is_subset(&there));
            prop_assert_eq!(cover.overlaps(&wanted), !asked.is_disjoint(&there));
        }

        #[test]
        fn only_what_is_named_can_be_without_an_owner(
            own in offered(),
            bounds in offered(),
            filter in filter(),
        ) {
            let owned = addresses(&[own.clone(), bounds.clone()].concat());
            for prefix in not_owned(&own, &bounds, &filter) {
                prop_assert!(filter.rules().is_some_and(|rules| rules.iter().any(|it| it.names() == Some(prefix))));
                prop_assert!(!addresses(&[prefix]).is_subset(&owned));
                prop_assert!(!select(&own, &filter).contains(&prefix));
            }
        }
    }
}
