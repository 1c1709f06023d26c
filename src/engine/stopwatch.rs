//! What is measured of the engine's work, for metrics: how long things took, and what became of them.
//!
//! The results that end a transaction and the states that the stream of changes reports are noted here, at the
//! moment at which they are. Reads no clock: moments come with the events.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::declare::HalfKey;
use crate::northbound::tables::{table_name, tables_of_ours};
use crate::ovsdb::{TableId, TransactError};
use crate::peering::State;

/// Something that was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Measured {
    /// A transaction has a result.
    Transaction {
        /// What became of it.
        outcome: Outcome,
        /// From its submission to its result.
        took: Duration,
    },
    /// A half that was declared is active.
    Converged {
        /// Since its declaration, or that of the other half if that came later.
        took: Duration,
    },
    /// Rows that other clients altered or deleted are as they shall be again.
    Repaired {
        /// Their table's name.
        table: &'static str,
        /// How many.
        rows: u64,
    },
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It is in the northbound.
    Committed,
    /// Another client was faster, or the connection was lost: it is made again.
    Outrun,
    /// The server lacked something for the moment: it is tried again.
    Postponed,
    /// The server refuses it.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Committed, Self::Outrun, Self::Postponed, Self::Refused];

    /// The word in a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Outrun => "outrun",
            Self::Postponed => "postponed",
            Self::Refused => "refused",
        }
    }

    /// Of an error, if there is one.
    pub(super) fn of(error: Option<&TransactError>) -> Self {
        match error {
            None => Self::Committed,
            Some(error) if error.is_outrun() => Self::Outrun,
            Some(error) if error.is_retryable() => Self::Postponed,
            Some(_) => Self::Refused,
        }
    }
}

/// The tables that may have rows of ours, by name: those of [`Measured::Repaired`].
pub fn repaired_tables() -> impl Iterator<Item = &'static str> {
    tables_of_ours().map(table_name)
}

/// What is being measured, and what was.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    /// The moment of the event that is handled.
    pub(super) now: Duration,
    /// When the files of the next reading changed, if that is known.
    noticed: Option<Duration>,
    transactions: BTreeMap<u64, Duration>,
    /// Halves whose last declaration is not in effect yet.
    declared: BTreeMap<HalfKey, Duration>,
    measured: Vec<Measured>,
}

/// So many measurements wait for one who takes them.
const MOST_WAITING: usize = 65_536;

impl Stopwatch {
    pub(super) fn take(&mut self) -> Vec<Measured> {
        std::mem::take(&mut self.measured)
    }

    /// The files of the next reading changed at that moment.
    pub(super) fn noticed(&mut self, at: Duration) {
        self.noticed = Some(at);
    }

    /// A reading is applied now. Returns when its files changed.
    pub(super) fn reading(&mut self) -> Duration {
        self.noticed.take().unwrap_or(self.now)
    }

    pub(super) fn sent(&mut self, id: u64, now: Duration) {
        self.transactions.insert(id, now);
    }

    pub(super) fn ended(&mut self, id: u64, outcome: Outcome, now: Duration) {
        if let Some(sent) = self.transactions.remove(&id) {
            self.note(Measured::Transaction { outcome, took: now.saturating_sub(sent) });
        }
    }

    pub(super) fn repaired(&mut self, rows: BTreeMap<TableId, u64>) {
        for (table, rows) in rows {
            self.note(Measured::Repaired { table: table_name(table), rows });
        }
    }

    pub(super) fn declared(&mut self, half: &HalfKey, at: Duration) {
        self.declared.insert(half.clone(), at);
    }

    /// The stream of changes says where a half stands. What waits for the other side, for an operator or for
    /// a repair does not wait for this daemon.
    pub(super) fn stands(&mut self, half: &HalfKey, before: Option<State>, state: State) {
        if state == State::Provisioning {
            return;
        }
        let Some(declared) = self.declared.remove(half) else { return };
        if state == State::Active && before.is_some_and(|before| before != State::Active) {
            self.note(Measured::Converged { took: self.now.saturating_sub(declared) });
        }
    }

    pub(super) fn withdrawn(&mut self, halves: &BTreeSet<HalfKey>) {
        for half in halves {
            self.declared.remove(half);
        }
    }

    fn note(&mut self, measured: Measured) {
        if self.measured.len() < MOST_WAITING {
            self.measured.push(measured);
        }
    }
}
