//! Declarations: converts TOML text to settings, networks and halves.
//!
//! Owns the file formats, the diagnostics (every error of every file at once, with file:line:column
//! and a hint), drop-in order, and the last good version of each file. May not touch the file
//! system, the clock, or any OVN table: its input is text, its output is values.
//!
//! A [`Reading`] says what the shell found in the directories; it is parsed wherever there is time
//! for that, within fixed limits. The [`LocalDeclarations`] applies parsed readings and holds what
//! is in effect. [`Settings`] are the operator's own file.
//!
//! From below: facts (`model` and `terms`, `identity`, `tool_network`, `source`, `contribution`, `changed`, `diagnostic`,
//! `settings`); readers, which make facts of texts (`toml_reader`, `parse`, and a file for each
//! format); rules, which say what counts (`pins`, `claims`, `limit_group`, `local` and its parts, `trust`,
//! `rules`, `registered`, `said`, `declarations`); a writer, which makes text of facts again (`written`).

mod api_file;
mod appliances_file;
mod changed;
mod check;
mod claims;
mod contribution;
mod cover;
mod declarations;
mod diagnostic;
mod identity;
#[cfg(test)]
pub(crate) mod known_keys;
mod limit_group;
mod limits;
mod listen_keys;
mod local;
mod metrics_file;
mod model;
mod names;
mod networks;
mod pair;
mod parse;
mod peerings;
mod pins;
mod policy_file;
mod registered;
mod rejections;
mod routes_file;
mod rules;
mod said;
mod section;
mod settings;
mod settings_file;
mod source;
mod stored;
mod terms;
mod toml_reader;
mod tool_network;
mod tools_file;
mod trust;
mod written;

pub use changed::Changed;
pub use check::{Checked, check};
pub use contribution::ParsedFile;
pub use cover::Cover;
pub use declarations::Declarations;
pub use diagnostic::{Diagnostic, DiagnosticCode, Position, Severity};
pub use identity::{default_of_network, digest, uuid_of_half, uuid_of_network};
pub use limit_group::LimitGroup;
pub use limits::{MAX_FAULTS, MAX_FILE_BYTES, MAX_HALVES, MAX_REJECTIONS};
pub use local::{Held, HeldPart, LastGood, LocalDeclarations, Remembered};
pub use model::{
    ConfiguredStatus, Half, HalfKey, Host, Network, NetworkKey, NetworkName, NetworkType,
    Rejection, RejectionKey, RouterRef, TellGuests,
};
pub use names::{UNSEEN, name_fault};
pub use pair::PeeringKey;
pub use peerings::{MAX_CONFIG_BYTES, peering_keys};
pub use registered::{ByHost, Others};
pub use rules::{Rules, RulesDigest};
pub use said::{Dispute, Said};
pub use settings::{
    AddressSpace, ApiSettings, AutoAccept, ControlSettings, DaemonSettings, Filters,
    ListenSettings, MaxWithdrawals, MetricsSettings, NorthboundSettings, OperatorEntry,
    PathSettings, PerHalf, PolicySettings, ProjectPin, Quotas, RateSettings, Settings,
    ShowRequests, TokenSettings, ToolSettings,
};
pub use source::{Directory, FileId, Giver, Owner, Reading, SourceFile, is_declaration};
pub use stored::{Edit, NotStored, STORE, Source, Stored, StoredChange, StoredText, parse_stored};
pub use terms::{
    Action, Appliance, Appliances, Destinations, Domains, Export, GatewayOffer, Import, In,
    LoadBalancers, ManualRoute, MaxPrefixes, OfferGateway, OfferNames, Out, PlacedRoute,
    PrefixFilter, PrefixList, ReachThrough, RouteTables, Routes, Rule, Stateful, TableOf, Tables,
    TellNames, Terms, TrafficList, UnreadableRule, UseGateway, UseLoadBalancers, is_domain,
};
pub use tool_network::{Tool, ToolNetwork};
pub use trust::HostProblem;
pub use written::written;
