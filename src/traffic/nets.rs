//! The addresses of an entry or a rule.

use ipnet::IpNet;

/// All addresses, or those of some prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Nets {
    /// All.
    #[default]
    All,
    /// Those of these prefixes, sorted, none inside another one.
    Some(Box<[IpNet]>),
}

impl Nets {
    /// The addresses of these prefixes, in any order.
    #[must_use]
    pub fn of(prefixes: impl IntoIterator<Item = IpNet>) -> Self {
        Self::Some(outermost(prefixes.into_iter().map(|prefix| prefix.trunc()).collect()).into())
    }

    /// The prefixes; `None` for all addresses.
    #[must_use]
    pub fn some(&self) -> Option<&[IpNet]> {
        match self {
            Self::All => None,
            Self::Some(nets) => Some(nets),
        }
    }

    /// The part of these prefixes that it has.
    pub(super) fn within(&self, prefixes: &[IpNet]) -> Vec<IpNet> {
        match self {
            Self::All => prefixes.to_vec(),
            Self::Some(nets) => common(nets, prefixes),
        }
    }
}

/// The addresses that both lists have, as few prefixes.
pub(super) fn common(one: &[IpNet], other: &[IpNet]) -> Vec<IpNet> {
    let pairs = one.iter().flat_map(|one| other.iter().map(move |other| (one, other)));
    let both = pairs.filter_map(|(one, other)| {
        if one.contains(other) { Some(*other) } else { other.contains(one).then_some(*one) }
    });
    outermost(both.collect())
}

/// The addresses of the first list that the other one has not; each prefix of that one is inside one
/// of the first list.
pub(super) fn without(nets: &[IpNet], other: &[IpNet]) -> Vec<IpNet> {
    let mut left = nets.to_vec();
    for gone in other {
        left = left.into_iter().flat_map(|net| parts_without(net, *gone)).collect();
    }
    left.sort_unstable();
    left
}

/// A prefix without another one: the other half, each time that it is halved.
fn parts_without(net: IpNet, gone: IpNet) -> Vec<IpNet> {
    if gone.contains(&net) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut around = net;
    while around.contains(&gone) && around != gone {
        let Ok(halves) = around.subnets(around.prefix_len() + 1) else { break };
        for half in halves {
            if half.contains(&gone) {
                around = half;
            } else {
                parts.push(half);
            }
        }
    }
    if parts.is_empty() { vec![net] } else { parts }
}

/// Whether each prefix of a list is inside one of the other list.
pub(super) fn inside(nets: &[IpNet], above: &[IpNet]) -> bool {
    nets.iter().all(|net| above.iter().any(|above| above.contains(net)))
}

/// Whether two lists have an address of this family in common.
pub(super) fn meet(one: &[IpNet], other: &[IpNet], ip6: bool) -> bool {
    let of_family = |net: &&IpNet| matches!(net, IpNet::V6(_)) == ip6;
    one.iter().filter(of_family).any(|one| {
        other.iter().filter(of_family).any(|other| one.contains(other) || other.contains(one))
    })
}

/// The prefixes that are inside no other one, sorted.
fn outermost(mut prefixes: Vec<IpNet>) -> Vec<IpNet> {
    prefixes.sort_unstable();
    let mut last: Option<IpNet> = None;
    // In sorted order, a prefix comes before those that it contains.
    prefixes.retain(|prefix| {
        let inside = last.is_some_and(|last| last.contains(prefix));
        if !inside {
            last = Some(*prefix);
        }
        !inside
    });
    prefixes
}
