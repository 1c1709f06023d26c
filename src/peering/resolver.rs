//! Applies the rules to all pairs, and again as inputs change.
//!
//! Owns which halves make which pair, each network's own state, and which pair wants which prefix
//! at which network. Peerings compete only where prefixes overlap at a common network: those that
//! are up come first, the oldest of them first, then the others by name. Each is admitted unless
//! one with a higher rank has a prefix that it needs. A change marks only the pairs dirty that it
//! can concern; a full recompute is the same code with all pairs dirty.

use std::collections::BTreeSet;
use std::sync::Arc;

use hashbrown::HashMap;
use jiff::Timestamp;

use crate::declare::{
    Changed, Declarations, Half, HalfKey, NetworkKey, PeeringKey, PolicySettings, Quotas, Said,
};
use crate::northbound::{End, HalfRecord, Id, Northbound, Touched, UnitId};

use super::decide::{decide, user, wanted, watched};
use super::depth::{Depths, PairStatus};
use super::due::DueTimes;
use super::gather::{Known, is_auto};
use super::ground::Ground;
use super::inputs::Rank;
use super::lent_index::LentIndex;
use super::network::Networks;
use super::outcome::{Link, Resolution, Resolved, Verdict};
use super::pair::{Offered, PairState, Pairs, end_of, key_of_end, of_end};
use super::prefix::Prefixes;
use super::quota::Places;
use super::records::Records;
use super::targets::Targets;

/// All pairs.
#[derive(Debug, Default)]
pub struct Resolver {
    networks: Networks,
    pairs: Pairs,
    pair_of_half: HashMap<HalfKey, PeeringKey>,
    pair_of_id: HashMap<Id, PeeringKey>,
    records: Records,
    dirty: BTreeSet<Rank>,
    /// Pairs decided in this pass. Until nothing is dirty, their decisions may still change, so
    /// nothing uses them yet.
    decided: BTreeSet<PeeringKey>,
    pending: Resolved,
    /// When time alone changes the decision on a pair: the moment of its resolution.
    due: DueTimes,
    places: Places,
    depths: Depths,
    targets: Targets,
    lent: LentIndex,
}

impl Resolver {
    /// Notes declarations that were added, changed or withdrawn.
    pub fn declared(
        &mut self,
        declarations: &Declarations,
        changed: &Changed,
        policy: &PolicySettings,
        northbound: &Northbound,
    ) {
        for network in &changed.networks {
            self.networks.mark(network);
        }
        for key in &changed.rejections {
            self.networks.reject(key, declarations.rejects(key));
            self.pending.networks.insert(key.network.clone());
            if let Some(pair) = PeeringKey::new(key.network.clone(), key.from.clone()) {
                self.mark(&pair);
            }
        }
        for key in &changed.halves {
            if let Some(said) = self.said(key, declarations) {
                self.records.find(key, &said.value.target, northbound);
            }
        }
        let said = |half: &HalfKey| Some(self.records.said(half, declarations)?.value);
        let pair_of = |half: &HalfKey| self.pair_of_half.get(half);
        let by_uuid = self.targets.review(changed, declarations, said, pair_of);
        // Whether a network of a UUID has answered is seen from the halves that name theirs.
        for key in changed.halves.iter().filter(|half| !by_uuid.contains(*half)) {
            self.place(key, declarations, policy);
        }
        for key in &by_uuid {
            self.place(key, declarations, policy);
        }
    }

    /// The pair that a half makes; `None` for a network with itself.
    pub fn pair_for(&self, half: &Half, declarations: &Declarations) -> Option<PeeringKey> {
        let found = self.targets.found(half, declarations, &self.records, &self.pairs);
        PeeringKey::new(half.key.network.clone(), found.unwrap_or(&half.target).clone())
    }

    /// The network that a target stands for, whether that has answered or not: its own owner may know.
    pub fn asked<'a>(&'a self, target: &'a NetworkKey) -> &'a NetworkKey {
        self.targets.bound(target).unwrap_or(target)
    }

    /// Sets another policy: everything must be decided again.
    pub fn configure(&mut self, policy: &PolicySettings, northbound: &Northbound) {
        let pairs: Vec<PeeringKey> = self.pairs.keys().cloned().collect();
        for pair in &pairs {
            self.networks.imply(pair, is_auto(pair, policy));
        }
        self.count_places(policy.quotas);
        self.mark_all(northbound);
    }

    fn count_places(&mut self, quotas: Quotas) {
        let linked = |half| self.records.linked(half).is_some();
        let halves = self.pair_of_half.keys().map(|half| (half, linked(half)));
        self.places.configure(quotas, halves);
    }

    /// Marks the pairs dirty whose decision time alone may have changed; if the clock went back,
    /// all pairs whose decision depends on time.
    pub fn wake(&mut self, now: Timestamp, went_back: bool) {
        while let Some(pair) = self.due.take(now, went_back) {
            self.mark(&pair);
        }
    }

    /// When time alone changes something next.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        self.due.next()
    }

    /// Notes changes of the northbound.
    pub fn touched(&mut self, touched: &Touched, northbound: &Northbound) {
        self.networks.touched(touched, northbound);
        let concerned = self.lent.concerned(touched, &self.networks, northbound);
        concerned.iter().for_each(|pair| self.mark(pair));
        for unit in &touched.units {
            match unit {
                UnitId::Peering(id) => match self.pair_of_id.get(id).cloned() {
                    Some(key) => self.mark(&key),
                    None => {
                        self.pending.orphans.insert(*unit);
                    }
                },
                UnitId::Network(id) => self.touch_network(*id),
            }
        }
        touched.declared.keys().for_each(|id| self.touch_network(*id));
        for (network, name) in &touched.records {
            let Some(network) = self.networks.key_of(*network).cloned() else { continue };
            let half = HalfKey::new(network, name.as_ref());
            if let Some(pair) = self.pair_of_half.get(&half).cloned() {
                self.mark(&pair);
                self.records.altered(half);
            }
        }
    }

    fn touch_network(&mut self, id: Id) {
        match self.networks.key_of(id) {
            Some(key) => drop(self.pending.networks.insert(key.clone())),
            None => drop(self.pending.orphans.insert(UnitId::Network(id))),
        }
    }

    /// Marks every pair and network dirty, and every unit with rows.
    pub fn mark_all(&mut self, northbound: &Northbound) {
        self.networks.mark_all();
        self.dirty.extend(self.pairs.values().map(|pair| pair.rank.clone()));
        self.mark_orphans(northbound);
    }

    pub(super) fn mark_orphans(&mut self, northbound: &Northbound) {
        let units = northbound.units();
        self.pending.orphans.extend(units.filter(|unit| match unit {
            UnitId::Peering(id) => !self.pair_of_id.contains_key(id),
            UnitId::Network(id) => self.networks.key_of(*id).is_none(),
        }));
    }

    /// Reads dirty networks; if one has changed, its pairs are dirty, too.
    fn survey(&mut self, declarations: &Declarations, northbound: &Northbound) {
        let differing = self.networks.refresh(declarations, northbound, &mut self.pending.networks);
        for network in &differing {
            for pair in self.networks.pairs_of(network) {
                self.mark(&pair);
            }
        }
        self.depths.review_kinds(&differing, &self.networks);
    }

    /// Decides dirty pairs, at most this many.
    pub fn resolve(&mut self, ground: &Ground, mut left: usize) -> Resolved {
        self.survey(ground.declarations, ground.northbound);
        while left > 0 && !self.dirty.is_empty() {
            while left > 0
                && let Some(rank) = self.dirty.pop_first()
            {
                self.resolve_pair(&rank.key, ground);
                left -= 1;
            }
            if self.dirty.is_empty() {
                let max_depth = ground.policy.max_mesh_depth;
                for pair in self.depths.take_marked(max_depth, &self.networks) {
                    self.mark(&pair);
                }
            }
        }
        if self.dirty.is_empty() {
            self.depths.survey(&self.networks);
        }
        let resolved = std::mem::take(&mut self.pending);
        self.decided.extend(resolved.pairs.iter().cloned());
        if self.dirty.is_empty() {
            for key in std::mem::take(&mut self.decided) {
                if let Some(pair) = self.pairs.get_mut(&key) {
                    pair.rested = None;
                }
                self.note(&key, ground);
            }
        }
        resolved
    }

    /// Notes the records of a pair's halves.
    fn note(&mut self, pair: &PeeringKey, ground: &Ground) {
        let halves: Vec<HalfKey> = self.halves_of(pair).cloned().collect();
        for half in &halves {
            let said = self.said(half, ground.declarations);
            if let Some((verdict, said)) = self.verdict(half).zip(said) {
                let expiry = ground.policy.request_expiry;
                self.records.note(said.value, verdict, expiry, ground.now);
            }
        }
    }

    /// Whether there are pairs left to decide.
    #[must_use]
    pub fn is_deciding(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The desired link between two networks, if any.
    #[must_use]
    pub fn link(&self, key: &PeeringKey) -> Option<&Link> {
        self.pairs.get(key)?.resolution.link.as_deref()
    }

    /// A pair's identity in names, as long as one side has declared it.
    #[must_use]
    pub fn id(&self, key: &PeeringKey) -> Option<Id> {
        self.pairs.get(key).map(|pair| pair.id)
    }

    /// The pair with this identity, as long as one side has declared it.
    #[must_use]
    pub fn pair_with(&self, id: Id) -> Option<&PeeringKey> {
        self.pair_of_id.get(&id)
    }

    /// The pair of a half.
    #[must_use]
    pub fn pair_of(&self, half: &HalfKey) -> Option<&PeeringKey> {
        self.pair_of_half.get(half)
    }

    /// The halves of a pair, of both sides.
    pub fn halves_of(&self, key: &PeeringKey) -> impl Iterator<Item = &HalfKey> {
        self.pairs.get(key).into_iter().flat_map(|pair| pair.halves.iter())
    }

    /// How deep paths over linked routers are. They depend on others' networks, so only operators may
    /// see the numbers.
    #[must_use]
    pub fn depths(&self) -> &Depths {
        &self.depths
    }

    /// The decision on a pair.
    #[must_use]
    pub fn resolution(&self, key: &PeeringKey) -> Option<&Resolution> {
        self.pairs.get(key).map(|pair| &pair.resolution)
    }

    /// The half of a pair's end that counts.
    pub(super) fn counting(&self, key: &PeeringKey, end: End) -> Option<&HalfKey> {
        of_end(&self.pairs.get(key)?.counting, end).as_ref()
    }

    /// The verdict on a half; a surplus half of the same pair conflicts.
    #[must_use]
    pub fn verdict(&self, half: &HalfKey) -> Option<Verdict> {
        let key = self.pair_of_half.get(half)?;
        super::pair::verdict(half, key, self.pairs.get(key)?, &self.networks)
    }

    /// The state of the networks.
    #[must_use]
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The last record of a half, for any target.
    #[must_use]
    pub fn record(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.records.get(half)
    }

    /// The desired record of a half.
    #[must_use]
    pub fn noted(&self, half: &HalfKey) -> Option<&Arc<HalfRecord>> {
        self.records.noted(half)
    }

    /// A half as its hosts declare it; if they differ, as it is linked now.
    #[must_use]
    pub fn said<'a>(
        &self,
        key: &HalfKey,
        declarations: &'a Declarations,
    ) -> Option<Said<'a, Half>> {
        self.records.said(key, declarations)
    }

    /// Moves a half to its present pair, if any.
    fn place(&mut self, key: &HalfKey, declarations: &Declarations, policy: &PolicySettings) {
        let half = self.said(key, declarations).map(|said| said.value);
        let pair = half.and_then(|half| self.pair_for(half, declarations));
        if let Some(old) = self.pair_of_half.remove(key) {
            if let Some(state) = self.pairs.get_mut(&old) {
                state.halves.remove(key);
            }
            self.mark(&old);
        }
        self.pending.networks.insert(key.network.clone());
        let Some(pair) = pair else {
            self.records.forget(key);
            let moved = self.places.remove(key);
            self.mark_halves(&moved);
            self.networks.withdraw(key);
            return;
        };
        self.networks.declare(key);
        self.pair_of_half.insert(key.clone(), pair.clone());
        let id = Id::of_peering(&pair);
        self.pair_of_id.insert(id, pair.clone());
        let state =
            self.pairs.entry(pair.clone()).or_insert_with(|| Box::new(PairState::new(id, &pair)));
        state.halves.insert(key.clone());
        self.networks.join(&pair);
        self.networks.imply(&pair, is_auto(&pair, policy));
        self.count(key, policy);
        self.mark(&pair);
    }

    /// Marks a pair dirty.
    pub fn mark(&mut self, key: &PeeringKey) {
        if let Some(pair) = self.pairs.get(key) {
            self.dirty.insert(pair.rank.clone());
        }
    }

    /// Notes for the quotas whether a half is linked.
    fn count(&mut self, half: &HalfKey, policy: &PolicySettings) {
        if self.places.limits() != policy.quotas {
            self.count_places(policy.quotas);
        }
        if policy.quotas != Quotas::NONE {
            let linked = self.records.linked(half).is_some();
            let moved = self.places.place(half, linked);
            self.mark_halves(&moved);
        }
    }

    fn mark_halves(&mut self, halves: &BTreeSet<HalfKey>) {
        for half in halves {
            if let Some(pair) = self.pair_of_half.get(half).cloned() {
                self.mark(&pair);
            }
        }
    }

    fn known(&self) -> Known<'_> {
        Known {
            networks: &self.networks,
            pairs: &self.pairs,
            records: &self.records,
            places: &self.places,
            depths: &self.depths,
            lent: &self.lent,
            pair_of_half: &self.pair_of_half,
        }
    }

    fn resolve_pair(&mut self, key: &PeeringKey, ground: &Ground) {
        let Ground { declarations, northbound, .. } = *ground;
        let Some(mut state) = self.pairs.remove(key) else { return };
        self.due.remove(state.resolution.due, key);
        let before = PairStatus { rank: state.rank.clone(), linked: self.networks.is_linked(key) };
        if state.halves.is_empty() {
            let old_wanted = state.wanted.clone();
            self.networks.set_wanted(key, state.want(Default::default()));
            self.mark_partners(&state.offered());
            self.networks.set_behind(key, None, &mut self.pending.networks);
            self.mark_rivals(key, &old_wanted, &state, true);
            self.lent.set(key, None, true).iter().for_each(|pair| self.mark(pair));
            self.networks.set_linked(key, false, &mut self.pending.networks);
            self.mark_borrowers(key);
            self.networks.leave(key);
            let after = PairStatus { rank: state.rank.clone(), linked: false };
            self.depths.review(key, &before, &after, false, &self.networks);
            self.pair_of_id.remove(&state.id);
            self.pending.orphans.insert(UnitId::Peering(state.id));
            return;
        }
        for half in state.halves.iter() {
            let end = end_of(key, &half.network);
            self.records.read_again(half, key_of_end(key, end.other()), northbound);
            self.count(half, ground.policy);
        }
        state.disputes = self.records.disputes(&state.halves, declarations);
        let (old_claims, old_offered) = (state.seen(), state.offered());
        if !self.pending.pairs.contains(key) && !self.decided.contains(key) {
            state.rested = state.resolution.link.take();
        }
        let inputs = self.known().inputs(key, &state, ground);
        let old_rank = std::mem::replace(&mut state.rank, inputs.rank(key));
        let old_wanted = state.wanted.clone();
        let old_held = (std::mem::take(&mut state.held), state.user);
        let (wanted, user, resolution) = {
            let known = self.known();
            let pair = known.facts(key, &state, &inputs, ground);
            ((wanted(&pair), watched(&pair)), user(&pair), decide(&pair))
        };
        state.held = inputs.held(&state.rank, &wanted.0);
        state.counting = inputs.counting();
        state.resolution = resolution;
        self.networks.set_wanted(key, state.want(wanted));
        state.user = user;
        self.networks.set_user(key, user.map(|user| key_of_end(key, user.end)));
        let claims_differ = old_claims != state.seen();
        let moved =
            old_rank != state.rank || (&old_held.0, old_held.1) != (&state.held, state.user);
        if claims_differ {
            self.mark_borrowers(key);
        }
        if moved || claims_differ {
            self.mark_rivals(key, &old_wanted, &state, moved);
        }
        let offered = state.offered();
        if old_offered != offered {
            [&old_offered, &offered].into_iter().for_each(|it| self.mark_partners(it));
        }
        let link = state.resolution.link.as_deref();
        let linked = link.is_some();
        self.networks.set_behind(key, link, &mut self.pending.networks);
        self.lent.set(key, link, moved).iter().for_each(|pair| self.mark(pair));
        self.networks.set_linked(key, linked, &mut self.pending.networks);
        let after = PairStatus { rank: state.rank.clone(), linked };
        let refused = state.resolution.is_too_deep();
        self.depths.review(key, &before, &after, refused, &self.networks);
        self.due.insert(state.resolution.due, key);
        self.pairs.insert(key.clone(), state);
        self.pending.pairs.insert(key.clone());
    }

    /// Notes that the routes of a pair changed: NAT exemptions and guest routes, which are in rows
    /// of others, depend on them.
    fn mark_borrowers(&mut self, key: &PeeringKey) {
        let ends = [key.a(), key.b()].into_iter().filter(|end| self.networks.borrows(end));
        self.pending.networks.extend(ends.cloned());
    }

    /// Marks the pairs of the other halves of chains.
    fn mark_partners(&mut self, offered: &[Option<Offered>; 2]) {
        let halves = offered.iter().flatten().flat_map(Offered::partners);
        let pairs: BTreeSet<_> =
            halves.filter_map(|half| self.pair_of_half.get(&half).cloned()).collect();
        pairs.iter().for_each(|pair| self.mark(pair));
    }

    /// Marks the competitors of a changed pair dirty; those with a higher rank only if it `moved`:
    /// its rank or its prefixes changed.
    fn mark_rivals(
        &mut self,
        key: &PeeringKey,
        old: &[Prefixes; 2],
        state: &PairState,
        moved: bool,
    ) {
        self.lent.balancing.beside(key, old, &state.wanted).iter().for_each(|pair| self.mark(pair));
        for rival in self.networks.rivals(key, old, &state.wanted) {
            let after = self.pairs.get(&rival).is_some_and(|other| other.comes_after(&state.rank));
            if after || moved {
                self.mark(&rival);
            }
        }
    }
}
