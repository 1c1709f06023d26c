//! The operator's settings in `ovn-peerd.toml`. Every key has a default.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

/// The operator's settings, with paths resolved against the file's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `[northbound]`
    pub northbound: NorthboundSettings,
    /// `[paths]`
    pub paths: PathSettings,
    /// `[control]`
    pub control: ControlSettings,
    /// `[daemon]`
    pub daemon: DaemonSettings,
    /// `[policy]`
    pub policy: PolicySettings,
    /// `[metrics]`
    pub metrics: MetricsSettings,
    /// `[tools]`
    pub tools: ToolSettings,
    /// `[[project]]`
    pub projects: Vec<ProjectPin>,
    /// `[api]`
    pub api: ApiSettings,
    /// `[[token]]`
    pub tokens: Vec<TokenSettings>,
}

/// `[northbound]`: how to reach OVN's northbound database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NorthboundSettings {
    /// `unix:PATH`, `tcp:HOST:PORT` or `ssl:HOST:PORT` (ovsdb(7), "Active Remote Connection
    /// Methods"), at least one, tried in turn.
    pub remotes: Vec<String>,
    /// Whether to use only the leader of a RAFT cluster.
    pub leader_only: bool,
    /// PEM: the authority that signed the server's certificate; required by `ssl:`.
    pub ca_cert: Option<PathBuf>,
    /// PEM: this client's certificate; requires `private_key`.
    pub certificate: Option<PathBuf>,
    /// PEM: its key.
    pub private_key: Option<PathBuf>,
    /// Whether the server's certificate must also name the remote's host. Off by default, as in
    /// OVS: `ovs-pki` writes certificates without addresses.
    pub verify_name: bool,
}

/// `[paths]`: the drop-in directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSettings {
    /// The operator's bindings.
    pub networks: PathBuf,
    /// The tenants' halves.
    pub peerings: PathBuf,
}

/// `[tools]`: the sockets of tools that make networks; `None` for those where they usually are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolSettings {
    /// LXD's.
    pub lxd: Option<PathBuf>,
    /// That of Incus.
    pub incus: Option<PathBuf>,
}

/// `[control]`: the socket for `ovn-peerctl`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlSettings {
    /// A unix socket's path.
    pub socket: PathBuf,
    /// The operators besides root, the daemon's own user and the members of the socket's group.
    pub operators: Vec<OperatorEntry>,
}

/// One of `[control] operators`, in the notation of sudoers(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorEntry {
    /// A Unix account: its name, or a uid in digits.
    User(String),
    /// Written `%name`: the members of a Unix group, or of a gid in digits.
    Group(String),
}

/// Where a service of the daemon listens on the network; without an address it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenSettings {
    /// The addresses.
    pub listen: Vec<SocketAddr>,
    /// PEM: the certificate for clients, with intermediates after it; requires `private_key`.
    /// Without it the addresses are of loopback.
    pub certificate: Option<PathBuf>,
    /// PEM: its key.
    pub private_key: Option<PathBuf>,
    /// PEM: authorities of which a client must have a certificate.
    pub client_ca: Option<PathBuf>,
}

/// `[api]`: the network API.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiSettings {
    /// Where it listens.
    pub listener: ListenSettings,
    /// How often each token may ask.
    pub rate: RateSettings,
}

/// `rate`: a bucket of requests that fills with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// So many come back each second.
    pub per_second: u32,
    /// So many may be used at once.
    pub burst: u32,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self { per_second: 20, burst: 40 }
    }
}

/// `[[token]]`: who may use the network API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSettings {
    /// Its name: it stands in the journal, and beside what it stores.
    pub name: String,
    /// The project that it speaks for; `None` for an operator's, which speaks for all.
    pub project: Option<String>,
    /// Whether it may change nothing.
    pub read_only: bool,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// SHA-256 of its secret.
    pub sha256: [u8; 32],
    /// The line of its name in the settings.
    pub line: u32,
}

/// `[daemon]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonSettings {
    /// The name under which this host declares; `None` for the system's name.
    pub host: Option<String>,
}

/// `[metrics]`: what a scraper gets, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricsSettings {
    /// Where `GET /metrics` is answered, besides the control socket.
    pub listener: ListenSettings,
    /// Which halves have series of their own.
    pub per_half: PerHalf,
}

/// Which halves have series of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PerHalf {
    /// All; where there are too many, as `Troubled`.
    #[default]
    All,
    /// Those that are not active or are degraded.
    Troubled,
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// How much one reload may withdraw without a confirmation.
    pub max_withdrawals: MaxWithdrawals,
    /// When one half is enough for a peering.
    pub auto_accept: AutoAccept,
    /// How long a request stays pending before it expires; `None` for never.
    pub request_expiry: Option<SignedDuration>,
    /// How long a deleted half is still shown; zero for not at all.
    pub history: SignedDuration,
    /// How a change of subnets affects a peering.
    pub address_space: AddressSpace,
    /// Whether a network must have a port of a VM before it may peer.
    pub require_workload: bool,
    /// Most datapaths that a path over linked routers may have; OVN follows 100.
    pub max_mesh_depth: u32,
    /// How many halves and rejections count.
    pub quotas: Quotas,
    /// Who is shown requests.
    pub show_requests: ShowRequests,
    /// What a half without `in` or `out` lets open.
    pub filters: Filters,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self {
            max_withdrawals: MaxWithdrawals::default(),
            auto_accept: AutoAccept::Never,
            request_expiry: Some(SignedDuration::from_hours(7 * 24)),
            history: SignedDuration::from_hours(1),
            address_space: AddressSpace::Follow,
            require_workload: false,
            max_mesh_depth: 89,
            quotas: Quotas::default(),
            show_requests: ShowRequests::Targets,
            filters: Filters::Open,
        }
    }
}

/// `filters`: what may open where a half has no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filters {
    /// Everything (LXD, Windows Server).
    Open,
    /// Nothing, until both sides allow it (Outscale).
    Closed,
}

/// `show_requests`: who is shown requests that nobody has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowRequests {
    /// The owner of the network that is asked, and operators.
    Targets,
    /// Operators only.
    Operators,
}

/// `auto_accept`: when one half is enough for a peering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoAccept {
    /// Both sides declare, always (LXD).
    Never,
    /// Between two networks of one project, one half is enough (Outscale).
    SameProject,
}

/// `address_space`: how a change of subnets affects a peering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressSpace {
    /// The other side gets it at once.
    Follow,
    /// The address space of the activation stays in effect until the peering is renewed.
    Freeze,
}

/// `max_halves_per_network`, `max_halves_per_project`, `max_rejections_per_project`: how many halves
/// and rejections count; `None` for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Halves of one network.
    pub per_network: Option<u32>,
    /// Halves of all networks of one project together.
    pub per_project: Option<u32>,
    /// Rejections of all networks of one project together, on this host.
    pub rejections_per_project: Option<u32>,
}

impl Quotas {
    /// No limit at all.
    pub const NONE: Self =
        Self { per_network: None, per_project: None, rejections_per_project: None };
}

impl Default for Quotas {
    /// More than anybody writes by hand, and few enough for the northbound to serve others well.
    fn default() -> Self {
        Self { per_project: Some(1000), rejections_per_project: Some(1000), ..Self::NONE }
    }
}

/// A reload that would withdraw more than *both* limits is held until the operator confirms it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxWithdrawals {
    /// A number of halves.
    pub halves: u32,
    /// A share of all halves in effect, 0 to 100. With 0 only the number decides; with 100 nothing
    /// is ever held.
    pub percent: u32,
}

impl Default for MaxWithdrawals {
    /// "More than 10 and more than half": a small site can be emptied, and a large one cannot by
    /// accident.
    fn default() -> Self {
        Self { halves: 10, percent: 50 }
    }
}

impl MaxWithdrawals {
    /// Whether withdrawing `lost` of `of` halves needs a confirmation.
    #[must_use]
    pub fn is_exceeded(&self, lost: usize, of: usize) -> bool {
        let (lost, of) = (lost as u128, of as u128);
        lost > u128::from(self.halves) && lost * 100 > of * u128::from(self.percent)
    }
}

/// `[[project]]`: only files of this Unix owner may speak for the project, and only on these hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectPin {
    /// The project.
    pub name: String,
    /// An account's name, or a uid in digits.
    pub owner: String,
    /// The files of `peerings.d` that may speak for it, and for no other project; if empty, any
    /// file may.
    pub files: Vec<String>,
    /// The hosts that may declare for it; none: any may.
    pub hosts: Vec<String>,
}

impl Settings {
    /// The settings of an empty file in `directory`.
    #[must_use]
    pub fn defaults(directory: &Path) -> Self {
        Self {
            northbound: NorthboundSettings {
                remotes: vec!["unix:/run/ovn/ovnnb_db.sock".to_owned()],
                leader_only: true,
                ca_cert: None,
                certificate: None,
                private_key: None,
                verify_name: false,
            },
            paths: PathSettings {
                networks: directory.join("networks.d"),
                peerings: directory.join("peerings.d"),
            },
            control: ControlSettings {
                socket: "/run/ovn-peerd/control.sock".into(),
                operators: Vec::new(),
            },
            daemon: DaemonSettings::default(),
            policy: PolicySettings::default(),
            metrics: MetricsSettings::default(),
            tools: ToolSettings::default(),
            projects: Vec::new(),
            api: ApiSettings::default(),
            tokens: Vec::new(),
        }
    }
}
