//! Halves that name their target by UUID.
//!
//! Owns the index of them, and of the UUIDs of all bound networks. The latter is there only while
//! there is such a half. A UUID that two networks have is of none.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::declare::{
    Changed, Declarations, Half, HalfKey, NetworkKey, PeeringKey, RejectionKey, uuid_of_network,
};

use super::pair::{PairState, Pairs, end_of, key_of_end};
use super::records::Records;

/// The index.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// The UUID that each half names.
    named: BTreeMap<HalfKey, Uuid>,
    halves: BTreeSet<(Uuid, HalfKey)>,
    bound: BTreeMap<NetworkKey, Uuid>,
    networks: BTreeSet<(Uuid, NetworkKey)>,
}

impl Targets {
    /// The network that a target stands for, if it names a UUID that one network has.
    pub(super) fn bound(&self, target: &NetworkKey) -> Option<&NetworkKey> {
        let uuid = target.uuid()?;
        let mut found = self.networks_of(uuid);
        let network = found.next();
        network.filter(|_| found.next().is_none())
    }

    /// The network that a half targets by its UUID, as soon as that has answered, is of the same
    /// project, or was linked: until then nobody is to learn that there is such a network.
    pub(super) fn found(
        &self,
        half: &Half,
        declarations: &Declarations,
        records: &Records,
        pairs: &Pairs,
    ) -> Option<&NetworkKey> {
        let local = &half.key.network;
        let network = self.bound(&half.target)?;
        let pair = PeeringKey::new(local.clone(), network.clone())?;
        let rejection = RejectionKey { network: network.clone(), from: local.clone() };
        let declares = |pair: &PairState| pair.halves.iter().any(|it| it.network == *network);
        let answers = network.project == local.project
            || records.latest(&half.key, &half.target).is_some_and(|it| it.was_linked)
            || declarations.rejects(&rejection)
            || self.asks(network, local)
            || pairs.get(&pair).is_some_and(|pair| declares(pair));
        answers.then_some(network)
    }

    /// Whether a half of one network names the UUID of another one.
    fn asks(&self, network: &NetworkKey, other: &NetworkKey) -> bool {
        let uuid = self.bound.get(other);
        uuid.is_some_and(|uuid| self.halves_of(*uuid, network).next().is_some())
    }

    /// Notes declarations that changed. Returns the halves with a UUID whose pair may be another one
    /// now. `said` is a half as it counts; `pair_of` is the pair that it made before.
    pub(super) fn review<'a>(
        &mut self,
        changed: &Changed,
        declarations: &Declarations,
        said: impl Fn(&HalfKey) -> Option<&'a Half>,
        pair_of: impl Fn(&HalfKey) -> Option<&'a PeeringKey>,
    ) -> BTreeSet<HalfKey> {
        let was_empty = self.named.is_empty();
        let mut again = BTreeSet::new();
        for half in &changed.halves {
            let uuid = said(half).and_then(|half| half.target.uuid());
            let before = match uuid {
                Some(uuid) => self.named.insert(half.clone(), uuid),
                None => self.named.remove(half),
            };
            if let Some(before) = before {
                self.halves.remove(&(before, half.clone()));
                again.insert(half.clone());
            }
            if let Some(uuid) = uuid {
                self.halves.insert((uuid, half.clone()));
                again.insert(half.clone());
            }
        }
        if self.named.is_empty() {
            (self.bound, self.networks) = Default::default();
            return again;
        }
        if was_empty {
            declarations.networks().iter().for_each(|key| self.bind(key, declarations));
            again.extend(self.named.keys().cloned());
            return again;
        }
        for network in &changed.networks {
            let mut uuids: Vec<Uuid> = self.bound.get(network).copied().into_iter().collect();
            self.bind(network, declarations);
            uuids.extend(self.bound.get(network));
            for uuid in uuids {
                let first = HalfKey::new(NetworkKey::new("", ""), "");
                let halves = self.halves.range((uuid, first)..).take_while(|(it, _)| *it == uuid);
                again.extend(halves.map(|(_, half)| half.clone()));
            }
            let own = self.named.range(HalfKey::new(network.clone(), "")..).map(|(half, _)| half);
            again.extend(own.take_while(|half| half.network == *network).cloned());
        }
        for half in &changed.halves {
            let before = pair_of(half).map(|pair| other_end(pair, &half.network).clone());
            let now = said(half).map(|half| half.target.clone());
            for other in before.into_iter().chain(now) {
                let other = self.bound(&other).cloned().unwrap_or(other);
                again.extend(self.answered(&half.network, &other));
            }
        }
        for key in &changed.rejections {
            again.extend(self.answered(&key.network, &key.from));
        }
        again
    }

    /// The halves of `other` that name this network by its UUID.
    fn answered(&self, network: &NetworkKey, other: &NetworkKey) -> Vec<HalfKey> {
        let uuid = self.bound.get(network).into_iter();
        uuid.flat_map(|uuid| self.halves_of(*uuid, other)).cloned().collect()
    }

    fn halves_of<'a>(
        &'a self,
        uuid: Uuid,
        network: &'a NetworkKey,
    ) -> impl Iterator<Item = &'a HalfKey> {
        let from = self.halves.range((uuid, HalfKey::new(network.clone(), ""))..);
        let of = from.take_while(move |(it, half)| *it == uuid && half.network == *network);
        of.map(|(_, half)| half)
    }

    fn networks_of(&self, uuid: Uuid) -> impl Iterator<Item = &NetworkKey> {
        let from = self.networks.range((uuid, NetworkKey::new("", ""))..);
        from.take_while(move |(it, _)| *it == uuid).map(|(_, network)| network)
    }

    fn bind(&mut self, network: &NetworkKey, declarations: &Declarations) {
        if let Some(before) = self.bound.remove(network) {
            self.networks.remove(&(before, network.clone()));
        }
        if let Some(said) = declarations.network(network, || None) {
            let uuid = uuid_of_network(said.value);
            self.bound.insert(network.clone(), uuid);
            self.networks.insert((uuid, network.clone()));
        }
    }
}

fn other_end<'a>(pair: &'a PeeringKey, network: &NetworkKey) -> &'a NetworkKey {
    key_of_end(pair, end_of(pair, network).other())
}
