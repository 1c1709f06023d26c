//! Whether the northbound is as recent as what this instance has seen of it.
//!
//! Every host raises its counter when it changes its entries. A counter that is lower than known
//! shows that the northbound was restored from a backup. Then its registrations contain what hosts
//! have withdrawn since, so this instance does not believe them: it keeps what it knows of the
//! other hosts, and restores their entries. The counters come last. So whoever finds a counter as
//! high as it knows may believe the entries of that host. A host whose own counter went back raises
//! it only when all of its entries are in place, for the same reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::declare::{Host, STORE};
use crate::northbound::counters::HostCounters;
use crate::northbound::{Differing, Id, Northbound};
use crate::ovsdb::Operation;
use crate::program::{self, CounterDiff};

use super::Deadline;
use super::pauses::Pauses;
use super::registrations::Believed;

/// How often counters are written on their own before the first pause.
const AT_ONCE: u32 = 8;

/// The highest counters seen, and whether the northbound has lower ones.
#[derive(Debug)]
pub(super) struct Recency {
    known: HostCounters,
    /// The last counter of this host that was sent.
    sent: u64,
    /// Whether entries of this host were written without its counter.
    owed: bool,
    older: Option<Older>,
    /// Limits the writes of counters alone: somebody may lower them again and again.
    pauses: Pauses<()>,
    /// The server has refused counters alone: they wait until then.
    refused_until: Option<Duration>,
}

/// The northbound is older than known.
#[derive(Debug)]
struct Older {
    what: String,
    /// Networks whose registrations changed since, and were not read.
    unread: BTreeSet<Id>,
}

/// Registrations that were not read before, and whose entries in them are believed now.
type Reread = (BTreeMap<Id, Differing>, Believed);

impl Default for Recency {
    fn default() -> Self {
        Self {
            known: HostCounters::new(),
            sent: 0,
            owed: false,
            older: None,
            pauses: Pauses::new(AT_ONCE),
            refused_until: None,
        }
    }
}

impl Recency {
    /// What shows that the northbound is older than known, if it is.
    pub(super) fn older(&self) -> Option<&str> {
        self.older.as_ref().map(|older| older.what.as_str())
    }

    /// Networks whose registrations were not read, because the northbound is older than known.
    pub(super) fn unread(&self) -> impl Iterator<Item = Id> {
        self.older.iter().flat_map(|older| &older.unread).copied()
    }

    /// Notes the counters. Returns whose entries may be read in the registrations that differ, and
    /// what may be read then of those that were not read before.
    pub(super) fn review(
        &mut self,
        found: &HostCounters,
        own: &Host,
        networks: &BTreeMap<Id, Differing>,
    ) -> (Believed, Option<Reread>) {
        let lower = self.known.iter().filter(|(host, known)| found.get(*host) < Some(*known));
        let lower: Vec<(&Host, &u64)> = lower.collect();
        let begins = self.older.is_none() && !lower.is_empty();
        if let Some((host, known)) = lower.first().filter(|_| begins) {
            let what = explanation(host, found.get(*host), **known, lower.len() - 1);
            self.older = Some(Older { what, unread: BTreeSet::new() });
        }
        let is_lower = !lower.is_empty();
        // A host without a known counter may be one that was forgotten since the backup.
        let is_raised = |host: &Host, counter: &u64| {
            self.known.get(host).map_or(!begins, |known| known < counter)
        };
        let raised = found.iter().filter(|(host, counter)| is_raised(host, counter));
        let raised: BTreeSet<Host> = raised.map(|(host, _)| Host::clone(host)).collect();
        for (host, counter) in found {
            let known = self.known.entry(Host::clone(host)).or_default();
            *known = (*known).max(*counter);
        }
        // What was owed has arrived.
        self.owed &= found.get(own) < Some(&self.sent);
        let Some(older) = &mut self.older else { return (Believed::All, None) };
        older.unread.extend(networks.keys());
        let unread = older.unread.iter().map(|id| (*id, Differing::All)).collect();
        if !is_lower {
            self.older = None;
            return (Believed::All, Some((unread, Believed::All)));
        }
        let believed = if begins {
            Believed::Only(raised.clone())
        } else {
            // A host without a counter has a version without counters.
            let counted = self.known.keys().filter(|host| !raised.contains(*host));
            Believed::AllBut(counted.cloned().collect())
        };
        (believed, (!raised.is_empty()).then_some((unread, Believed::Only(raised))))
    }

    /// Counters that a transaction is to set. `writes` says whether it changes entries of this
    /// host, `restores` whether it changes those of others, and `last` whether everything that
    /// differs is in place with it. While entries are restored, it asserts that nobody has set a
    /// counter meanwhile: neither may it revive what another host withdraws, nor may this host
    /// raise its counter above entries that another one has just restored. Only who `inserts` may
    /// insert the row where there never was one: if several hosts did, the server would refuse all
    /// transactions but one. The others owe their counters until then.
    pub(super) fn raise(
        &mut self,
        northbound: &Northbound,
        own: &Host,
        [writes, restores]: [bool; 2],
        last: bool,
        inserts: bool,
    ) -> Vec<Operation> {
        if northbound.counters_row().is_none() && self.older.is_none() {
            self.owed |= writes;
            let counters = if self.owed && inserts { vec![self.next(own)] } else { Vec::new() };
            let insert = || program::insert_counters(northbound, &counters);
            return inserts.then(insert).unwrap_or_default();
        }
        if !writes && !self.is_needed() {
            return Vec::new();
        }
        let found = northbound.counters();
        let behind = found.get(own) < self.known.get(own);
        self.owed |= writes && behind;
        let mut counters = Vec::new();
        if (last || !behind) && (writes || behind || self.owed) {
            counters.push(self.next(own));
        }
        if last && self.older.is_some() {
            let lower = self.known.iter().filter(|(host, known)| found.get(*host) < Some(*known));
            let lower = lower.filter(|(host, _)| *host != own);
            counters.extend(lower.map(|(host, counter)| CounterDiff {
                host: Host::clone(host),
                counter: *counter,
                replaces_any: false,
            }));
        }
        let guards = self.older.is_some() && (restores || !counters.is_empty());
        let guard = guards.then(|| program::same_counters(northbound));
        guard.into_iter().chain(program::set_counters(northbound, &counters)).collect()
    }

    /// Whether counters are to be set though nothing else differs.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.is_needed() && self.until().is_none_or(|until| until <= now)
    }

    /// When counters may be sent on their own again; none if they do not have to wait.
    fn until(&self) -> Option<Duration> {
        self.pauses.until(&()).max(self.refused_until)
    }

    fn is_needed(&self) -> bool {
        self.owed || self.older.is_some()
    }

    /// Counters were sent on their own.
    pub(super) fn sent(&mut self, now: Duration) {
        self.pauses.note(&(), true, now);
    }

    /// The server refuses counters on their own, and will refuse them again.
    pub(super) fn refused(&mut self, until: Duration) {
        self.refused_until = Some(until);
    }

    /// Time has passed.
    pub(super) fn pass(&mut self, now: Duration) {
        self.pauses.pass(now);
        self.refused_until.take_if(|until| *until <= now);
    }

    pub(super) fn deadline(&self, now: Duration) -> Option<Deadline> {
        let at = self.until().filter(|at| *at > now)?;
        self.is_needed().then_some(Deadline {
            at,
            why: "counters that were refused, or lowered again and again, wait",
        })
    }

    /// The counter of a host that is forgotten: what it declared before is older than that.
    pub(super) fn forgetting(&self, host: &Host, northbound: &Northbound) -> CounterDiff {
        let found = northbound.counters().get(host).copied();
        let highest = found.max(self.known.get(host).copied()).unwrap_or_default();
        let counter = highest.saturating_add(1);
        CounterDiff { host: Host::clone(host), counter, replaces_any: true }
    }

    /// The counter of the next change of the store.
    pub(super) fn next_stored(&self, northbound: &Northbound) -> u64 {
        self.forgetting(&STORE.into(), northbound).counter
    }

    fn next(&mut self, own: &Host) -> CounterDiff {
        let known = self.known.get(own).copied().unwrap_or_default();
        self.sent = self.sent.max(known).saturating_add(1);
        CounterDiff { host: Host::clone(own), counter: self.sent, replaces_any: true }
    }
}

fn explanation(host: &str, found: Option<&u64>, known: u64, more: usize) -> String {
    let found = found.map_or_else(|| "missing".to_owned(), u64::to_string);
    let more = if more == 0 { String::new() } else { format!(", and {more} more are lower") };
    format!(
        "the northbound is older than known, as after a restore from a backup (counter of host \
         {host}: {found}, known: {known}{more})"
    )
}
