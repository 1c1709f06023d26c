//! What changed, in types: the one stream that the log subscribes to, and whatever else watches.
//!
//! The engine adds to it in the order in which things happen; who draws it with `Engine::changes`
//! hands it to every subscriber. States are compared when it is drawn: what went to and fro since
//! the last time is no change.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::declare::{Diagnostic, HalfKey, HostProblem};
use crate::northbound::UnitId;
use crate::peering::{Reason, State};

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A half is in another state than before, or in it for another reason.
    StateChanged {
        /// The half.
        half: OfHalf,
        /// Where it stood before; none if it was not there.
        previous: Option<(State, Option<Reason>)>,
        /// Where it stands.
        state: State,
        /// Why it is not active.
        reason: Option<Reason>,
        /// The reason in a sentence.
        explanation: Option<String>,
    },
    /// So many halves are active as they were before this daemon started.
    FoundActive {
        /// How many.
        halves: usize,
    },
    /// Nobody declares the half any more.
    Withdrawn {
        /// The half.
        half: HalfKey,
    },
    /// Something is not as it should be although the half is where it is.
    Degraded {
        /// The half.
        half: OfHalf,
        /// What is not as it should be.
        cause: String,
    },
    /// What degraded a half is over.
    DegradationEnded {
        /// The half.
        half: OfHalf,
        /// What was not as it should be.
        cause: String,
    },
    /// Other prefixes cross a peering that stands.
    PrefixesChanged {
        /// The half.
        half: OfHalf,
        /// What the other side takes from this one.
        exported: PrefixChange,
        /// What this side takes from the other one.
        imported: PrefixChange,
    },
    /// Rows of ours on a router were deleted by another client; they are restored.
    RouterRestored {
        /// The router's name.
        router: Arc<str>,
        /// Which kinds of rows.
        what: String,
        /// How many rows.
        rows: usize,
        /// Of how many peerings.
        peerings: usize,
    },
    /// Rows of ours were altered by another client; they are restored.
    DriftRepaired {
        /// Whose rows.
        unit: UnitId,
    },
    /// A unit was written again and again: what differs of it waits from now on.
    Damped {
        /// The peering or the network, in words.
        what: String,
        /// `contested` or `flapping`.
        reason: Reason,
        /// What that means.
        explanation: String,
        /// What to do about it.
        next_step: &'static str,
    },
    /// It has been calm for a while.
    DampingEnded {
        /// The peering or the network, in words.
        what: String,
        /// What it was.
        reason: Reason,
    },
    /// Something is wrong with a declaration file that was not wrong before.
    Diagnosed {
        /// The file.
        file: String,
        /// The first of what is new; after one of the whole file, the first with a place.
        first: Vec<Diagnostic>,
        /// How many more there are.
        more: usize,
    },
    /// Nothing is wrong any more with a file that had diagnostics.
    Mended {
        /// The file.
        file: String,
    },
    /// A reading would withdraw so much that it waits for the operator.
    WithdrawalsHeld {
        /// How many halves.
        halves: usize,
    },
    /// Nothing is held any more.
    WithdrawalsReleased,
    /// The settings have errors: those from before stay in effect.
    SettingsRejected {
        /// What is wrong with them.
        errors: Vec<Diagnostic>,
    },
    /// Settings took effect.
    SettingsApplied {
        /// The sections with changes that take effect with a restart.
        restart: Vec<&'static str>,
    },
    /// Every file was read again.
    Reloaded,
    /// Somebody asked the daemon to do something.
    Written {
        /// Who.
        actor: String,
        /// What, as the command line says it.
        what: String,
        /// What came of it, or why it was refused.
        result: Result<String, String>,
    },
    /// The northbound was reached.
    Connected {
        /// The remote.
        remote: String,
        /// The version of its schema.
        schema: String,
    },
    /// The northbound is out of reach.
    Disconnected {
        /// Why.
        error: String,
    },
    /// The lock was taken or lost.
    LockChanged {
        /// Whether this instance holds it.
        held: bool,
    },
    /// Another instance that lives declares by this host's name; or this one speaks for the host now.
    HostName {
        /// The name.
        host: String,
        /// Whether another one has it.
        taken: bool,
    },
    /// Something is wrong with another host, or is not any more.
    HostProblem {
        /// What.
        problem: HostProblem,
        /// Whether it is over.
        over: bool,
    },
    /// The lock is taken from a holder that does nothing.
    LockTakenOver,
    /// ovn-northd has not acted for too long on what was written, or acts again.
    NorthdLate {
        /// Whether it is late.
        late: bool,
    },
    /// The server's updates contradict what was read before.
    Inconsistent {
        /// How.
        error: String,
    },
    /// OVN is newer than this version of the daemon: its schema has columns, in tables in which rows are ours, that are not read.
    UnknownColumns {
        /// Their names, with those of their tables.
        columns: Vec<String>,
    },
    /// A newer version of the daemon has written to the northbound, or is there no more.
    NewerVersion {
        /// The newest.
        version: Option<u32>,
    },
    /// The certificates in the files cannot be used.
    CertificatesRejected {
        /// Why.
        error: String,
    },
    /// The certificates in the files are in use.
    CertificatesApplied,
    /// A certificate expires soon, or has expired.
    CertificateExpires {
        /// Which, and when.
        what: String,
    },
    /// The server did not accept a transaction.
    TransactionFailed {
        /// Its words.
        error: String,
        /// What becomes of it.
        outlook: Outlook,
    },
}

/// A half, as a change names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfHalf {
    /// The half.
    pub key: HalfKey,
    /// Whether this host declares it. What others declare is reported by them.
    pub own: bool,
}

/// What became of the prefixes that cross in one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixChange {
    /// Those that cross now and did not before.
    pub gained: Vec<IpNet>,
    /// Those that cross no more.
    pub lost: Vec<IpNet>,
}

/// What becomes of a transaction that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Somebody else was quicker; it is made anew from the rows of now.
    Outrun,
    /// The trouble may pass; it is tried again.
    Passing,
    /// The server refuses it.
    Refused,
}

impl PrefixChange {
    /// From one set of prefixes to another.
    #[must_use]
    pub fn between(before: &[IpNet], after: &[IpNet]) -> Self {
        let set = |of: &[IpNet]| of.iter().copied().collect::<BTreeSet<_>>();
        let (before, after) = (set(before), set(after));
        let only = |of: &BTreeSet<IpNet>, other| of.difference(other).copied().collect();
        Self { gained: only(&after, &before), lost: only(&before, &after) }
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }
}
