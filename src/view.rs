//! Views of the engine: plain data for the control socket and `ovn-peerctl`.
//!
//! Owns the form of every answer. Decides nothing and reads nothing: the rules give states and
//! reasons ([`State`], [`Reason`]). The JSON of these types is a public interface: fields may be
//! added, never renamed.

mod balancers;
mod catalog;
mod crossing;
mod event;
mod gateway;
mod names;
mod peering;
mod plan;
mod series;
mod take_over;
mod through;
mod traffic;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use balancers::VirtualAddressView;
pub use catalog::{NetworkView, ProjectView, RequestView, StoreView, StoredView, WhoamiView};
pub use crossing::{FilteredView, RouteView};
pub use event::{Audience, Event, EventKind, EventView, PrefixesView};
pub use gateway::{GatewayView, TranslatedView};
pub use names::{NameView, NamesView};
pub use peering::{
    LABEL_PREFIX, OwnNetworkView, PeeringPage, PeeringQuery, PeeringView, SubnetView, TokenView,
};
pub use plan::{PlanView, PlannedAction, PlannedHalf, PlannedPrefix, PlannedRow};
pub use series::{HalfSample, HalfSamples, MetricsView, PerHalf};
pub use take_over::{TakeOverLink, TakeOverOutcome, TakeOverView};
pub use through::{ChainView, ThroughView};
pub use traffic::{RuleView, TrafficView};
pub use why::{
    NothingToOpen, Opens, Passes, VerifyFinding, VerifyView, Whose, WhyEnd, WhyFact, WhyFlow,
    WhyInOvn, WhyQuestion, WhyReserve, WhyRouter, WhyStep, WhyTrace, WhyTraced, WhyTracedRow,
    WhyView,
};

pub use crate::declare::{Diagnostic, DiagnosticCode, Severity};
pub use crate::peering::{Reason, State};

/// For whom a view is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Sees all.
    Operator,
    /// Sees the halves of these projects. Of other networks it sees only what their owners' consent
    /// reveals: the prefixes of a peering that is up.
    Tenant(Arc<BTreeSet<Arc<str>>>),
}

impl Viewer {
    /// Whether the viewer may see the halves of a project.
    #[must_use]
    pub fn sees(&self, project: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Tenant(own) => own.contains(project),
        }
    }

    /// Whether the viewer may see rows, remotes and the messages of OVN's servers.
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
    /// The project it targets; empty of a target by UUID.
    pub target_project: String,
    /// The network it targets; empty of a target by UUID.
    pub target_network: String,
    /// The UUID of the network that it targets, if it names that. It is shown as it was declared,
    /// whether there is such a network or not.
    #[serde(default)]
    pub target_uuid: Option<Uuid>,
    /// The half's UUID.
    #[serde(default)]
    pub uuid: Uuid,
    /// Where it stands.
    pub state: State,
    /// Why it is not active; `None` if it is, unless a newer version writes.
    pub reason: Option<Reason>,
    /// The reason as a sentence, with its details; `None` if active.
    pub explanation: Option<String>,
    /// Since when the half is in this state; for `provisioning` and `active`, since the rows were
    /// written. `None` until the northbound has been read.
    pub since: Option<Timestamp>,
    /// What to do about it; `None` if there is nothing to do.
    pub next_step: Option<String>,
    /// The problems of a peering that is up; empty if there are none.
    pub degraded: Vec<String>,
    /// Free text.
    pub description: String,
    /// The hosts that declare it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How many prefixes of this side the other side accepts; `None` while there is no link.
    #[serde(default)]
    pub exported: usize,
    /// How many prefixes of the other side this side accepts; `None` while there is no link.
    #[serde(default)]
    pub imported: usize,
    /// Since when the guests of the local network get their present routes: guests that renewed
    /// before must renew again. `None` if they never got any.
    #[serde(default)]
    pub guests_since: Option<Timestamp>,
}

impl HalfView {
    /// The target in one word: PROJECT/NETWORK, or a UUID.
    #[must_use]
    pub fn target(&self) -> String {
        match self.target_uuid {
            Some(uuid) => uuid.to_string(),
            None => format!("{}/{}", self.target_project, self.target_network),
        }
    }
}

/// The routes to its peers that a network's guests get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestsView {
    /// Since when; guests that renewed before must renew again.
    pub since: Timestamp,
    /// By DHCP, aggregated to as few prefixes as possible.
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
    /// The file of this host that declares it.
    pub file: Option<String>,
    /// The whole path of that file.
    #[serde(default)]
    pub path: Option<String>,
    /// The line of the half there.
    #[serde(default)]
    pub line: Option<u32>,
    /// Who stored it, if it is stored.
    #[serde(default)]
    pub stored: Option<StoredView>,
    /// The declaration, as a file of `peerings.d`; none of a half that nobody declares any more.
    #[serde(default)]
    pub declaration: Option<String>,
    /// The Logical_Router bound to the local network, as the operator wrote it.
    pub router: Option<String>,
    /// The UUID of the local network, which the other side may name as its target.
    #[serde(default)]
    pub network_uuid: Uuid,
    /// What this side announces.
    pub local_prefixes: Vec<IpNet>,
    /// What the other side announces; empty until both sides consent.
    pub remote_prefixes: Vec<IpNet>,
    /// The terms as declared, each under its key: `export`, `import`, `max_prefixes`, `routes`,
    /// `in`, `out`, `gateway`, `use_gateway`, `reach_through`,
    /// `appliances`.
    #[serde(flatten)]
    pub terms: BTreeMap<String, serde_json::Value>,
    /// Prefixes that do not cross, and why.
    #[serde(default)]
    pub filtered: Vec<FilteredView>,
    /// Which packets cross; `None` if all do, or while there is no link.
    #[serde(default)]
    pub traffic: Option<TrafficView>,
    /// Which side leaves by the gateway of the other one, if one does.
    #[serde(default)]
    pub gateway_in_use: Option<GatewayView>,
    /// What each side reaches through appliances of the other one, if anything.
    #[serde(default)]
    pub through: Option<ThroughView>,
    /// The manual routes.
    #[serde(default)]
    pub manual_routes: Vec<RouteView>,
    /// The virtual addresses of the other side's load balancers that guests of the local network may
    /// use.
    #[serde(default)]
    pub virtual_addresses: Vec<VirtualAddressView>,
    /// The names of guests that are offered and told; `None` without such.
    #[serde(default)]
    pub names: Option<NamesView>,
    /// The routes to all its peers that the guests of the local network get; `None` if they never
    /// got any.
    #[serde(default)]
    pub guests: Option<GuestsView>,
    /// The Address_Sets that hold this network's prefixes, for use in ACLs as `$name`.
    pub address_sets: Vec<String>,
    /// The northbound rows of this side of the peering; only for operators.
    pub rows: Vec<RowView>,
}

/// A host with declarations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its name, from its settings or its system.
    pub name: String,
    /// Whether it is the host of this daemon.
    pub own: bool,
    /// Halves that it declares.
    pub halves: usize,
    /// Registered networks that it binds; for this host, all that it binds.
    pub networks: usize,
}

/// One northbound row of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowView {
    /// The OVN table.
    pub table: String,
    /// The row's UUID; `None` while it is only planned.
    pub uuid: Option<String>,
    /// A summary in one line.
    pub summary: String,
    /// What it is for, in words of peering: `route 10.2.0.0/24`.
    #[serde(default)]
    pub means: String,
}

/// Whom a row serves: a half, or a network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServedView {
    /// Its project.
    pub project: String,
    /// Its network.
    pub network: String,
    /// The half's name; `None` if the row serves the network.
    pub name: Option<String>,
}

/// The daemon's own state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The daemon's version.
    pub version: String,
    /// The name under which this host declares.
    pub host: String,
    /// Whether another instance uses that name: then this one writes nothing.
    #[serde(default)]
    pub host_name_in_use: bool,
    /// What is wrong with other hosts.
    #[serde(default)]
    pub host_problems: Vec<String>,
    /// How much more is.
    #[serde(default)]
    pub more_host_problems: usize,
    /// The northbound connection.
    pub northbound: NorthboundView,
    /// How many halves are in each state.
    pub halves: BTreeMap<State, usize>,
    /// How many of the diagnostics are errors: their subjects are not in effect as written.
    #[serde(default)]
    pub errors: usize,
    /// The problems of the settings and the declaration files.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more diagnostics there are.
    #[serde(default)]
    pub more_diagnostics: usize,
    /// Halves whose withdrawal waits for the operator's confirmation, `project/network/name` each.
    pub held: Vec<String>,
    /// How many more wait.
    #[serde(default)]
    pub more_held: usize,
    /// The word that names exactly the held withdrawals; `None` if there are none.
    #[serde(default)]
    pub held_seen: Option<String>,
    /// The version of a newer daemon that has written to the northbound: this one writes nothing
    /// then.
    #[serde(default)]
    pub newer_version: Option<u32>,
    /// Peerings and networks that wait because they were written again and again, and why.
    #[serde(default)]
    pub damped: Vec<String>,
    /// The work since the start.
    pub counters: Counters,
}

/// Withdrawals that wait for the operator's confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldView {
    /// How many halves.
    pub halves: usize,
    /// The word that names exactly these withdrawals; empty if there are none.
    pub seen: String,
    /// The part of each project, which can be confirmed by itself.
    pub projects: Vec<HeldProject>,
    /// The halves, `project/network/name` each.
    pub withdrawals: Vec<String>,
}

/// The withdrawals that are released together with a project's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldProject {
    /// The project.
    pub project: String,
    /// How many halves; if one file withdraws networks of several projects, it includes theirs.
    pub halves: usize,
    /// The word that names them.
    pub seen: String,
}

/// What needs attention, as far as its viewer may know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttentionView {
    /// The viewer's halves whose withdrawal waits for an operator's confirmation.
    pub held: usize,
    /// The errors in the viewer's files; for operators, in all files and the settings.
    pub errors: usize,
    /// Since when the northbound is out of reach; `None` if it is not.
    pub northbound_away_since: Option<Timestamp>,
    /// Whether another instance uses this host's name: then this one writes nothing.
    pub host_name_in_use: bool,
}

/// The problems of files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiagnosticsView {
    /// How many are errors, of all.
    pub errors: usize,
    /// The first of them, by file, line and column.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more there are.
    pub more_diagnostics: usize,
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
    /// Since when it is out of reach; `None` while it is connected and read in full.
    #[serde(default)]
    pub away_since: Option<Timestamp>,
    /// The last error of the connection.
    pub error: Option<String>,
    /// Of an `ssl:` remote.
    #[serde(default)]
    pub certificates: Option<CertificatesView>,
    /// The server's refusal of writes, as long as it lasts.
    #[serde(default)]
    pub refusal: Option<RefusalView>,
    /// What shows that it is older than this instance knows, as long as it is.
    #[serde(default)]
    pub older: Option<String>,
    /// How long ago the server sent something, in seconds; the client probes it after 5 s of
    /// silence. `None` while not connected.
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
    /// Why the certificates in the files are not used; those in use stay in use.
    pub problem: Option<String>,
    /// Certificates that expire within 14 days, or have expired.
    pub warnings: Vec<String>,
}

/// The server's refusal of writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalView {
    /// Its message, and what to do about it.
    pub error: String,
    /// Since when it refuses them.
    pub since: Timestamp,
    /// How often it has refused since.
    pub times: u64,
}

/// Work since the start; it shows that the daemon does nothing when nothing changes.
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
    /// Rows of ours that were changed or missing, and were repaired.
    pub drift_repaired: u64,
    /// Links of other tools whose place peerings took.
    #[serde(default)]
    pub links_taken_over: u64,
}
