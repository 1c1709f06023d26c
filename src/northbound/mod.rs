//! OVN's northbound, read: typed facts about routers, and the owner tag.
//!
//! Defines the tables and columns that we monitor, the index from rows to routers, which ports are
//! inward and which are uplinks, which rows are ours, and the records that must outlive the daemon.
//! It may not use peering rules, operations or sockets. Invariant: the cost of applying a change
//! follows the size of the change, whatever else the northbound holds.

pub mod balancers;
pub mod borrowed;
pub mod counters;
pub mod declared;
pub mod dns;
pub mod endpoint;
mod foreign_link;
pub mod guest_routes;
mod index;
mod link;
pub(crate) mod members;
pub mod others;
pub mod owner;
mod persisted;
pub mod priority;
pub mod registration;
pub mod router;
mod rows;
mod sources;
pub mod special;
mod state;
pub mod stored;
pub mod tables;
mod translation;
mod zones;

pub use balancers::{Backend, Balancer, BalancerFacts, Vip};
pub use dns::{Answer, NameFacts};
pub use endpoint::Endpoint;
pub use foreign_link::{ForeignLink, ForeignLinkTo};
pub use index::change::{Differing, Touched, TouchedBalancers};
pub use index::dhcp::DhcpOptions;
pub use index::served::PORT_KEY;
pub use link::LinkFacts;
pub use owner::{End, Family, Id, UnitId};
pub use persisted::{Frozen, Persisted};
pub use registration::{GuestRecord, HalfRecord, NetworkRecord, RecordedState};
pub use router::{Connected, ForeignPolicy, ForeignRoute, RouterFacts, RouterKind};
pub use sources::Sources;
pub use state::{NameCollision, Northbound};
pub use tables::tags_of;
pub use translation::{Choice, SourceNat, Translation};
pub use zones::Zones;
