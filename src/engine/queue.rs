//! The dirty units, and the order in which they are written.
//!
//! Units that remove a link come first, then the rest. Within each of the two, everybody takes
//! turns: first the Unix accounts, then the projects of an account. So nobody waits for everything
//! that somebody else declares, whatever the names are. A step costs the logarithm of the number of
//! dirty units.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::declare::{HalfKey, LocalDeclarations, NetworkKey};
use crate::northbound::{Id, Northbound, UnitId};
use crate::peering::Resolver;

use super::history::History;

/// For whom a unit is written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// Nobody declares the unit any more.
    Nobody,
    /// A Unix account whose files declare it.
    Account(u32),
    /// A project whose files declare it, where the owner of the files is not known or is root.
    Project(Arc<str>),
}

/// The place in the queue where a dirty unit waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether writing the unit removes a link.
    pub(super) cut: bool,
    pub(super) party: Party,
    pub(super) project: Arc<str>,
    /// The network whose registration records it.
    pub(super) network: Id,
}

/// The dirty units.
#[derive(Debug, Default)]
pub(super) struct Queue {
    places: HashMap<UnitId, Place>,
    cuts: Turns<Party, Projects>,
    others: Turns<Party, Projects>,
}

type Projects = Turns<Arc<str>, BTreeSet<(Id, UnitId)>>;

/// A map whose keys are served in turns.
#[derive(Debug)]
struct Turns<K, V> {
    waiting: BTreeMap<K, V>,
    last: Option<K>,
}

/// What decides where a unit waits.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) local: &'a LocalDeclarations,
    pub(super) resolver: &'a Resolver,
    pub(super) history: &'a History,
    pub(super) northbound: Option<&'a Northbound>,
}

impl Sources<'_> {
    fn party(&self, half: &HalfKey) -> Party {
        let giver = self.local.origin_of_half(half);
        match giver.and_then(|giver| giver.owner).filter(|owner| *owner != 0) {
            Some(owner) => Party::Account(owner),
            None => Party::Project(Arc::clone(&half.network.project)),
        }
    }

    fn place_of_network(&self, id: Id) -> Place {
        let networks = self.resolver.networks();
        let Some(key) = networks.key_of(id).or_else(|| self.history.key_of(id)) else {
            return Place::of_nobody(false, id);
        };
        let half = self.local.halves_of(key).next();
        let party = half.map(|half| self.party(&half.key));
        let party = party.unwrap_or_else(|| Party::Project(Arc::clone(&key.project)));
        Place { cut: false, party, project: Arc::clone(&key.project), network: id }
    }
}

impl Place {
    fn of_nobody(cut: bool, network: Id) -> Self {
        Self { cut, party: Party::Nobody, project: Arc::default(), network }
    }
}

impl Queue {
    #[cfg(test)]
    fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn units(&self) -> impl Iterator<Item = UnitId> {
        self.places.keys().copied()
    }

    pub(super) fn contains(&self, unit: UnitId) -> bool {
        self.places.contains_key(&unit)
    }

    /// How many units wait at the party and the project of a place.
    fn waiting(&self, place: &Place) -> usize {
        let parties = if place.cut { &self.cuts } else { &self.others };
        let projects = parties.waiting.get(&place.party);
        projects.and_then(|projects| projects.waiting.get(&place.project)).map_or(0, BTreeSet::len)
    }

    /// Adds a unit, or moves it to where it belongs now.
    pub(super) fn add(&mut self, unit: UnitId, sources: &Sources<'_>) {
        let place = self.place(unit, sources);
        self.insert(unit, place);
    }

    /// The place of a unit. A pair waits at the side with fewer dirty units. A unit without rows in
    /// the northbound removes no link.
    fn place(&self, unit: UnitId, sources: &Sources<'_>) -> Place {
        let Sources { resolver, northbound, .. } = sources;
        let id = match unit {
            UnitId::Network(id) => return sources.place_of_network(id),
            UnitId::Peering(id) => id,
        };
        let Some(pair) = resolver.pair_with(id) else { return Place::of_nobody(true, id) };
        let has_rows = || northbound.is_some_and(|it| it.has_rows(unit));
        let cut = resolver.link(pair).is_none() && has_rows();
        let mut sides: Vec<(&NetworkKey, &HalfKey)> = Vec::new();
        for half in resolver.halves_of(pair) {
            if sides.iter().all(|(network, _)| **network != half.network) {
                sides.push((&half.network, half));
            }
        }
        let places = sides.into_iter().map(|(network, half)| Place {
            cut,
            party: sources.party(half),
            project: Arc::clone(&network.project),
            network: Id::of_network(network),
        });
        let place = places.min_by_key(|place| self.waiting(place));
        place.unwrap_or_else(|| Place::of_nobody(cut, id))
    }

    fn insert(&mut self, unit: UnitId, place: Place) {
        if self.places.get(&unit) == Some(&place) {
            return;
        }
        self.remove(unit);
        let parties = if place.cut { &mut self.cuts } else { &mut self.others };
        let projects = parties.waiting.entry(place.party.clone()).or_default();
        let units = projects.waiting.entry(Arc::clone(&place.project)).or_default();
        units.insert((place.network, unit));
        self.places.insert(unit, place);
    }

    /// Removes a unit. Returns where it waited.
    pub(super) fn remove(&mut self, unit: UnitId) -> Option<Place> {
        let place = self.places.remove(&unit)?;
        let parties = if place.cut { &mut self.cuts } else { &mut self.others };
        if let Some(projects) = parties.waiting.get_mut(&place.party) {
            if let Some(units) = projects.waiting.get_mut(&place.project) {
                units.remove(&(place.network, unit));
                if units.is_empty() {
                    projects.waiting.remove(&place.project);
                }
            }
            if projects.waiting.is_empty() {
                parties.waiting.remove(&place.party);
            }
        }
        Some(place)
    }

    /// Takes the unit whose turn it is. Within a project, the networks from `from` on come first.
    pub(super) fn pop(&mut self, from: Option<Id>) -> Option<(UnitId, Place)> {
        let unit = next(&mut self.cuts, from).or_else(|| next(&mut self.others, from))?;
        Some((unit, self.remove(unit)?))
    }

    /// Takes another unit that the same registration records and that waits at the same place.
    pub(super) fn pop_beside(&mut self, place: &Place) -> Option<UnitId> {
        let parties = if place.cut { &self.cuts } else { &self.others };
        let units = parties.waiting.get(&place.party)?.waiting.get(&place.project)?;
        let (network, unit) = *units.range((place.network, UnitId::FIRST)..).next()?;
        (network == place.network).then(|| self.remove(unit).map(|_| unit))?
    }
}

fn next(parties: &mut Turns<Party, Projects>, from: Option<Id>) -> Option<UnitId> {
    let units = parties.next()?.next()?;
    let later = from.and_then(|from| units.range((from, UnitId::FIRST)..).next());
    later.or(units.first()).map(|(_, unit)| *unit)
}

impl<K: Ord + Clone, V> Turns<K, V> {
    /// The entry after the one that was served last.
    fn next(&mut self) -> Option<&mut V> {
        let after = self.last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let key = self.waiting.range((after, Bound::Unbounded)).next();
        let key = key.or_else(|| self.waiting.first_key_value()).map(|(key, _)| key.clone())?;
        self.last = Some(key.clone());
        self.waiting.get_mut(&key)
    }
}

impl<K, V> Default for Turns<K, V> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), last: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::NetworkKey;

    fn id(project: &str, name: &str) -> Id {
        Id::of_network(&NetworkKey::new(project, name))
    }

    fn place(cut: bool, party: Party, project: &str, network: &str) -> Place {
        Place { cut, party, project: project.into(), network: id(project, network) }
    }

    fn of(project: &str, number: usize) -> UnitId {
        UnitId::Peering(id(project, &format!("unit {number}")))
    }

    fn project(name: &str) -> Party {
        Party::Project(name.into())
    }

    #[test]
    fn whoever_has_little_to_be_written_does_not_wait_for_whoever_has_much() {
        let mut queue = Queue::default();
        for number in 0..50_000 {
            queue.insert(of("!", number), place(false, project("!"), "!", "web"));
        }
        for name in ["blue", "green"] {
            queue.insert(of(name, 0), place(false, project(name), name, "web"));
        }
        let first: Vec<UnitId> = (0..3).filter_map(|_| queue.pop(None)).map(|(it, _)| it).collect();
        assert!(first.contains(&of("blue", 0)) && first.contains(&of("green", 0)));
        // An account has one turn, however many projects it declares for.
        let mut queue = Queue::default();
        for number in 0..1000 {
            let name = format!("{number}");
            queue.insert(of(&name, 0), place(false, Party::Account(1001), &name, "web"));
        }
        queue.insert(of("blue", 0), place(false, Party::Account(1002), "blue", "web"));
        let first: Vec<UnitId> = (0..2).filter_map(|_| queue.pop(None)).map(|(it, _)| it).collect();
        assert!(first.contains(&of("blue", 0)));
    }

    #[test]
    fn what_takes_a_link_away_comes_first() {
        let mut queue = Queue::default();
        for number in 0..100 {
            queue.insert(of("red", number), place(false, project("red"), "red", "web"));
        }
        queue.insert(of("red", 7), place(true, project("red"), "red", "web"));
        assert_eq!(queue.len(), 100, "a unit waits at one place");
        assert_eq!(queue.pop(None).map(|(unit, _)| unit), Some(of("red", 7)));
    }

    #[test]
    fn what_is_recorded_in_one_registration_can_be_taken_together() {
        let mut queue = Queue::default();
        for (number, network) in ["a", "b", "a", "b", "a"].into_iter().enumerate() {
            queue.insert(of("red", number), place(false, project("red"), "red", network));
        }
        let (_, place) = queue.pop(None).expect("a unit");
        let mut beside = 1;
        while queue.pop_beside(&place).is_some() {
            beside += 1;
        }
        assert_eq!(
            (beside, queue.len()),
            if place.network == id("red", "a") { (3, 2) } else { (2, 3) }
        );
        // Another host begins at another network, and serves all units too.
        let from = Some(id("red", "a").max(id("red", "b")));
        assert_eq!(std::iter::from_fn(|| queue.pop(from)).count(), 5 - beside);
        assert!(queue.is_empty());
    }
}
