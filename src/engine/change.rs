//! Typed changes: the one stream that the log and all other observers subscribe to.
//!
//! The engine adds to it in the order in which things happen. `Engine::changes` takes what is new,
//! and its caller passes that to every subscriber. States are compared at that moment: one that
//! changed and changed back since the last time is no change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;

use crate::declare::{Diagnostic, HalfKey, HostProblem, NetworkKey};
use crate::northbound::UnitId;
use crate::peering::{Reason, State};

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A half has another state than before, or the same one for another reason.
    StateChanged {
        /// The half.
        half: OfHalf,
        /// Its state before; none if the half is new.
        previous: Option<(State, Option<Reason>)>,
        /// Its state.
        state: State,
        /// Why it is not active.
        reason: Option<Reason>,
        /// The reason in a sentence.
        explanation: Option<String>,
        /// The same, as the half's owner may read it.
        owner_explanation: Option<String>,
    },
    /// Halves were active before this daemon started, and still are.
    FoundActive {
        /// How many of each project.
        projects: BTreeMap<Arc<str>, usize>,
    },
    /// Somebody declares a half that nobody declared, or declares it otherwise.
    Declared {
        /// The half.
        half: OfHalf,
        /// Whether nobody declared it before.
        is_new: bool,
    },
    /// Nobody declares the half any more.
    Withdrawn {
        /// The half.
        half: HalfKey,
        /// Its state before.
        previous: State,
    },
    /// A half asks a network to peer, and has no answer; or that is over.
    Requested {
        /// The half that asks.
        half: HalfKey,
        /// The network that it asks.
        target: NetworkKey,
        /// Whether it does not ask any more: it has an answer, or was withdrawn.
        over: bool,
        /// Whether the policy shows requests to those whom they ask.
        disclosed: bool,
    },
    /// A half is in its state, but something about it is not as it should be.
    Degraded {
        /// The half.
        half: OfHalf,
        /// What is not as it should be.
        cause: String,
        /// Who reads it in these words.
        reader: Reader,
    },
    /// A degradation of a half is over.
    DegradationEnded {
        /// The half.
        half: OfHalf,
        /// What was not as it should be.
        cause: String,
        /// Who reads it in these words.
        reader: Reader,
    },
    /// Other prefixes cross an existing peering.
    PrefixesChanged {
        /// The half.
        half: OfHalf,
        /// Prefixes that the other side imports from this one.
        exported: PrefixChange,
        /// Prefixes that this side imports from the other one.
        imported: PrefixChange,
    },
    /// Another client deleted rows of ours on a router. They are restored.
    RouterRestored {
        /// The router's name.
        router: Arc<str>,
        /// The kinds of rows.
        what: String,
        /// How many rows.
        rows: usize,
        /// How many peerings the rows belong to.
        peerings: usize,
    },
    /// Another client altered rows of ours. They are restored.
    DriftRepaired {
        /// Whose rows.
        unit: UnitId,
    },
    /// A unit was written again and again. From now on it waits before each write.
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
    /// A damped unit has been calm for a while.
    DampingEnded {
        /// The peering or the network, in words.
        what: String,
        /// Why it was damped: `contested` or `flapping`.
        reason: Reason,
    },
    /// A declaration file has problems that it did not have before.
    Diagnosed {
        /// The file.
        file: String,
        /// The first new ones. After a problem of the whole file, the first one with a position
        /// follows.
        first: Vec<Diagnostic>,
        /// How many new ones follow those.
        more: usize,
        /// The projects of the file's owner.
        owners: Vec<Arc<str>>,
    },
    /// A file has no diagnostics any more.
    Mended {
        /// The file.
        file: String,
        /// The projects of the file's owner.
        owners: Vec<Arc<str>>,
    },
    /// A reload would withdraw so many halves that it waits for the operator.
    WithdrawalsHeld {
        /// How many halves.
        halves: usize,
        /// How many of each project for which that changed.
        projects: Vec<(Arc<str>, usize)>,
    },
    /// No withdrawal is held any more.
    WithdrawalsReleased {
        /// The projects of which some were held.
        projects: Vec<(Arc<str>, usize)>,
    },
    /// The settings have errors. The previous settings stay in effect.
    SettingsRejected {
        /// What is wrong with them.
        errors: Vec<Diagnostic>,
    },
    /// The daemon applied settings.
    SettingsApplied {
        /// The sections whose changes take effect with a restart.
        restart: Vec<&'static str>,
    },
    /// The daemon read every file again.
    Reloaded,
    /// Somebody gave the daemon a command.
    Written {
        /// Who.
        actor: String,
        /// The command, as one types it.
        what: String,
        /// Its result, or why it was refused.
        result: Result<String, String>,
        /// Whether the database refuses it, so that an operator must act.
        fault: bool,
        /// The project whose declarations it is about; none if it is the operators' alone.
        project: Option<Arc<str>>,
    },
    /// The daemon connected to the northbound.
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
    /// This instance has got or lost the lock.
    LockChanged {
        /// Whether this instance holds it.
        held: bool,
    },
    /// Another live instance declares by this host's name, or this one speaks for the host now.
    HostName {
        /// The name.
        host: String,
        /// Whether another instance has it.
        taken: bool,
    },
    /// Another host has a problem, or it has that problem no longer.
    HostProblem {
        /// The problem.
        problem: HostProblem,
        /// Whether it is over.
        over: bool,
    },
    /// This instance takes the lock from a holder that writes nothing.
    LockTakenOver,
    /// ovn-northd is late to act on what was written, or it acts again.
    NorthdLate {
        /// Whether it is late.
        late: bool,
    },
    /// The server's updates contradict what was read before.
    Inconsistent {
        /// How.
        error: String,
    },
    /// The northbound is older than what this instance has seen of it, or it is no longer.
    NorthboundOlder {
        /// What shows that; none when it is over.
        what: Option<String>,
    },
    /// OVN is newer than this version of the daemon: tables with rows of ours have columns that the
    /// daemon does not read.
    UnknownColumns {
        /// Their names, with the names of their tables.
        columns: Vec<String>,
    },
    /// A newer version of the daemon has written to the northbound, or none has any more.
    NewerVersion {
        /// The newest version.
        version: Option<u32>,
    },
    /// The certificates in the files cannot be used.
    CertificatesRejected {
        /// Why.
        error: String,
    },
    /// The daemon uses the certificates in the files.
    CertificatesApplied,
    /// A certificate expires soon, or has expired.
    CertificateExpires {
        /// Which certificate, and when.
        what: String,
    },
    /// The server did not accept a transaction.
    TransactionFailed {
        /// The server's error.
        error: String,
        /// What happens next.
        outlook: Outlook,
    },
}

/// A half, as a change refers to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfHalf {
    /// The half.
    pub key: HalfKey,
    /// Whether this host declares it. Another host's instance reports its own halves.
    pub own: bool,
}

/// Who reads a text: its owner may not read all that operators read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Operators, and the half's owner.
    Both,
    /// Operators. What the owner reads of it did not change, or is in other words.
    Operators,
    /// The owner.
    Owner,
}

/// How the prefixes that cross in one direction changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixChange {
    /// Those that cross now and did not cross before.
    pub gained: Vec<IpNet>,
    /// Those that no longer cross.
    pub lost: Vec<IpNet>,
}

/// What happens after a transaction failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Another client was faster. The transaction is made again from the current rows.
    Outrun,
    /// The cause may pass. The transaction is tried again.
    Passing,
    /// The server refuses it.
    Refused,
}

impl PrefixChange {
    /// The difference between two sets of prefixes.
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
