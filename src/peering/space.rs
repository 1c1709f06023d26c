//! A network's address space as its peer is to route it: followed, or frozen.

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{AddressSpace, NetworkKey};
use crate::northbound::{End, Frozen};

use super::facts::PairFacts;
use super::local::Ready;
use super::prefix::Prefixes;

/// The most prefixes of a change that a text names.
const MOST_NAMED: usize = 8;

/// An address space, and what to record and report of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) prefixes: Prefixes,
    /// The frozen prefixes to record.
    pub(super) frozen: Option<Box<Frozen>>,
    /// When a renewal with a future date begins to count.
    pub(super) due: Option<Timestamp>,
    gained: Vec<IpNet>,
    lost: Vec<IpNet>,
}

/// An end's address space as the other end is to route it, after the terms of both halves.
pub(super) fn offered(pair: &PairFacts, end: End, ready: &Ready) -> Space {
    let mut space = whole(pair, end, ready);
    if let Some(terms) = pair.end(end).terms() {
        space.prefixes = terms.announced(space.prefixes);
    }
    if let Some(terms) = pair.end(end.other()).terms() {
        space.prefixes = terms.accepted(space.prefixes);
    }
    space
}

/// The same before terms.
fn whole(pair: &PairFacts, end: End, ready: &Ready) -> Space {
    if pair.address_space == AddressSpace::Follow {
        return Space::follow(&ready.prefixes);
    }
    let side = pair.end(end);
    // A half that is enough for both sides renews both.
    let half = side.half.or(pair.end(end.other()).half);
    let requested = half.and_then(|half| half.requested);
    Space::freeze(&ready.prefixes, side.frozen.filter(|_| pair.stands), requested, pair.now)
}

impl Space {
    /// The network's present prefixes.
    pub(super) fn follow(present: &Prefixes) -> Self {
        Self { prefixes: Prefixes::clone(present), ..Self::default() }
    }

    /// The prefixes at the activation, or at the last renewal since.
    pub(super) fn freeze(
        present: &Prefixes,
        past: Option<&Frozen>,
        requested: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        let anew = |at| Self {
            frozen: Some(Box::new(Frozen { at, prefixes: present.to_vec() })),
            ..Self::follow(present)
        };
        let Some(past) = past else { return anew(now) };
        match requested.filter(|requested| *requested > past.at) {
            Some(requested) if requested <= now => anew(requested),
            due => {
                let without = |all: &[IpNet], these: &[IpNet]| -> Vec<IpNet> {
                    all.iter().filter(|prefix| !these.contains(prefix)).copied().collect()
                };
                Self {
                    prefixes: past.prefixes.as_slice().into(),
                    frozen: Some(Box::new(past.clone())),
                    due,
                    gained: without(present, &past.prefixes),
                    lost: without(&past.prefixes, present),
                }
            }
        }
    }

    /// The difference between the network's prefixes and the routed ones.
    pub(super) fn drift(&self, network: &NetworkKey) -> Option<String> {
        if self.gained.is_empty() && self.lost.is_empty() {
            return None;
        }
        let signed = |sign: char, prefixes: &[IpNet]| -> Vec<String> {
            prefixes.iter().map(|prefix| format!("{sign}{prefix}")).collect()
        };
        let mut named = [signed('+', &self.gained), signed('-', &self.lost)].concat();
        if named.len() > MOST_NAMED {
            named.truncate(MOST_NAMED);
            named.push("and others".to_owned());
        }
        Some(format!(
            "the address space of {network} has changed ({}) but is frozen while peered; \
             set requested = <the present moment> in its half to renew the peering",
            named.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a moment")
    }

    #[test]
    fn what_is_frozen_stays_until_it_is_renewed() {
        let [one, two]: [IpNet; 2] =
            ["10.0.0.0/24", "10.1.0.0/24"].map(|text| text.parse().expect("a prefix"));
        let network = NetworkKey::new("p", "n");
        let first = Space::freeze(&[one].into(), None, Some(at(3)), at(10));
        assert_eq!(first.frozen.as_deref(), Some(&Frozen { at: at(10), prefixes: vec![one] }));
        assert_eq!(first.drift(&network), None);
        let past = first.frozen.as_deref();
        let changed = Space::freeze(&[two].into(), past, Some(at(10)), at(99));
        assert_eq!((&*changed.prefixes, &changed.frozen), (&[one][..], &first.frozen));
        let text = changed.drift(&network).expect("a change");
        assert!(
            text.contains("p/n has changed (+10.1.0.0/24, -10.0.0.0/24) but is frozen"),
            "{text}"
        );
        let early = Space::freeze(&[two].into(), past, Some(at(50)), at(49));
        assert_eq!((&*early.prefixes, early.due), (&[one][..], Some(at(50))));
        let renewed = Space::freeze(&[two].into(), past, Some(at(50)), at(50));
        assert_eq!(renewed.frozen.as_deref(), Some(&Frozen { at: at(50), prefixes: vec![two] }));
        assert_eq!((renewed.due, renewed.drift(&network)), (None, None));
    }
}
