//! Joins the pure rooms: events in, transactions and views out.
//!
//! Owns what is in effect (declarations, the northbound as read), what is dirty, what is under way
//! and what waits. May not touch tokio, sockets, files or a clock: `now` is a parameter.
//! Invariants: two transactions are under way at the most, and no unit of one has to do with a unit
//! of the other; a second `handle` of the same event yields no transaction; nothing is written
//! before both the declarations and the northbound were read, nor without the lock of the host's name;
//! nothing of links without the writer's lock.
//!
//! `Engine` has its parts here, and what it does with an event in `events`. All else is types and
//! functions that get the parts which they read.

mod allowance;
mod balanced;
mod batch;
mod catalog;
mod causes;
mod change;
mod changes;
mod counts;
mod damped;
mod damping;
mod deadline;
mod drift;
mod edit;
mod events;
mod expiry;
mod forget_link;
mod gate;
mod gateway;
mod guests;
mod held;
mod history;
mod hosts;
mod identity;
mod lines;
mod meter;
mod named;
mod northd;
mod notice;
mod pauses;
mod peerings;
mod plan;
mod progress;
mod published;
mod queue;
mod recency;
mod registrations;
mod replace;
mod replacing;
mod results;
mod resync;
mod routers;
mod shown;
mod sieve;
mod state;
mod stopwatch;
mod store;
mod submit;
mod takeover;
mod through;
mod traffic;
mod troubles;
mod unbound;
mod unit_changes;
mod verify;
mod views;
mod why;
mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

pub use change::{Change, OfHalf, Outlook, PrefixChange, Reader};
pub use deadline::Deadline;
pub use held::HeldElse;
pub use hosts::NotForgotten;
pub use meter::Meter;
pub use notice::{Field, Level, Notice};
pub use plan::PlanBasis;
pub use published::published;
pub use replace::{NotReplaced, TakeOver};
pub use routers::Routers;
pub use stopwatch::{Measured, Outcome, repaired_tables};
pub use store::StoreResult;
pub use why::NeitherOwn;
pub use writer::Submission;

use crate::declare::{Diagnostic, Edit, HalfKey, ParsedFile, Reading, Settings};
use crate::northbound::Northbound;
use crate::now::Now;
use crate::ovsdb;
use crate::view::{
    AttentionView, Counters, DiagnosticsView, HalfDetail, HalfView, HeldView, HostView,
    NetworkView, NorthboundView, OwnNetworkView, PeeringPage, PeeringQuery, PlanView, ProjectView,
    RequestView, StatusView, StoreView, Viewer, WhyQuestion, WhyView,
};

use changes::Changes;
use drift::Drift;
use expiry::Expiry;
use gate::Gate;
use identity::Identity;
use northd::Northd;
use progress::Progress;
use resync::Resync;
use shown::Standings;
use state::State;
use store::Store;
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

/// Pairs that are decided for one event, and halves whose changes are drawn at a time: what is
/// declared in one file may be so much that whatever else happens would have to wait for it.
const MOST_AT_ONCE: usize = 128;

/// The engine.
#[derive(Debug)]
pub struct Engine {
    state: State,
    northbound: Option<Arc<Northbound>>,
    connection: NorthboundView,
    /// Whether the last session ended because the servers let this client write nothing.
    read_only: bool,
    resync: Resync,
    /// How often routers came, went or got other names.
    router_changes: u64,
    /// Whether all rows were read since the units were last compared.
    unsifted: bool,
    progress: Progress,
    northd: Northd,
    writer: Writer,
    takeover: Takeover,
    identity: Identity,
    troubles: Troubles,
    expiry: Expiry,
    store: Store,
    wants_lock: bool,
    gate: Gate,
    changes: Changes,
    drift: Drift,
    /// What is wrong with the settings file as it was read last.
    settings_faults: Vec<Diagnostic>,
    counters: Counters,
    /// When it was handed something last.
    last: Option<Now>,
    /// So many pairs are decided for one event, and the changes of so many halves drawn at a time.
    most_at_once: usize,
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
            store: Store::default(),
            wants_lock: false,
            gate: Gate::default(),
            state: State::new(settings, host.into()),
            northbound: None,
            connection: NorthboundView::default(),
            read_only: false,
            resync: Resync::default(),
            router_changes: 0,
            unsifted: false,
            progress: Progress::default(),
            northd: Northd::default(),
            writer: Writer::default(),
            changes: Changes::default(),
            drift: Drift::default(),
            settings_faults: Vec::new(),
            counters: Counters::default(),
            last: None,
            most_at_once: MOST_AT_ONCE,
        }
    }

    /// Decides so many pairs for one event, and draws the changes of so many halves at a time, instead
    /// of 128. For tests; operators have no such choice.
    pub fn decide_at_once(&mut self, pairs: usize) {
        self.most_at_once = pairs.max(1);
    }

    /// Whether pairs are left to be decided: until then nothing is written, nothing of it is
    /// published, and views are half of the old and half of the new.
    #[must_use]
    pub fn is_deciding(&self) -> bool {
        self.state.begun && self.northbound.is_some() && self.state.resolver.is_deciding()
    }

    /// Takes over changed settings; the readings that follow are judged by them.
    pub fn configure(&mut self, settings: &Settings) {
        let northbound = self.northbound.as_deref();
        let (mut changed, rules_changed) = self.state.configure(settings, northbound);
        // What a newer version says is not read; when it is gone, everything is.
        let reads = rules_changed && !self.gate.is_closed();
        if let Some(northbound) = northbound.filter(|_| reads) {
            changed.extend(self.state.register_all(northbound).0);
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

    /// Whether the lock of this host's name is to be taken from whoever holds it.
    pub fn wants_identity(&mut self) -> bool {
        self.identity.steals()
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

    /// Whether the replica does not fit the server's updates: the client must read anew.
    pub fn wants_resync(&mut self) -> bool {
        self.resync.begin()
    }

    /// The next moment at which something is to be done without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Deadline> {
        deadline::next(self)
    }

    /// What has changed since the last call, for all who subscribe to it. Of many halves it is a part.
    pub fn changes(&mut self) -> Vec<Change> {
        if self.is_deciding() {
            return Vec::new();
        }
        let mut changes = std::mem::take(&mut self.changes);
        changes.compare(&self.standings(), self.most_at_once);
        changes.hosts(&self.state.declarations);
        let drawn = changes.take();
        self.changes = changes;
        drawn
    }

    /// What metrics are made from; the next files to be handled changed at the moment that is set there.
    pub fn meter(&mut self) -> Meter<'_> {
        Meter(self)
    }

    /// Links of others whose place peerings take.
    pub fn take_over(&mut self) -> TakeOver<'_> {
        TakeOver(self)
    }

    /// Whether a part of what has changed is left to be drawn.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.changes.is_left()
    }

    /// What tells where halves stand.
    fn standings(&self) -> Standings<'_> {
        Standings {
            state: &self.state,
            northbound: self.northbound.as_deref(),
            connection: &self.connection,
            progress: &self.progress,
            writer: &self.writer,
            northd_is_late: self.northd.is_late(),
            newer_writes: self.gate.is_closed(),
            host_is_taken: self.identity.is_taken(),
        }
    }

    /// Takes a transaction for full that has so many groups of units, instead of 16: with few, a
    /// second one is under way beside it nearly always. For tests; operators have no such choice.
    pub fn fill_transactions_with(&mut self, groups: usize) {
        self.writer.fill_with(groups.max(1));
    }

    /// The next transaction to be sent; none while enough is under way or there is nothing to
    /// write.
    pub fn poll(&mut self, now: Now) -> Option<Submission> {
        submit::poll(self, now)
    }

    /// Whether this instance is to hold the lock, or to wait for it.
    #[must_use]
    pub fn contends(&self) -> bool {
        !self.gate.is_closed() && self.identity.contends()
    }

    /// What a plan is made from: what is in effect now.
    #[must_use]
    pub fn plan_basis(&self, now: Now) -> PlanBasis {
        // While a newer version writes, this one would write nothing.
        let northbound = self.northbound.as_ref().filter(|_| !self.gate.is_closed());
        PlanBasis::new(&self.state, northbound, now)
    }

    /// What would be written for these files, or, without any, for the declarations in effect.
    #[must_use]
    pub fn plan(&self, candidate: Option<Reading<ParsedFile>>, now: Now) -> PlanView {
        self.plan_basis(now).plan(candidate)
    }

    /// The withdrawals that wait for the operator: all, or those that are released with a
    /// project's.
    #[must_use]
    pub fn held_view(&self, project: Option<&str>) -> HeldView {
        held::view(&self.state.declarations.local, project)
    }

    /// Lets what is held take effect if it is what `seen` names; returns the halves withdrawn so.
    ///
    /// # Errors
    /// More is held, or something else: nothing is released.
    pub fn confirm(
        &mut self,
        project: Option<&str>,
        seen: &str,
        now: Now,
    ) -> Result<Vec<String>, HeldElse> {
        let before = self.held_view(project);
        if before.seen != seen {
            return Err(HeldElse);
        }
        self.handle(Event::Confirm(project.map(str::to_owned)), now);
        let still: BTreeSet<String> = self.held_view(None).withdrawals.into_iter().collect();
        Ok(before.withdrawals.into_iter().filter(|half| !still.contains(half)).collect())
    }

    /// All hosts that declare something, by name.
    #[must_use]
    pub fn hosts(&self) -> Vec<HostView> {
        hosts::views(&self.state.declarations)
    }

    /// Drops what a host has declared, with the next transaction. One that lives declares it anew.
    ///
    /// # Errors
    /// If there is nothing that could be dropped; nothing is then.
    pub fn forget(&mut self, host: &str) -> Result<HostView, NotForgotten> {
        let declarations = &self.state.declarations;
        let found = hosts::found(host, declarations, self.connection.synced)?;
        if self.gate.is_closed() {
            return Err(NotForgotten::Newer);
        }
        self.writer.forgotten.insert(host.into());
        Ok(found)
    }

    /// Changes stored declarations, with one of the next transactions; the result comes by
    /// [`Engine::take_stored`] under the number that is returned.
    pub fn store(&mut self, edit: Edit, now: Now) -> u64 {
        let id = self.store.add(edit, now);
        store::refuse_edits(self);
        id
    }

    /// What became of changes of the store since the last call.
    pub fn take_stored(&mut self) -> Vec<(u64, StoreResult)> {
        self.store.take_results()
    }

    /// All halves of all hosts, in order of project, network and name, as operators see them.
    #[must_use]
    pub fn list(&self) -> Vec<HalfView> {
        self.list_for(&Viewer::Operator)
    }

    /// The halves that a viewer sees, in order of project, network and name. For a tenant, the
    /// work follows its own halves, not all of them.
    #[must_use]
    pub fn list_for(&self, viewer: &Viewer) -> Vec<HalfView> {
        views::list(&self.standings(), viewer)
    }

    /// One half in full, as operators see it.
    #[must_use]
    pub fn show(&self, key: &HalfKey) -> Option<HalfDetail> {
        self.show_for(&Viewer::Operator, key)
    }

    /// One half in full; none where there is none that the viewer sees.
    #[must_use]
    pub fn show_for(&self, viewer: &Viewer, key: &HalfKey) -> Option<HalfDetail> {
        views::show(&self.standings(), viewer, key)
    }

    /// Why packets pass between two networks, or do not.
    ///
    /// # Errors
    /// The viewer owns neither of the two.
    pub fn why(&self, viewer: &Viewer, question: &WhyQuestion) -> Result<WhyView, NeitherOwn> {
        why::why(&self.standings(), viewer, question)
    }

    /// The networks that a viewer sees.
    #[must_use]
    pub fn networks(&self, viewer: &Viewer) -> Vec<NetworkView> {
        catalog::networks(&self.state, viewer)
    }

    /// The projects that a viewer sees.
    #[must_use]
    pub fn projects(&self, viewer: &Viewer) -> Vec<ProjectView> {
        catalog::projects(&self.state, viewer)
    }

    /// The requests that a viewer may answer.
    #[must_use]
    pub fn requests(&self, viewer: &Viewer) -> Vec<RequestView> {
        catalog::requests(&self.state, viewer)
    }

    /// What is stored of a project.
    #[must_use]
    pub fn stored(&self, project: &str) -> StoreView {
        catalog::store(&self.state, project)
    }

    /// The daemon's own state. Costs what changed since changes were last drawn.
    #[must_use]
    pub fn status(&self) -> StatusView {
        views::status(self)
    }

    /// What is wrong with the settings and the declaration files; a tenant sees those of its own
    /// files.
    #[must_use]
    pub fn diagnostics(&self, viewer: &Viewer) -> DiagnosticsView {
        views::diagnostics(&self.settings_faults, &self.state.declarations.local, viewer)
    }

    /// What needs attention, as far as the viewer may know it.
    #[must_use]
    pub fn attention(&self, viewer: &Viewer) -> AttentionView {
        views::attention(self, viewer)
    }

    /// Halves of a viewer; `None` until the northbound has been read.
    #[must_use]
    pub fn peerings(&self, viewer: &Viewer, query: &PeeringQuery) -> Option<PeeringPage> {
        self.northbound.as_ref().map(|_| peerings::peerings(&self.standings(), viewer, query))
    }

    /// The networks of a viewer, or the one with a UUID, likewise.
    #[must_use]
    pub fn own_networks(&self, viewer: &Viewer, only: Option<Uuid>) -> Option<Vec<OwnNetworkView>> {
        self.northbound.as_ref().map(|_| peerings::own_networks(&self.standings(), viewer, only))
    }

    /// Whether the northbound is connected and read in full.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.connection.synced
    }

    /// The routers of the northbound.
    #[must_use]
    pub fn routers(&self) -> Routers<'_> {
        Routers(self)
    }

    /// Work done since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }
}
