//! OVN's northbound, read: typed facts about routers, and the owner tag.
//!
//! Owns the tables and columns that are monitored, the index from rows to routers, what counts as
//! an inward port or an uplink, which rows are ours, and the records that must outlive the daemon.
//! May not touch peering rules, operations or sockets. Invariant: folding a change costs what the
//! change costs, whatever else the northbound holds.

mod beyond;
pub mod declared;
pub mod guest_routes;
mod index;
pub mod inventory;
mod lasting;
pub mod leases;
pub mod lent;
mod link;
pub(crate) mod members;
pub mod owner;
mod parents;
pub mod priority;
pub mod registration;
pub mod router;
mod sources;
pub mod special;
mod state;
mod switches;
pub mod tables;
mod translation;
mod units;
mod version;
mod zones;

pub use inventory::{Inventory, Touched};
pub use lasting::{Frozen, Lasting};
pub use link::LinkFacts;
pub use owner::{End, Family, Id, UnitId};
pub use registration::{GuestRecord, HalfRecord, NetworkRecord, RecordedState};
pub use router::{Connected, ForeignPolicy, ForeignRoute, Joint, JointTo, RouterFacts, RouterKind};
pub use sources::Sources;
pub use state::{NameCollision, Northbound};
pub use tables::tags_of;
pub use translation::{Choice, Translation};
pub use zones::Zones;
