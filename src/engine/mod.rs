//! Joins the pure rooms: events in, transactions and views out.
//!
//! Owns what is in effect (declarations, the northbound as read), what is dirty, what is under way
//! and what waits. May not touch tokio, sockets, files or a clock: `now` is a parameter. Invariants:
//! two transactions are under way at the most, and no unit of one has to do with a unit of the other;
//! a second `handle` of the same event yields no transaction; nothing is written before both the declarations and the northbound were read, nor
//! without the lock.

mod batch;
mod change;
mod changes;
mod damped;
mod damping;
mod drift;
mod expiry;
mod gate;
mod guests;
mod held;
mod history;
mod hosts;
mod identity;
mod northd;
mod notice;
mod pauses;
mod plan;
mod progress;
mod queue;
mod registrations;
mod shown;
mod state;
mod submit;
mod takeover;
mod troubles;
mod unbound;
mod views;
mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use change::{Change, OfHalf, Outlook, PrefixChange};
pub use held::HeldElse;
pub use hosts::NotForgotten;
pub use notice::{Field, Level, Notice};
pub use plan::PlanBasis;
pub use writer::Submission;

use crate::declare::{Changed, Diagnostic, NetworkKey, ParsedFile, Reading, Settings};
use crate::northbound::tables::{NB_GLOBAL, unknown_columns};
use crate::northbound::{Id, Northbound, Touched, UnitId};
use crate::now::Now;
use crate::ovsdb::{self, Inconsistent};
use crate::peering::Node;
use crate::view::{Counters, NorthboundView};

use batch::Role;
use changes::Changes;
use drift::Drift;
use expiry::Expiry;
use identity::Identity;
use northd::Northd;
use progress::Progress;
use state::State;
use takeover::Takeover;
use troubles::Troubles;
use writer::Writer;

/// Everything that can happen to the engine.
#[derive(Debug)]
pub enum Event {
    /// Declaration files were read.
    Reading(Reading<ParsedFile>),
    /// The northbound client has something to tell.
    Northbound(ovsdb::Event<Northbound>),
    /// The operator confirms what is held of this project, or all.
    Confirm(Option<String>),
    /// A deadline has passed.
    Tick,
}

/// When the engine wants to be woken without an event, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// In terms of [`Now::since_start`].
    pub at: Duration,
    /// For logs.
    pub why: &'static str,
}

/// The wall clock may be put forward while nothing else happens: while something waits for it, it
/// is looked at so often.
const LONGEST_TRUST_IN_CLOCK: Duration = Duration::from_secs(60);

/// Pairs that are decided for one event: what is declared in one file may be so much that whatever else happens would have
/// to wait for it.
const MOST_DECIDED: usize = 128;

/// Whether everything is to be read anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Resync {
    #[default]
    Needless,
    /// An update did not follow from the rows.
    Needed,
    /// The client was asked for it.
    UnderWay,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    state: State,
    northbound: Option<Arc<Northbound>>,
    connection: NorthboundView,
    resync: Resync,
    progress: Progress,
    northd: Northd,
    writer: Writer,
    takeover: Takeover,
    identity: Identity,
    troubles: Troubles,
    expiry: Expiry,
    wants_lock: bool,
    /// The version of the newer daemon that has written to the northbound: this one writes nothing then.
    newer: Option<u32>,
    changes: Changes,
    drift: Drift,
    /// What is wrong with the settings file as it was read last.
    settings_faults: Vec<Diagnostic>,
    counters: Counters,
    /// When it was handed something last.
    last: Option<Now>,
    /// So many pairs are decided for one event.
    most_decided: usize,
}

impl Engine {
    /// An engine that has read nothing yet. `host` marks what this host declares.
    #[must_use]
    pub fn new(settings: &Settings, host: String) -> Self {
        Self {
            takeover: Takeover::new(&host),
            identity: Identity::default(),
            troubles: Troubles::default(),
            expiry: Expiry::default(),
            wants_lock: false,
            newer: None,
            state: State::new(settings, host.into()),
            northbound: None,
            connection: NorthboundView::default(),
            resync: Resync::default(),
            progress: Progress::default(),
            northd: Northd::default(),
            writer: Writer::default(),
            changes: Changes::default(),
            drift: Drift::default(),
            settings_faults: Vec::new(),
            counters: Counters::default(),
            last: None,
            most_decided: MOST_DECIDED,
        }
    }

    /// Decides so many pairs for one event, instead of 128. For tests; operators have no such choice.
    pub fn decide_at_once(&mut self, pairs: usize) {
        self.most_decided = pairs.max(1);
    }

    /// Whether pairs are left to be decided, at the next event: until then nothing is written, nothing of it is
    /// published, and views are half of the old and half of the new.
    #[must_use]
    pub fn is_deciding(&self) -> bool {
        self.state.begun && self.northbound.is_some() && self.state.resolver.is_deciding()
    }

    /// Takes over changed settings; the readings that follow are judged by them.
    pub fn configure(&mut self, settings: &Settings) {
        let (northbound, rules) =
            (self.northbound.as_deref(), self.state.declarations.rules.own().clone());
        let mut changed = self.state.configure(settings, northbound);
        // What a newer version says is not read; when it is gone, everything is.
        let northbound = northbound.filter(|_| self.newer.is_none());
        if let Some(northbound) =
            northbound.filter(|_| rules != *self.state.declarations.rules.own())
        {
            changed.extend(self.state.register_all(northbound));
        }
        self.changes.declared(&changed, &self.state.declarations);
    }

    /// Notes what is wrong with the settings file, whether its settings are in effect or not.
    pub fn note_settings(&mut self, faults: Vec<Diagnostic>) {
        self.settings_faults = faults;
    }

    /// Adds to the stream of changes what the shell did.
    pub fn report(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, event: Event, now: Now) {
        match event {
            Event::Reading(reading) => self.read(reading),
            Event::Northbound(event) => self.northbound_event(event, now),
            Event::Confirm(project) => {
                let changed = self.state.declarations.local.confirm(project.as_deref());
                self.declared(&changed);
            }
            Event::Tick => {}
        }
        let went_back = self.last.is_some_and(|last| now.wall < last.wall);
        self.last = Some(now);
        self.state.wake(now.wall, went_back, self.northbound.as_deref());
        let calm = self.writer.damping.pass(now.since_start);
        self.note_calm(&calm);
        self.writer.wake(&mut self.state, self.northbound.as_deref(), now);
        if self.identity.pass(now.since_start) {
            self.host_taken(false);
        }
        self.changes.expiry(self.expiry.news(now.wall));
        self.resolve(now);
        self.watch_holder(now);
        if self.takeover.takes(now.since_start) {
            self.wants_lock = true;
            self.changes.push(Change::LockTakenOver);
        }
    }

    fn host_taken(&mut self, taken: bool) {
        let host = self.state.declarations.host().to_string();
        self.changes.push(Change::HostName { host, taken });
        self.changes.all_states();
    }

    /// Whether the lock of this host's name is to be taken from whoever holds it.
    pub fn wants_identity(&mut self) -> bool {
        self.identity.claims()
    }

    /// Whether another instance speaks for this host, and lives: this one writes nothing.
    #[must_use]
    pub fn is_host_taken(&self) -> bool {
        self.identity.is_taken()
    }

    /// Whether the lock is to be taken from a holder that is silent.
    pub fn wants_lock(&mut self) -> bool {
        std::mem::take(&mut self.wants_lock)
    }

    /// Notes whether the holder of the lock has something to do. Where hosts have other rules, it may
    /// be right to do nothing, and both would write by turns.
    fn watch_holder(&mut self, now: Now) {
        let idle = !self.connection.synced
            || self.newer.is_some()
            || !self.identity.may_write()
            || !self.state.declarations.rules.agree();
        if self.writer.role != Some(Role::Standby) || idle {
            self.takeover.rest();
            return;
        }
        let waiting = self.writer.waits_for_holder(takeover::MOST_COUNTED);
        self.takeover.watch(waiting, now.since_start);
    }

    /// Whether the replica does not fit the server's updates: the client must read anew.
    pub fn wants_resync(&mut self) -> bool {
        let wants = self.resync == Resync::Needed;
        if wants {
            self.resync = Resync::UnderWay;
        }
        wants
    }

    /// The next moment at which something is to be done without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        let awaits = !self.writer.under_way.is_empty();
        let deadlines = self.writer.deadline().into_iter().chain(self.takeover.deadline(awaits));
        let deadlines = deadlines.chain(self.identity.deadline());
        let northd = self.northd.deadline(self.may_ask_northd());
        let northd = northd.filter(|_| self.connection.synced);
        let deadlines = deadlines.chain(self.lifetime()).chain(self.decision()).chain(northd);
        deadlines.min_by_key(|deadline| deadline.at)
    }

    fn decision(&self) -> Option<Deadline> {
        let at = self.last.filter(|_| self.is_deciding())?.since_start;
        Some(Deadline { at, why: "pairs are left to be decided" })
    }

    /// When a request expires, or a half that ended is to be forgotten.
    fn lifetime(&self) -> Option<Deadline> {
        let last = self.last?;
        let due = self.state.due().into_iter().chain(self.expiry.due(last.wall)).min()?;
        let wait = Duration::try_from(due.duration_since(last.wall)).unwrap_or_default();
        let at = last.since_start + wait.min(LONGEST_TRUST_IN_CLOCK);
        Some(Deadline { at, why: "time changes what is said" })
    }

    /// What has changed since the last call, for all who subscribe to it.
    pub fn changes(&mut self) -> Vec<Change> {
        if self.is_deciding() {
            return Vec::new();
        }
        self.compare_states();
        self.changes.hosts(&self.state.declarations);
        self.changes.take()
    }

    fn read(&mut self, reading: Reading<ParsedFile>) {
        let changed = self.state.declarations.local.apply(reading);
        let before = self.units_declared(&changed);
        self.declared(&changed);
        let after = self.units_declared(&changed);
        self.writer.damping.declared(before.into_iter().chain(after));
        self.changes.local(&self.state.declarations.local);
    }

    /// The units that these halves are written with. What is read at the start is no change.
    fn units_declared(&self, changed: &Changed) -> Vec<UnitId> {
        let resolver = &self.state.resolver;
        let halves = || changed.halves.iter().filter(|_| self.state.begun);
        // A file's halves are of few networks, and an identity is a digest.
        let networks: BTreeSet<&NetworkKey> = halves().map(|half| &half.network).collect();
        let networks = networks.into_iter().map(|key| UnitId::Network(Id::of_network(key)));
        let pairs = halves().filter_map(|half| resolver.id(resolver.pair_of(half)?));
        networks.chain(pairs.map(UnitId::Peering)).collect()
    }

    fn declared(&mut self, changed: &Changed) {
        self.state.declared(changed, self.northbound.as_deref());
        self.changes.declared(changed, &self.state.declarations);
    }

    fn northbound_event(&mut self, event: ovsdb::Event<Northbound>, now: Now) {
        match event {
            ovsdb::Event::Connected { remote, schema, .. } => {
                self.writer.role = None;
                self.identity.rest();
                self.changes.connected(&remote, &schema.version);
                self.changes.unknown_columns(unknown_columns(&schema));
                self.writer.connected();
                self.connection.remote = Some(remote);
                self.connection.schema = Some(schema.version.to_string());
            }
            ovsdb::Event::Snapshot { rows, .. } => self.snapshot(*rows),
            ovsdb::Event::Certificates(certificates) => {
                if self.expiry.note(certificates) {
                    self.changes.certificates(self.expiry.problem());
                }
            }
            // What does not fit together is not continued.
            ovsdb::Event::Resumed if self.resync != Resync::Needless => {}
            ovsdb::Event::Resumed => self.synced(),
            ovsdb::Event::Update { updates, .. } => self.update(updates, now),
            ovsdb::Event::Identity { held } => {
                let was = self.identity.is_taken();
                self.identity.told(held, now.since_start);
                let is = self.identity.is_taken();
                if was != is && (is || self.identity.may_write()) {
                    self.host_taken(is);
                }
            }
            ovsdb::Event::Lock { held } => {
                // A server tells the holder once more when somebody ceases to wait for the lock.
                let was = self.writer.role == Some(Role::Active);
                if was && held {
                    return;
                }
                if was {
                    self.takeover.grow(now.since_start);
                }
                if held && self.writer.role == Some(Role::Standby) {
                    self.changes.rules_apply();
                }
                self.connection.active = held && self.newer.is_none();
                self.writer.take_role(held, &mut self.state, self.northbound.as_deref());
                if self.newer.is_none() {
                    self.changes.push(Change::LockChanged { held });
                }
                // States that wait for a writer read differently now.
                self.changes.all_states();
            }
            ovsdb::Event::Transacted { id, result } => self.transacted(id, result, now),
            ovsdb::Event::Disconnected { error, .. } => {
                self.changes.disconnected(&error);
                self.changes.all_states();
                self.connection.synced = false;
                self.connection.active = false;
                self.connection.remote = None;
                self.connection.schema = None;
                self.connection.error = Some(error);
            }
        }
    }

    /// All rows are there: the first time everything is decided by them, later what differs.
    fn snapshot(&mut self, fresh: Northbound) {
        let northbound = match self.northbound.take() {
            None => {
                self.review_version(fresh.newer());
                self.state.begin(&fresh);
                self.changes.local_replaced(&self.state.declarations);
                Arc::new(fresh)
            }
            Some(mut northbound) => {
                let same_schema = northbound.replica().layout() == fresh.replica().layout();
                let touched = Arc::make_mut(&mut northbound).adopt(fresh);
                self.touched(&touched, &northbound);
                if !same_schema {
                    self.state.resolver.mark_all(&northbound);
                }
                northbound
            }
        };
        self.northbound = Some(northbound);
        self.resync = Resync::Needless;
        self.synced();
    }

    /// What the server tells does not fit together: all of it is to be read anew.
    fn inconsistent(&mut self, error: &Inconsistent) {
        self.changes.inconsistent(error);
        self.connection.synced = false;
        self.resync = Resync::Needed;
    }

    fn synced(&mut self) {
        self.connection.synced = true;
        self.connection.error = None;
        self.changes.all_states();
    }

    fn update(&mut self, updates: ovsdb::Updates, now: Now) {
        // Some may still come of a session that is to end.
        if self.resync != Resync::Needless {
            return;
        }
        let Some(mut northbound) = self.northbound.take() else { return };
        // The sequence number moves by each transaction, whatever else that does.
        if updates.tables.iter().any(|rows| rows.table != NB_GLOBAL) {
            self.writer.rows_changed();
        }
        match Arc::make_mut(&mut northbound).apply(updates) {
            Ok(touched) => {
                if !touched.units.is_empty() {
                    self.takeover.progress(now.since_start);
                }
                self.touched(&touched, &northbound);
            }
            Err(error) => self.inconsistent(&error),
        }
        self.northbound = Some(northbound);
    }

    fn touched(&mut self, touched: &Touched, northbound: &Northbound) {
        self.writer.suspect(touched);
        self.progress.touched(touched, northbound.nb_cfg());
        self.register(touched, northbound);
        self.state.resolver.touched(touched, northbound);
    }

    /// Applies the rules to some of what is dirty, and notes what must be compared again.
    fn resolve(&mut self, now: Now) {
        let Some(northbound) = &self.northbound else { return };
        if !self.state.begun {
            return;
        }
        self.counters.row_changes = northbound.row_changes();
        self.counters.entries_read = self.state.entries_read;
        let resolved = self.state.resolve(northbound, now.wall, self.most_decided);
        self.counters.peerings_resolved += resolved.pairs.len() as u64;
        for pair in &resolved.pairs {
            self.progress.resolved(pair, self.state.resolver.link(pair).is_some());
        }
        self.changes.pairs(resolved.pairs);
        for network in self.state.guests.take_altered() {
            let node = self.state.resolver.networks().node(&network);
            self.changes.pairs(node.into_iter().flat_map(Node::linked).cloned());
        }
        let acted = self.progress.sequence(northbound.nb_cfg(), northbound.sb_cfg());
        self.changes.pairs(acted);
        self.watch_northd(now);
    }
}
