//! What the engine shows of itself: plain data for the control socket and the operator's tool.
//!
//! Owns the shape of every answer. Decides nothing and reads nothing: states and reasons are those
//! of the rules ([`State`], [`Reason`]). The JSON of these types is a public interface: fields are
//! added, never renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::peering::{Reason, State};

/// For whom a view is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Sees all.
    Operator,
    /// Sees the halves of these projects, and of other networks only what their owners have agreed
    /// to show: the prefixes of a peering that stands.
    Tenant(Arc<BTreeSet<Arc<str>>>),
}

impl Viewer {
    /// Whether the halves of a project are shown at all.
    #[must_use]
    pub fn sees(&self, project: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Tenant(own) => own.contains(project),
        }
    }

    /// Whether rows, remotes and the words of OVN's servers are shown.
    #[must_use]
    pub fn is_operator(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Tenant(_) => false,
        }
    }
}

/// One half in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfView {
    /// The owner's project.
    pub project: String,
    /// The local network.
    pub network: String,
    /// The half's name.
    pub name: String,
    /// The project it targets.
    pub target_project: String,
    /// The network it targets.
    pub target_network: String,
    /// Where it stands.
    pub state: State,
    /// Why it is not active; none when it is, unless a newer version writes.
    pub reason: Option<Reason>,
    /// The reason as a sentence, with what and where; none when active.
    pub explanation: Option<String>,
    /// Since when the half is in this state; for `provisioning` and `active`, since the rows were
    /// written. None until the northbound has been read.
    pub since: Option<Timestamp>,
    /// What to do about it; none when nothing is to be done.
    pub next_step: Option<String>,
    /// What is not as it should be although the peering is up; empty when all is well.
    pub degraded: Vec<String>,
    /// Free text.
    pub description: String,
    /// The hosts that declare it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How many prefixes the other side takes from this one; none while there is no link.
    #[serde(default)]
    pub exported: usize,
    /// How many prefixes this side takes from the other one; none while there is no link.
    #[serde(default)]
    pub imported: usize,
    /// Since when the guests of the local network get the routes that they get now: who has asked
    /// before, must ask again. None where they never got any.
    #[serde(default)]
    pub guests_since: Option<Timestamp>,
}

/// The routes to its peers that a network's guests get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestsView {
    /// Since when; who has asked before, must ask again.
    pub since: Timestamp,
    /// By DHCP, as few prefixes as say it.
    pub dhcp: Vec<IpNet>,
    /// By router advertisements, likewise.
    pub ra: Vec<IpNet>,
}

/// One half in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HalfDetail {
    /// What the list shows.
    #[serde(flatten)]
    pub half: HalfView,
    /// `active` or `disabled`, as declared.
    pub configured_status: String,
    /// The `user.*` keys.
    pub config: BTreeMap<String, String>,
    /// The file that declares it.
    pub file: Option<String>,
    /// The Logical_Router bound to the local network, as the operator wrote it.
    pub router: Option<String>,
    /// What this side announces.
    pub local_prefixes: Vec<IpNet>,
    /// What the other side announces; empty until both sides consent.
    pub remote_prefixes: Vec<IpNet>,
    /// The terms as declared, each under its key: `export`, `import`, `max_prefixes`, `routes`.
    #[serde(flatten)]
    pub terms: BTreeMap<String, serde_json::Value>,
    /// Prefixes that are not exchanged, and why.
    #[serde(default)]
    pub filtered: Vec<FilteredView>,
    /// The manual routes.
    #[serde(default)]
    pub manual_routes: Vec<RouteView>,
    /// The routes to all its peers that the guests of the local network get; none where they never
    /// got any.
    #[serde(default)]
    pub guests: Option<GuestsView>,
    /// The Address_Sets that hold this network's prefixes, for use in ACLs as `$name`.
    pub address_sets: Vec<String>,
    /// The rows in the northbound that make up this side of the peering; to operators only.
    pub rows: Vec<RowView>,
}

/// A prefix that is not exchanged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilteredView {
    /// The prefix.
    pub prefix: IpNet,
    /// Whose it is: `local` or `remote`.
    pub side: String,
    /// Why, in a sentence.
    pub explanation: String,
}

/// A route that its owner makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// Its destination.
    pub destination: IpNet,
    /// The table or subnet that it is for, as declared; none for the main table.
    pub for_table: Option<String>,
    /// Whether it is part of the peering; one that is not waits.
    pub installed: bool,
    /// Why it waits.
    pub explanation: Option<String>,
}

/// A host that declares something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its name, as its settings or its system give it.
    pub name: String,
    /// Whether it is the one that was asked.
    pub own: bool,
    /// Halves that it declares.
    pub halves: usize,
    /// Networks that it binds and that are registered; of the own host, all.
    pub networks: usize,
}

/// One northbound row of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowView {
    /// The OVN table.
    pub table: String,
    /// The row's UUID; none while it is only planned.
    pub uuid: Option<String>,
    /// What it says, in one line.
    pub summary: String,
}

/// What the daemon would write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanView {
    /// Rows that would appear, change or go.
    pub rows: Vec<PlannedRow>,
    /// Routes that would appear: which network gains which prefix.
    pub gained: Vec<PlannedPrefix>,
    /// Routes that would go.
    pub lost: Vec<PlannedPrefix>,
    /// What is wrong with the declarations that were planned.
    pub diagnostics: Vec<String>,
    /// Halves that the mass-withdrawal guard would hold, `project/network/name` each.
    pub held: Vec<String>,
}

impl PlanView {
    /// Whether anything would be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.held.is_empty()
    }
}

/// What happens to a row.
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
    /// What would happen to it.
    pub action: PlannedAction,
    /// The row.
    #[serde(flatten)]
    pub row: RowView,
}

/// A prefix that a router would gain or lose a route to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlannedPrefix {
    /// The Logical_Router's name.
    pub router: String,
    /// The route's destination.
    pub prefix: IpNet,
}

/// The daemon's own state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The daemon's version.
    pub version: String,
    /// The mark on what this host declares.
    pub host: String,
    /// Whether another instance declares by that name: this one writes nothing.
    #[serde(default)]
    pub host_name_in_use: bool,
    /// The northbound connection.
    pub northbound: NorthboundView,
    /// How many halves are in each state.
    pub halves: BTreeMap<State, usize>,
    /// How many of the diagnostics are errors: what they are about is not in effect as written.
    #[serde(default)]
    pub errors: usize,
    /// What is wrong with the settings and the declaration files.
    pub diagnostics: Vec<String>,
    /// How many more diagnostics there are.
    #[serde(default)]
    pub more_diagnostics: usize,
    /// Halves whose withdrawal waits for the operator's confirmation, `project/network/name` each.
    pub held: Vec<String>,
    /// How many more wait.
    #[serde(default)]
    pub more_held: usize,
    /// The word that names all that is held, and nothing else; none where nothing is.
    #[serde(default)]
    pub held_seen: Option<String>,
    /// The version of a newer daemon that has written to the northbound: this one writes nothing
    /// then.
    #[serde(default)]
    pub newer_version: Option<u32>,
    /// What is written again and again, and so waits: which peering or network, and why.
    #[serde(default)]
    pub damped: Vec<String>,
    /// What has been done since the start.
    pub counters: Counters,
}

/// Withdrawals that wait for the operator's confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// How many halves.
    pub halves: usize,
    /// The word that names these withdrawals, and no others; empty where nothing is held.
    pub seen: String,
    /// What concerns each project, and can be confirmed by itself.
    pub projects: Vec<HeldProject>,
    /// The halves, `project/network/name` each.
    pub withdrawals: Vec<String>,
}

/// Withdrawals that are released together, if a project's are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldProject {
    /// The project.
    pub project: String,
    /// How many halves; where one file withdraws networks of several projects, of those as well.
    pub halves: usize,
    /// The word that names them.
    pub seen: String,
}

/// What is wrong with files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiagnosticsView {
    /// How many are errors.
    pub errors: usize,
    /// Each in words, with its place.
    pub texts: Vec<String>,
}

/// The northbound connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NorthboundView {
    /// Connected and read in full.
    pub synced: bool,
    /// The remote in use.
    pub remote: Option<String>,
    /// The schema's version.
    pub schema: Option<String>,
    /// Whether this instance holds the lock and writes.
    pub active: bool,
    /// The last error of the connection.
    pub error: Option<String>,
    /// Of an `ssl:` remote.
    #[serde(default)]
    pub certificates: Option<CertificatesView>,
    /// What the server says to what is written, as long as it takes it not.
    #[serde(default)]
    pub refusal: Option<RefusalView>,
    /// How long ago the server was heard, in seconds; it is asked when it has said nothing for 5 s.
    /// None while not connected.
    #[serde(default)]
    pub heard_seconds_ago: Option<u64>,
    /// `NB_Global.nb_cfg`: the sequence number of the last write.
    pub nb_cfg: Option<i64>,
    /// `NB_Global.sb_cfg`: the last write that ovn-northd acted on.
    pub sb_cfg: Option<i64>,
}

/// The certificates of an `ssl:` remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificatesView {
    /// Until when this daemon's is valid.
    pub expires: Option<Timestamp>,
    /// Until when the server's is valid.
    pub server_expires: Option<Timestamp>,
    /// Why those in the files are not used; those in use go on.
    pub problem: Option<String>,
    /// What expires within the next 14 days, or has expired.
    pub warnings: Vec<String>,
}

/// What the server does not take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalView {
    /// Its words, and what to do about it.
    pub error: String,
    /// Since when it says so.
    pub since: Timestamp,
    /// How often it has said so since.
    pub times: u64,
}

/// Work done since the start; what "nothing changed, nothing done" is proved by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Transactions submitted.
    pub transactions: u64,
    /// Transactions that the northbound refused or whose outcome was lost.
    pub transactions_failed: u64,
    /// Row changes applied to the replica.
    pub row_changes: u64,
    /// Entries of other hosts in registrations that were read.
    #[serde(default)]
    pub entries_read: u64,
    /// Peerings decided anew.
    pub peerings_resolved: u64,
    /// Peerings compared with the northbound.
    pub peerings_compared: u64,
    /// Rows of ours found altered or missing and put back.
    pub drift_repaired: u64,
}
