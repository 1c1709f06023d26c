//! How a packet goes from router to router, by the rows of the northbound as OVN reads them.
//!
//! Owns what OVN makes of rows: static routes and connected networks, router policies with a reader
//! of OVN's match language, NAT, and links between routers. It judges nothing: whether a packet
//! should pass is what `peering` and the lists of `traffic` say. May not touch declarations,
//! peering rules or operations. Invariant: what it cannot read makes an answer uncertain, never
//! wrong; and the work follows the rows of the routers on the way, not the northbound.
//!
//! [`ways`] gives all ways that a [`Packet`] may take. It reads routers as their rows are, ours and
//! those of others alike, so a row that somebody removed or added has its effect here as in OVN. It
//! does not know what the northbound as we read it does not tell: the guests' ports, ACLs of others,
//! `dnat` rows.

mod matching;
mod packet;
mod policies;
mod router;
mod routes;
mod tokens;
mod translations;
mod truth;
mod walk;

pub use matching::{FindSet, Place, Set, holds};
pub use packet::{
    ACK, ALL_PORTS, CHOSEN_PORTS, ICMP, ICMP6, Opening, Packet, SCTP, SYN, TCP, UDP, is_between,
    is_within,
};
pub use policies::{Action, Policy};
pub use routes::{Route, RouteTo};
pub use translations::Translated;
pub use truth::Truth;
pub use walk::{Dropped, Ending, Hop, Start, Unknown, Way, is_connected, mac_of, port_of, ways};
