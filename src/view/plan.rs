//! Plans: what would be written, and which halves would change.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::declare::Diagnostic;

use super::{Reason, RowView, ServedView, State, TakeOverLink};

/// What the daemon would write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Halves whose state would change.
    #[serde(default)]
    pub halves: Vec<PlannedHalf>,
    /// Rows that would be inserted, updated or deleted.
    pub rows: Vec<PlannedRow>,
    /// Routes that would be added: which network gains which prefix.
    pub gained: Vec<PlannedPrefix>,
    /// Routes that would be removed.
    pub lost: Vec<PlannedPrefix>,
    /// The faults of the planned declarations.
    pub diagnostics: Vec<Diagnostic>,
    /// Halves that the mass-withdrawal guard would hold, `project/network/name` each.
    pub held: Vec<String>,
    /// Links of other tools that are in the way of peerings: whether these could take their place.
    #[serde(default)]
    pub links: Vec<TakeOverLink>,
}

impl PlanView {
    /// Whether nothing would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.halves.is_empty() && self.rows.is_empty() && self.held.is_empty()
    }
}

/// The change of a half's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHalf {
    /// The owner's project.
    pub project: String,
    /// The local network.
    pub network: String,
    /// The half's name.
    pub name: String,
    /// Its state now; `None` if it is new.
    pub before: Option<State>,
    /// Its state once all is written; `deleted` if nobody declares it then.
    pub after: State,
    /// Why it is not active then.
    pub reason: Option<Reason>,
}

/// The change of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedAction {
    /// It would appear.
    Insert,
    /// It would change.
    Update,
    /// It would go.
    Delete,
}

/// One row of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedRow {
    /// The change that would be made.
    pub action: PlannedAction,
    /// The row.
    #[serde(flatten)]
    pub row: RowView,
    /// Whom it serves; `None` for rows of others, and where nobody knows it any more.
    #[serde(default)]
    pub serves: Option<ServedView>,
}

/// A prefix that a router would gain or lose a route to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPrefix {
    /// The Logical_Router's name.
    pub router: String,
    /// The route's destination.
    pub prefix: IpNet,
}
