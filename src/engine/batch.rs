//! Which units one transaction writes.
//!
//! A batch consists of groups, and each group must be committed whole: a pair with its networks
//! where those change, a network that changes with all its pairs. Several groups share a
//! transaction, because each transaction costs the server and ovn-northd something. A new network
//! does not bind its pairs, unless we search for a refused unit: its first pair includes the
//! network, and the others may follow later. A unit that the server refuses waits. But it does not
//! wait while a unit that needs it is built, nor while a unit that it needs is removed: the server
//! refuses a group whole.
//!
//! The queue decides which group is next. A pair with differences in records only includes the
//! others that the same registration records: to write one of these costs the server as much as to
//! write all of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::declare::PeeringKey;
use crate::northbound::{End, Id, Northbound, UnitId};
use crate::peering::{Node, Resolver};
use crate::program::Transaction;

use super::damping::Trace;
use super::state::State;
use super::unit_changes::{Patch, UnitChanges, unit_changes};
use super::writer::{Role, Writer};

/// The size of a group with rows of a link, in records.
const GROUP: usize = 64;
/// The search for units stops when this many wait for a transaction under way.
const MOST_POSTPONED: usize = 64;

/// The limits of one transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) role: Role,
    /// The most groups.
    pub(super) most_groups: usize,
    /// Whether a new network binds its pairs too. It does while we search for a refused unit.
    pub(super) whole: bool,
}

/// The content of one transaction.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Units that differ.
    pub(super) units: BTreeSet<UnitId>,
    /// Units without differences.
    pub(super) clean: BTreeSet<UnitId>,
    /// Units that differ. The active instance has to repair them.
    pub(super) deferred: BTreeSet<UnitId>,
    /// Units that wait for a transaction under way, with every unit that must be committed with
    /// them.
    pub(super) postponed: BTreeSet<UnitId>,
    /// Units that differ and are damped.
    pub(super) held: BTreeSet<UnitId>,
    /// What the transaction does, by unit.
    pub(super) traces: BTreeMap<UnitId, Trace>,
    /// The number of its groups.
    pub(super) groups: usize,
    /// The size of its groups, in records.
    size: usize,
    /// Units of the transactions under way.
    under_way: BTreeSet<UnitId>,
    /// The networks of the pairs among them.
    networks_under_way: BTreeSet<UnitId>,
    /// Whether the units under way or the postponed ones include a link that nobody declares any
    /// more.
    link_leaves: bool,
    /// Units that wait because they are refused or damped, without those in this batch.
    refused: BTreeSet<UnitId>,
    /// Units that the server refused, and that still differed when we last compared them.
    refused_as_holder: BTreeSet<UnitId>,
    role: Role,
    /// Whether a new network binds its pairs too.
    whole: bool,
    /// Whether a pair with differences in records only counts for less than a group.
    together: bool,
    transaction: Transaction,
    patches: BTreeMap<Id, Patch>,
}

impl Batch {
    /// Takes groups of dirty units until enough of them differ. Units that were taken are no longer
    /// dirty. Units that depend on a transaction which the `writer` has under way stay dirty.
    pub(super) fn gather(
        state: &mut State,
        northbound: &Northbound,
        extent: Extent,
        writer: &Writer,
    ) -> Self {
        let Extent { role, most_groups, whole } = extent;
        let together = !whole && most_groups > 1;
        let under_way: BTreeSet<UnitId> = writer.units_under_way().collect();
        let networks_under_way =
            under_way.iter().flat_map(|unit| bound(*unit, &state.resolver)).collect();
        let link_leaves = under_way.iter().any(|unit| is_leaving_link(*unit, &state.resolver));
        let refused = writer.refused().chain(writer.damping.waiting()).collect();
        let refused_as_holder = writer.refused_as_holder.clone();
        let mut batch = Self {
            role,
            whole,
            together,
            under_way,
            networks_under_way,
            link_leaves,
            refused,
            refused_as_holder,
            ..Self::default()
        };
        let most = most_groups.saturating_mul(GROUP);
        // Standbys with the same files begin at different places. If two insert the same
        // registration, the server refuses one of the transactions whole.
        let from = (role == Role::Standby).then(|| Id::of_host(state.declarations.host()));
        'search: while batch.size < most && batch.postponed.len() < MOST_POSTPONED {
            let Some((unit, place)) = state.dirty.pop(from) else { break };
            let mut next = Some(unit);
            while let Some(unit) = next.take() {
                let replaces = state.replaces(unit);
                if replaces && !batch.is_alone() {
                    batch.postponed.insert(unit);
                    break 'search;
                }
                let only_recorded = batch.holds(unit, state, northbound, writer)
                    || batch.take_group(unit, state, northbound);
                // If the server refuses it, that is for what concerns this link.
                if replaces {
                    break 'search;
                }
                if batch.together && only_recorded && batch.size < most {
                    next = state.dirty.pop_beside(&place);
                }
            }
        }
        state.mark_dirty(batch.postponed.iter().copied(), Some(northbound));
        batch.held.retain(|unit| batch.refused.contains(unit));
        batch
    }

    /// Whether nothing is to be written, and nothing is under way.
    fn is_alone(&self) -> bool {
        self.units.is_empty() && self.under_way.is_empty()
    }

    /// The transaction; none if there are no differences.
    pub(super) fn transaction(self, northbound: &Northbound) -> Option<Transaction> {
        let mut transaction = self.transaction;
        for (network, patch) in &self.patches {
            transaction.registrations.extend(patch.diff(*network, northbound));
        }
        transaction.declares_only = self.role == Role::Standby;
        (!transaction.is_empty()).then_some(transaction)
    }

    /// Whether a unit that differs has to wait because it is damped. A group of another unit may
    /// still include it.
    fn holds(
        &mut self,
        unit: UnitId,
        state: &State,
        northbound: &Northbound,
        writer: &Writer,
    ) -> bool {
        if !writer.damping.pauses(unit) {
            return false;
        }
        let changes = self.permitted(unit_changes(unit, state, northbound), state, northbound);
        let holds = changes.differs(northbound) && {
            let trace = Trace::of(unit, &changes, &state.resolver, northbound);
            !writer.damping.lets_through(unit, trace)
        };
        if holds {
            self.held.insert(unit);
            self.refused.insert(unit);
        }
        holds
    }

    /// Takes a unit and all units that it binds. Returns whether the differences are in records
    /// only.
    fn take_group(&mut self, first: UnitId, state: &mut State, northbound: &Northbound) -> bool {
        self.refused.remove(&first);
        let mut queue = vec![first];
        let mut group = Vec::new();
        while let Some(unit) = queue.pop() {
            let (bound, partners) =
                (bound(unit, &state.resolver), partners(unit, &state.resolver, northbound));
            let mut needed = bound.iter().chain(&partners);
            let mut waits = self.follows(unit) || needed.any(|unit| self.is_held(*unit));
            let changes =
                if waits { UnitChanges::default() } else { unit_changes(unit, state, northbound) };
            let differs = changes.differs(northbound);
            // The pair of a half that ends may still be under way.
            waits |= self.networks_under_way.contains(&unit) && changes.sets_halves(northbound);
            let binds =
                differs && (self.whole || changes.binds(northbound) && !is_new(unit, northbound));
            let pairs = if binds { self.bound_pairs(unit, state, northbound) } else { Vec::new() };
            let standing = standing(unit, &changes, northbound);
            waits |= pairs.iter().chain(&standing).any(|unit| self.is_held(*unit));
            let all_well = self.refused.is_empty() && self.refused_as_holder.is_empty();
            let builds = all_well || changes.builds(northbound);
            for unit in bound {
                // A unit that only deletes rows does not wait for a refused one.
                let blocked = !builds && self.refused_as_holder.contains(&unit);
                if !blocked && self.claim(unit, builds, state) {
                    queue.push(unit);
                }
            }
            queue.extend(partners.into_iter().filter(|unit| self.claim(*unit, differs, state)));
            queue.extend(pairs.into_iter().filter(|unit| self.claim(*unit, false, state)));
            queue.extend(standing.into_iter().filter(|unit| self.claim(*unit, true, state)));
            group.push((unit, changes, differs));
            if waits {
                for unit in group.into_iter().map(|(unit, ..)| unit).chain(queue) {
                    self.link_leaves |= is_leaving_link(unit, &state.resolver);
                    self.postponed.insert(unit);
                }
                return false;
            }
        }
        let mut sizes = Vec::new();
        for (unit, changes, differs) in group {
            if differs {
                sizes.extend(self.take(unit, changes, state, northbound));
            } else {
                self.clean.insert(unit);
            }
        }
        let size: Option<usize> = sizes.iter().copied().sum();
        let counts = usize::from(!sizes.is_empty());
        self.groups += counts;
        self.size += counts * size.filter(|_| self.together).unwrap_or(GROUP);
        size.is_some()
    }

    /// The pairs that a network which changes binds: those with a link, or with rows of one.
    fn bound_pairs(&self, unit: UnitId, state: &State, northbound: &Northbound) -> Vec<UnitId> {
        let has_link = |unit: &UnitId| {
            let UnitId::Peering(id) = unit else { return false };
            let pair = state.resolver.pair_with(*id);
            pair.is_some_and(|pair| state.resolver.link(pair).is_some())
                || northbound.has_rows(*unit)
        };
        let mut pairs = pairs_of(unit, &state.resolver);
        pairs.retain(|unit| self.whole || has_link(unit));
        pairs
    }

    /// Whether a group takes a unit: a dirty one, or a refused one if it is `recalled`. A unit in a
    /// group is neither any more, so no unit is taken twice.
    fn claim(&mut self, unit: UnitId, recalled: bool, state: &mut State) -> bool {
        let dirty = state.dirty.remove(unit).is_some();
        let refused = (dirty || recalled) && self.refused.remove(&unit);
        dirty || refused
    }

    /// Whether a unit has to wait for the end of a transaction under way.
    fn is_held(&self, unit: UnitId) -> bool {
        self.postponed.contains(&unit) || self.under_way.contains(&unit)
    }

    /// The same, for a unit of a group. The uplink anti-spoof of a network also stays until the
    /// links that nobody declares any more are gone: their networks are not known.
    fn follows(&self, unit: UnitId) -> bool {
        self.is_held(unit) || self.link_leaves && matches!(unit, UnitId::Network(_))
    }

    /// Adds a unit that differs. Returns how many records it writes: none if this instance may not
    /// write it, and none as a number if it also writes rows.
    fn take(
        &mut self,
        unit: UnitId,
        changes: UnitChanges,
        state: &State,
        northbound: &Northbound,
    ) -> Option<Option<usize>> {
        let changes = self.permitted(changes, state, northbound);
        if !changes.differs(northbound) {
            self.deferred.insert(unit);
            return None;
        }
        self.traces.insert(unit, Trace::of(unit, &changes, &state.resolver, northbound));
        self.units.insert(unit);
        let size = changes.records();
        self.add(changes);
        Some(size)
    }

    /// The part of some changes that this instance may write.
    fn permitted(
        &self,
        changes: UnitChanges,
        state: &State,
        northbound: &Northbound,
    ) -> UnitChanges {
        match self.role {
            Role::Active => changes,
            Role::Standby => {
                let older = state.recency.older().is_some();
                changes.own(state.declarations.host(), older, northbound)
            }
        }
    }

    fn add(&mut self, changes: UnitChanges) {
        self.transaction.rows.extend(changes.rows);
        self.transaction.borrowed.extend(changes.borrowed);
        self.transaction.replaced.extend(changes.replaced);
        for (network, patch) in changes.patches {
            self.patches.entry(network).or_default().merge(patch);
        }
    }
}

/// Whether it is a link that nobody declares any more.
fn is_leaving_link(unit: UnitId, resolver: &Resolver) -> bool {
    matches!(unit, UnitId::Peering(id) if resolver.pair_with(id).is_none())
}

/// The units that a dirty unit includes: a pair depends on its networks.
fn bound(unit: UnitId, resolver: &Resolver) -> Vec<UnitId> {
    let UnitId::Peering(id) = unit else { return Vec::new() };
    let networks = resolver.pair_with(id).into_iter().flat_map(|key| [key.a(), key.b()]);
    networks.map(|key| UnitId::Network(Id::of_network(key))).collect()
}

/// The pairs with which a pair has chains through appliances, or has rows of them: both directions
/// are there, or neither.
fn partners(unit: UnitId, resolver: &Resolver, northbound: &Northbound) -> BTreeSet<UnitId> {
    let UnitId::Peering(id) = unit else { return BTreeSet::new() };
    let link = resolver.pair_with(id).and_then(|pair| resolver.link(pair));
    let chains = link.into_iter().flat_map(|link| End::BOTH.map(|end| link.chains_from(end)));
    let wanted = chains.flatten().filter_map(|chain| Some(chain.other.as_ref()?.0));
    wanted.chain(northbound.chained_with(id)).map(UnitId::Peering).collect()
}

/// The declared pairs among some units.
pub(super) fn pairs_among(
    units: &BTreeSet<UnitId>,
    resolver: &Resolver,
) -> impl Iterator<Item = PeeringKey> {
    units.iter().filter_map(|unit| match unit {
        UnitId::Peering(id) => resolver.pair_with(*id).cloned(),
        UnitId::Network(_) => None,
    })
}

/// The pair that a unit is, and the pairs of a network.
pub(super) fn pairs_with(unit: UnitId, resolver: &Resolver) -> Vec<PeeringKey> {
    let pairs = pairs_of(unit, resolver).into_iter().chain([unit]);
    let pairs = pairs.filter_map(|unit| match unit {
        UnitId::Peering(id) => resolver.pair_with(id).cloned(),
        UnitId::Network(_) => None,
    });
    pairs.collect()
}

/// The pairs of a network.
fn pairs_of(unit: UnitId, resolver: &Resolver) -> Vec<UnitId> {
    let UnitId::Network(id) = unit else { return Vec::new() };
    let networks = resolver.networks();
    let node = networks.key_of(id).and_then(|key| networks.node(key));
    let pairs = node.into_iter().flat_map(Node::pairs);
    pairs.filter_map(|pair| resolver.id(pair).map(UnitId::Peering)).collect()
}

/// The links on a network that is to lose its uplink anti-spoof. It stays as long as they exist.
fn standing(unit: UnitId, changes: &UnitChanges, northbound: &Northbound) -> Vec<UnitId> {
    if !matches!(unit, UnitId::Network(_)) {
        return Vec::new();
    }
    let links =
        changes.losing_policies().into_iter().flat_map(|router| northbound.peerings_on(router));
    links.map(UnitId::Peering).collect()
}

/// Whether it is a network without a registration. Then no link depends on it yet.
fn is_new(unit: UnitId, northbound: &Northbound) -> bool {
    matches!(unit, UnitId::Network(id) if northbound.registration(id).is_none())
}
