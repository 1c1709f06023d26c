//! The rules of peering: the only place that decides.
//!
//! Owns identity, pairing, consent, conflicts and reasons: from declarations, the northbound's
//! facts and its records it decides one [`Resolution`] per pair of networks. May not touch row
//! shapes, operations or the clock. Invariants: only `decide`, with `alone` and `linking` that it
//! calls, makes [`Verdict`]s; until both sides have declared, the rules read nothing of the other
//! network; the result does not depend on the order of the input.

mod alone;
mod balancer_copies;
mod balancing;
mod balancing_index;
mod blockers;
mod chaining;
mod conflict;
mod decide;
mod depth;
mod due;
mod facts;
mod gateway;
mod gather;
mod ground;
pub mod guest_routes;
mod inputs;
mod lent_index;
mod linking;
mod listed;
mod local;
pub mod mesh;
mod messages;
mod mtu;
mod naming;
mod naming_index;
mod network;
mod outcome;
mod pair;
mod pairs_by;
mod parity;
pub mod prefix;
mod quota;
mod records;
pub mod report;
mod request;
mod resolver;
mod shadow;
mod space;
mod state;
mod targets;
mod terms;
mod through;
mod told_names;
mod traffic;

pub use balancer_copies::{BalancerCopy, Balancing};
pub use depth::Depths;
pub use ground::Ground;
pub use guest_routes::{GuestRoutes, Omitted, RouteCell};
pub use local::{Local, Ready};
pub use network::{Networks, Node};
pub use outcome::{
    Gateway, InTheWay, Link, LinkEnd, Resolution, Resolved, Traffic, TranslatedSource, Verdict,
};
pub use pair::{end_of, key_of_end};
pub use resolver::Resolver;
pub use state::{Reason, State};
pub use through::{Chain, Hop, Through, ThroughEnd};
pub use told_names::Naming;
