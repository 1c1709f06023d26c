//! What the engine does with each event.

use std::sync::Arc;

use crate::declare::{Changed, ParsedFile, Reading};
use crate::northbound::tables::{NB_GLOBAL, unknown_columns};
use crate::northbound::{Northbound, Touched};
use crate::now::Now;
use crate::ovsdb::{self, Inconsistent};
use crate::peering::Node;

use super::change::Change;
use super::damping::DeclaredBy;
use super::northd::Seen;
use super::resync::Resync;
use super::store::refuse_edits;
use super::submit::note_changed;
use super::writer::Role;
use super::{Engine, Event, replace, results, takeover};

impl Engine {
    /// Takes in what has happened.
    pub fn handle(&mut self, event: Event, now: Now) {
        self.changes.stopwatch.now = now.since_start;
        match event {
            Event::Reading(reading) => self.read(reading),
            Event::Northbound(event) => self.northbound_event(event, now),
            Event::Confirm(project) => {
                let changed = self.state.declarations.local.confirm(project.as_deref());
                self.declared(&changed);
            }
            Event::Tick => {}
        }
        if !self.connection.synced {
            self.connection.away_since.get_or_insert(now.wall);
        }
        let went_back = self.last.is_some_and(|last| now.wall < last.wall);
        self.last = Some(now);
        self.state.wake(now.wall, went_back, self.northbound.as_deref());
        let calm = self.writer.damping.pass(now.since_start);
        self.changes.calm(&calm, &self.state);
        let calm = calm.iter().map(|(unit, _)| *unit);
        note_changed(calm, &self.writer.damping, &mut self.progress, &self.state);
        self.state.recency.pass(now.since_start);
        refuse_edits(self);
        self.store.pass(now.since_start);
        let due = self.writer.wake(now);
        self.state.mark_dirty(due, self.northbound.as_deref());
        if self.identity.advance(now.since_start) {
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

    /// Notes whether the holder of the lock has something to do. Where hosts have other rules, it
    /// may be right to do nothing, and both would write by turns.
    pub(super) fn watch_holder(&mut self, now: Now) {
        let idle = !self.connection.synced
            || self.gate.is_closed()
            || !self.identity.may_write()
            || !self.state.declarations.rules.agree();
        if self.writer.role != Some(Role::Standby) || idle {
            self.takeover.rest();
            return;
        }
        let waiting = self.writer.waits_for_holder(takeover::MOST_COUNTED);
        self.takeover.watch(waiting, now.since_start);
    }

    fn read(&mut self, reading: Reading<ParsedFile>) {
        let changed = self.state.declarations.local.apply(reading);
        let before = self.state.units_declared(&changed);
        self.declared(&changed);
        let after = self.state.units_declared(&changed);
        self.writer.damping.declared(before.into_iter().chain(after), DeclaredBy::Here);
        self.changes.local(&self.state.declarations.local);
    }

    fn declared(&mut self, changed: &Changed) {
        self.state.declared(changed, self.northbound.as_deref());
        self.changes.declared(changed, &self.state.declarations);
    }

    fn northbound_event(&mut self, event: ovsdb::Event<Northbound>, now: Now) {
        match event {
            ovsdb::Event::Connected { remote, schema, .. } => {
                self.writer.role = None;
                self.identity.end_session();
                self.changes.connected(&remote, &schema.version);
                self.changes.unknown_columns(unknown_columns(&schema));
                self.writer.connected();
                self.connection.remote = Some(remote);
                self.connection.schema = Some(schema.version.to_string());
            }
            ovsdb::Event::Snapshot { rows, .. } => self.snapshot(*rows, now),
            ovsdb::Event::Certificates(certificates) => {
                if self.expiry.note(certificates) {
                    self.changes.certificates(self.expiry.problem());
                }
            }
            // What does not fit together is not continued.
            ovsdb::Event::Resumed if self.resync != Resync::Needless => {}
            ovsdb::Event::Resumed => self.synced(now),
            ovsdb::Event::Update { updates, .. } => self.update(updates, now),
            ovsdb::Event::Identity { held } => {
                let was = self.identity.is_taken();
                self.identity.note_lock(held, now.since_start);
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
                self.connection.active = held && !self.gate.is_closed();
                let left = self.writer.take_role(held);
                self.state.mark_dirty(left, self.northbound.as_deref());
                if !self.gate.is_closed() {
                    self.changes.push(Change::LockChanged { held });
                }
                // States that wait for a writer read differently now.
                self.changes.all_states();
            }
            ovsdb::Event::Transacted { id, result } => results::transacted(self, id, result, now),
            ovsdb::Event::Disconnected { error, read_only, .. } => {
                self.read_only = read_only;
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
    fn snapshot(&mut self, fresh: Northbound, now: Now) {
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
        self.router_changes += 1;
        self.northbound = Some(northbound);
        self.resync = Resync::Needless;
        self.unsifted = true;
        self.synced(now);
    }

    /// What the server tells does not fit together: all of it is to be read anew.
    fn inconsistent(&mut self, error: &Inconsistent) {
        self.changes.inconsistent(error);
        self.connection.synced = false;
        self.resync = Resync::Needed;
    }

    fn synced(&mut self, now: Now) {
        self.state.replacing.synced(now.since_start);
        self.connection.synced = true;
        self.connection.away_since = None;
        self.connection.error = None;
        self.read_only = false;
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
        self.router_changes += u64::from(!touched.router_names.is_empty());
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
        let resolved = self.state.resolve(northbound, now.wall, self.most_at_once);
        if !self.state.resolver.is_deciding() {
            replace::review(&mut self.state, northbound, now.since_start);
        }
        self.counters.peerings_resolved += resolved.pairs.len() as u64;
        for pair in &resolved.pairs {
            self.progress.resolved(pair, self.state.resolver.link(pair).is_some());
        }
        self.changes.pairs(resolved.pairs);
        for network in self.state.guests.take_altered() {
            let node = self.state.resolver.networks().node(&network);
            self.changes.pairs(node.into_iter().flat_map(Node::linked).cloned());
        }
        for network in self.state.resolver.depths().moved() {
            let node = self.state.resolver.networks().node(network);
            self.changes.pairs(node.into_iter().flat_map(Node::linked).cloned());
        }
        let acted = self.progress.sequence(northbound.nb_cfg(), northbound.sb_cfg());
        self.changes.pairs(acted);
        self.watch_northd(now);
    }

    /// Notes since when ovn-northd has something to act on.
    pub(super) fn watch_northd(&mut self, now: Now) {
        let Some(northbound) = &self.northbound else { return };
        let seen = Seen {
            nb_cfg: northbound.nb_cfg(),
            sb_cfg: northbound.sb_cfg(),
            uncovered: self.progress.is_uncovered(),
            reached: self.connection.synced,
        };
        if self.northd.watch(seen, now.since_start) {
            self.changes.push(Change::NorthdLate { late: self.northd.is_late() });
            self.changes.pairs(self.progress.changed());
        }
    }

    fn review_version(&mut self, newer: Option<u32>) -> bool {
        self.gate.review(newer, &mut self.connection, &mut self.changes)
    }

    /// Takes over what other hosts declare now. A newer version may declare in another way: what
    /// was read before goes on until that is gone.
    fn register(&mut self, touched: &Touched, northbound: &Northbound) {
        let opens = self.review_version(northbound.newer());
        if self.gate.is_closed() {
            return;
        }
        let was_older = self.state.recency.older().is_some();
        let (changed, units) = if opens {
            self.state.register_all(northbound)
        } else {
            self.state.register(&touched.declared, touched.counters, northbound)
        };
        self.writer.damping.declared(units, DeclaredBy::Elsewhere);
        let older = self.state.recency.older();
        if was_older != older.is_some() {
            self.changes.push(Change::NorthboundOlder { what: older.map(str::to_owned) });
        }
        self.changes.declared(&changed, &self.state.declarations);
    }
}
