//! Limits how often a unit is written again and again, and reports it.
//!
//! Another client may undo our rows as fast as we restore them, and a tenant may change its half a
//! thousand times a second. A write of a unit counts where it repeats an earlier one, or where this
//! host's files asked for it. From the ninth that counts on, the unit waits before the next write
//! ([`pauses`](super::pauses)). A write that removes a link does not wait if the write before it
//! built something. So a half that flaps ends closed, and a contested link ends in place.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::northbound::declared::Entry;
use crate::northbound::{Northbound, UnitId};
use crate::peering::Resolver;
use crate::program::{RegistrationDiff, RowDiff, identity_of};

use super::Deadline;
use super::pauses::Pauses;
use super::unit_changes::UnitChanges;

/// How many writes count before the first pause.
const AT_ONCE: u32 = 8;
/// How many different writes of a unit are remembered until it is calm. Each further one counts,
/// whatever it does.
const MOST_DIFFERENT: usize = 64;

/// Why a unit is written again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Another client undoes what we write.
    Contested,
    /// Its declarations change again and again.
    Flapping,
}

/// Where the declarations of a unit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DeclaredBy {
    /// By another host, or by a command: their own limits bound how often.
    Elsewhere,
    /// In this host's files: each write that follows counts.
    Here,
}

/// What one write of a unit does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace {
    /// A hash of the rows and entries that it writes.
    digest: u64,
    /// Whether it removes a link or a declaration.
    cuts: bool,
}

/// What a unit has written since it was last calm.
#[derive(Debug)]
struct Written {
    digests: Vec<u64>,
    /// The cause of the last write that counted.
    cause: Cause,
    /// Whether the last write removed a link or a declaration.
    cut: bool,
}

/// The writes of all units that are not calm yet.
#[derive(Debug)]
pub(super) struct Damping {
    now: Duration,
    pauses: Pauses<UnitId>,
    written: BTreeMap<UnitId, Written>,
    /// Units whose declarations changed since their last write.
    declared: BTreeMap<UnitId, DeclaredBy>,
    /// The units of each transaction under way, with the change of declarations behind the write.
    under_way: BTreeMap<u64, Vec<(UnitId, Trace, Option<DeclaredBy>)>>,
    /// Units that differ, and wait for the end of their pause.
    waiting: BTreeSet<UnitId>,
    /// Units that had to wait since they were last calm.
    damped: BTreeMap<UnitId, Cause>,
}

impl Default for Damping {
    fn default() -> Self {
        Self {
            now: Duration::ZERO,
            pauses: Pauses::new(AT_ONCE),
            written: BTreeMap::new(),
            declared: BTreeMap::new(),
            under_way: BTreeMap::new(),
            waiting: BTreeSet::new(),
            damped: BTreeMap::new(),
        }
    }
}

impl Damping {
    /// The declarations of these units changed.
    pub(super) fn declared(&mut self, units: impl IntoIterator<Item = UnitId>, by: DeclaredBy) {
        for unit in units {
            let known = self.declared.entry(unit).or_insert(by);
            *known = by.max(*known);
        }
    }

    /// Time has passed. Returns the damped units that have become calm.
    pub(super) fn pass(&mut self, now: Duration) -> Vec<(UnitId, Cause)> {
        self.now = now;
        let mut calm = Vec::new();
        for unit in self.pauses.pass(now) {
            self.written.remove(&unit);
            calm.extend(self.damped.remove(&unit).map(|cause| (unit, cause)));
        }
        calm
    }

    /// Takes the units whose pause is over.
    pub(super) fn due(&mut self) -> Vec<UnitId> {
        let (pauses, now) = (&self.pauses, self.now);
        let mut due = Vec::new();
        self.waiting.retain(|unit| {
            let waits = pauses.waits(unit, now);
            if !waits {
                due.push(*unit);
            }
            waits
        });
        due
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let ends = self.waiting.iter().filter_map(|unit| self.pauses.until(unit));
        let calm = self.damped.keys().filter_map(|unit| self.pauses.forgotten_at(unit));
        let at = ends.chain(calm).min()?;
        Some(Deadline { at, why: "a unit that was written again and again waits" })
    }

    /// Whether a unit has to wait before its next write.
    pub(super) fn pauses(&self, unit: UnitId) -> bool {
        self.pauses.waits(&unit, self.now)
    }

    /// Whether this write removes something, and the one before it did not.
    pub(super) fn lets_through(&self, unit: UnitId, trace: Trace) -> bool {
        trace.cuts && self.written.get(&unit).is_some_and(|written| !written.cut)
    }

    /// These units differ and have to wait. Returns those that had not been damped before.
    pub(super) fn hold(&mut self, units: BTreeSet<UnitId>) -> Vec<(UnitId, Cause)> {
        let cause = |unit| self.written.get(unit).map_or(Cause::Contested, |it| it.cause);
        let fresh = units.iter().filter(|unit| !self.damped.contains_key(unit));
        let fresh: Vec<_> = fresh.map(|unit| (*unit, cause(unit))).collect();
        self.damped.extend(fresh.iter().copied());
        self.waiting.extend(units);
        fresh
    }

    /// All units that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = UnitId> {
        self.waiting.iter().copied()
    }

    /// Whether a unit waits.
    pub(super) fn is_waiting(&self, unit: UnitId) -> bool {
        self.waiting.contains(&unit)
    }

    /// Why a unit is damped, if it is.
    pub(super) fn cause(&self, unit: UnitId) -> Option<Cause> {
        self.damped.get(&unit).copied()
    }

    /// All units that are damped.
    pub(super) fn damped(&self) -> impl Iterator<Item = (UnitId, Cause)> {
        self.damped.iter().map(|(unit, cause)| (*unit, *cause))
    }

    /// A unit has no differences.
    pub(super) fn rest(&mut self, unit: UnitId) {
        self.waiting.remove(&unit);
        self.declared.remove(&unit);
    }

    /// A transaction is sent.
    pub(super) fn sent(&mut self, id: u64, traces: BTreeMap<UnitId, Trace>) {
        let sent = traces.into_iter().map(|(unit, trace)| {
            self.waiting.remove(&unit);
            (unit, trace, self.declared.remove(&unit))
        });
        let sent = sent.collect();
        self.under_way.insert(id, sent);
    }

    /// A transaction has ended. One that failed does not count.
    pub(super) fn ended(&mut self, id: u64, committed: bool) {
        for (unit, trace, declared) in self.under_way.remove(&id).unwrap_or_default() {
            if committed {
                self.wrote(unit, trace, declared);
            } else if let Some(by) = declared {
                self.declared([unit], by);
            }
        }
    }

    fn wrote(&mut self, unit: UnitId, trace: Trace, declared: Option<DeclaredBy>) {
        let written = self.written.entry(unit).or_insert(Written {
            digests: Vec::new(),
            cause: Cause::Contested,
            cut: false,
        });
        let repeats = written.digests.contains(&trace.digest);
        let here = declared == Some(DeclaredBy::Here);
        let again = here || repeats || written.digests.len() >= MOST_DIFFERENT;
        if !repeats && written.digests.len() < MOST_DIFFERENT {
            written.digests.push(trace.digest);
        }
        if again {
            let declared = declared.is_some();
            written.cause = if declared { Cause::Flapping } else { Cause::Contested };
        }
        written.cut = trace.cuts;
        self.pauses.note(&unit, again, self.now);
    }
}

impl Trace {
    /// What these changes of a unit do. The hash covers where rows and entries are, and the columns
    /// of our rows. It covers neither UUIDs nor the text of entries: both differ each time.
    pub(super) fn of(
        unit: UnitId,
        changes: &UnitChanges,
        resolver: &Resolver,
        northbound: &Northbound,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        for row in &changes.rows {
            match row {
                RowDiff::Insert(row) => row.hash(&mut hasher),
                RowDiff::Update { row, columns, tags, references, .. } => {
                    (row, columns, tags, references).hash(&mut hasher)
                }
                RowDiff::Delete { table, uuid, parent, .. } => {
                    (table, parent, identity_of(*table, *uuid, northbound)).hash(&mut hasher);
                }
            }
        }
        for borrowed in &changes.borrowed {
            let field = &borrowed.field;
            (field.table, field.row, field.column, field.kind, &borrowed.value).hash(&mut hasher);
        }
        for (network, patch) in &changes.patches {
            network.hash(&mut hasher);
            for diff in patch.diff(*network, northbound) {
                hash_registration(&diff, &mut hasher);
            }
        }
        Self { digest: hasher.finish(), cuts: cuts(unit, changes, resolver) }
    }

    /// A write that restores the tag of a registration.
    pub(super) fn of_tag() -> Self {
        Self { digest: 0, cuts: false }
    }
}

fn hash_registration(diff: &RegistrationDiff, hasher: &mut DefaultHasher) {
    match diff {
        RegistrationDiff::Insert { name, addresses, entries } => {
            (name, addresses).hash(hasher);
            entries.iter().for_each(|(key, _)| key.hash(hasher));
        }
        RegistrationDiff::Update { name, addresses, entries, .. } => {
            (name, addresses).hash(hasher);
            entries.iter().for_each(|(key, text)| (key, text.is_some()).hash(hasher));
        }
        RegistrationDiff::Delete { .. } => "delete".hash(hasher),
    }
}

/// Whether these changes remove a link, or a half that this host declares.
fn cuts(unit: UnitId, changes: &UnitChanges, resolver: &Resolver) -> bool {
    let withdraws = |(key, text): (&String, &Option<String>)| {
        text.is_none() && matches!(Entry::parse(key), Some(Entry::Half(..)))
    };
    match unit {
        UnitId::Peering(id) => {
            resolver.pair_with(id).and_then(|pair| resolver.link(pair)).is_none()
        }
        UnitId::Network(_) => changes
            .patches
            .values()
            .any(|patch| patch.removed || patch.entries.iter().any(withdraws)),
    }
}
