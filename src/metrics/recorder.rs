//! Counters and histograms: the one place that counts.

use std::sync::atomic::{AtomicI64, AtomicU64};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::requests::Requests;
use crate::engine::{Change, Measured, Outcome, repaired_tables};
use crate::view::State;

/// A commit takes milliseconds; one of a busy cluster takes seconds.
const TRANSACTION_SECONDS: [f64; 11] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];
/// ovn-northd acts within a second; where thousands of routers are new at once, within a minute.
const CONVERGENCE_SECONDS: [f64; 12] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

type Labelled = Family<[(&'static str, &'static str); 1], Counter<u64, AtomicU64>>;

/// Counts what happens; a clone counts with it.
#[derive(Clone, Debug)]
pub struct Recorder {
    transactions: Labelled,
    transaction_seconds: Histogram,
    convergence_seconds: Histogram,
    state_changes: Labelled,
    repaired: Labelled,
    reloaded: Gauge<i64, AtomicI64>,
    /// Requests of clients.
    pub requests: Requests,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Nothing has happened yet. The settings that the daemon starts with are good.
    #[must_use]
    pub fn new() -> Self {
        let reloaded = Gauge::default();
        reloaded.set(1);
        Self {
            transactions: from_zero("outcome", Outcome::ALL.map(Outcome::as_str)),
            transaction_seconds: Histogram::new(TRANSACTION_SECONDS),
            convergence_seconds: Histogram::new(CONVERGENCE_SECONDS),
            state_changes: from_zero("state", State::ALL.map(State::as_str)),
            repaired: from_zero("table", repaired_tables()),
            reloaded,
            requests: Requests::new(),
        }
    }

    /// Counts a change.
    pub fn change(&self, change: &Change) {
        if let Change::StateChanged { state, .. } = change {
            self.state_changes.get_or_create(&[("state", state.as_str())]).inc();
        } else if let Change::Withdrawn { .. } = change {
            self.state_changes.get_or_create(&[("state", State::Deleted.as_str())]).inc();
        } else if let Change::SettingsRejected { .. } = change {
            self.reloaded.set(0);
        } else if let Change::SettingsApplied { .. } = change {
            self.reloaded.set(1);
        }
    }

    /// Counts what was measured.
    pub fn measured(&self, measured: &Measured) {
        match measured {
            Measured::Transaction { outcome, took } => {
                self.transactions.get_or_create(&[("outcome", outcome.as_str())]).inc();
                self.transaction_seconds.observe(took.as_secs_f64());
            }
            Measured::Converged { took } => self.convergence_seconds.observe(took.as_secs_f64()),
            Measured::Repaired { table, rows } => {
                self.repaired.get_or_create(&[("table", table)]).inc_by(*rows);
            }
        }
    }

    /// Adds them to those that are written.
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Transactions of the northbound by what became of them";
        registry.register("transactions", help, self.transactions.clone());
        let help = "Time from a transaction to its result";
        let histogram = self.transaction_seconds.clone();
        registry.register_with_unit("transaction", help, Unit::Seconds, histogram);
        let help = "Time from the change of a half's file, or from its command, until it is active";
        let histogram = self.convergence_seconds.clone();
        registry.register_with_unit("convergence", help, Unit::Seconds, histogram);
        let help = "Changes of halves to each state";
        registry.register("state_changes", help, self.state_changes.clone());
        let help = "Rows that other clients changed or deleted, and that were repaired";
        registry.register("drift_repaired_rows", help, self.repaired.clone());
        let help = "Whether the settings file was good when it was read last";
        registry.register("last_reload_successful", help, self.reloaded.clone());
        self.requests.register(registry);
    }
}

/// A series that is there from the start shows its first increase.
fn from_zero(key: &'static str, values: impl IntoIterator<Item = &'static str>) -> Labelled {
    let family = Labelled::default();
    for value in values {
        let _ = family.get_or_create(&[(key, value)]);
    }
    family
}
