//! Halves that nobody declares any more, as long as they are shown.
//!
//! The registration records which half ended, and when: a record in the state `deleted`. The rules
//! do not read it. It is removed when its time is over; an ordered set says which one is next. Only
//! the latest of a network are kept, so a half that is renamed again and again leaves no more than
//! these.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::declare::{Declarations, HalfKey, NetworkKey};
use crate::northbound::declared::network_of;
use crate::northbound::registration::{half_names, half_record};
use crate::northbound::{HalfRecord, Id, Northbound, RecordedState};

/// The most records of one network, some 40 kB.
const MOST_OF_NETWORK: usize = 256;

/// The halves that ended a short while ago.
#[derive(Debug, Default)]
pub(super) struct History {
    ended: BTreeMap<HalfKey, (HalfRecord, Timestamp)>,
    /// Until when each is shown.
    until: BTreeSet<(Timestamp, HalfKey)>,
    networks: BTreeMap<Id, NetworkKey>,
}

impl History {
    /// The record of a half that ended.
    pub(super) fn get(&self, half: &HalfKey) -> Option<&HalfRecord> {
        self.ended.get(half).map(|(record, _)| record)
    }

    /// All halves that ended, in order.
    pub(super) fn halves(&self) -> impl Iterator<Item = &HalfKey> {
        self.ended.keys()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ended.len()
    }

    /// The halves of one project that ended.
    pub(super) fn of_project(&self, project: &str) -> impl Iterator<Item = &HalfKey> {
        let first = HalfKey::new(NetworkKey::new(project, ""), "");
        let halves = self.ended.range(first..).map(|(half, _)| half);
        halves.take_while(move |half| *half.network.project == *project)
    }

    /// The halves of one network that ended, with their records.
    pub(super) fn of(&self, network: &NetworkKey) -> impl Iterator<Item = (&HalfKey, &HalfRecord)> {
        let first = HalfKey::new(network.clone(), "");
        let halves = self.ended.range(first..).map(|(half, (record, _))| (half, record));
        halves.take_while(move |(half, _)| half.network == *network)
    }

    /// The network of this identity, if halves of it ended.
    pub(super) fn key_of(&self, id: Id) -> Option<&NetworkKey> {
        self.networks.get(&id)
    }

    /// When the next one is to be forgotten.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.until.first().map(|(at, _)| *at)
    }

    /// Removes those whose time is over. Returns their networks.
    pub(super) fn forget(&mut self, now: Timestamp) -> BTreeSet<NetworkKey> {
        let mut networks = BTreeSet::new();
        while let Some((at, half)) = self.until.first().cloned() {
            if at > now {
                break;
            }
            self.remove(&half);
            networks.insert(half.network.clone());
        }
        networks
    }

    /// Reads the records of a network and notes which of its halves nobody declares any more. A
    /// caller that does not know the name of the network gives its identity alone.
    pub(super) fn review(
        &mut self,
        id: Id,
        key: Option<&NetworkKey>,
        declarations: &Declarations,
        northbound: &Northbound,
        shown_for: SignedDuration,
        now: Timestamp,
    ) {
        let tags = northbound.registration(id);
        let named = || tags.and_then(network_of).filter(|key| Id::of_network(key) == id);
        let network = key.cloned().or_else(named).or_else(|| self.networks.get(&id).cloned());
        let Some(network) = network else { return };
        let mut ended: BTreeMap<HalfKey, HalfRecord> =
            self.of(&network).map(|(half, record)| (half.clone(), record.clone())).collect();
        for name in tags.into_iter().flat_map(half_names) {
            let half = HalfKey::new(network.clone(), name);
            let record = tags.filter(|_| !declarations.declares(&half));
            let Some(record) = record.and_then(|tags| half_record(tags, name)) else { continue };
            let since = match record.state {
                RecordedState::Deleted => record.since,
                RecordedState::Pending
                | RecordedState::Linked
                | RecordedState::Disabled
                | RecordedState::PeerDisabled
                | RecordedState::Disconnected
                | RecordedState::Rejected
                | RecordedState::Expired
                | RecordedState::Failed(_) => ended.get(&half).map_or(now, |known| known.since),
            };
            ended.insert(half, record.deleted(since));
        }
        self.set(id, &network, ended, |half, record| {
            let until = record.since.saturating_add(shown_for).unwrap_or(Timestamp::MAX);
            Some(until).filter(|until| *until > now && !declarations.declares(half))
        });
    }

    /// Keeps the halves of a network that ended last, each as long as it is shown.
    fn set(
        &mut self,
        id: Id,
        network: &NetworkKey,
        ended: BTreeMap<HalfKey, HalfRecord>,
        until: impl Fn(&HalfKey, &HalfRecord) -> Option<Timestamp>,
    ) {
        let before: Vec<HalfKey> = self.of(network).map(|(half, _)| half.clone()).collect();
        before.iter().for_each(|half| self.remove(half));
        let ended = ended.into_iter();
        let mut ended: Vec<_> = ended
            .filter_map(|(half, record)| Some((until(&half, &record)?, half, record)))
            .collect();
        ended.sort_by(|(_, half, one), (_, beside, other)| {
            (Reverse(one.since), half).cmp(&(Reverse(other.since), beside))
        });
        for (until, half, record) in ended.into_iter().take(MOST_OF_NETWORK) {
            self.until.insert((until, half.clone()));
            self.networks.insert(id, network.clone());
            self.ended.insert(half, (record, until));
        }
    }

    fn remove(&mut self, half: &HalfKey) {
        let Some((_, until)) = self.ended.remove(half) else { return };
        self.until.remove(&(until, half.clone()));
        if self.of(&half.network).next().is_none() {
            self.networks.remove(&Id::of_network(&half.network));
        }
    }
}
