//! ovn-peerd: peers the OVN networks of two tenants directly, privately, and with the consent of
//! both.
//!
//! # A guided tour
//!
//! Start at [`declare`]: it parses the files of operators and tenants, and
//! [`LocalDeclarations`](declare::LocalDeclarations) holds the declarations in effect.
//! [`northbound`] reads OVN's rows: routers as facts, our own rows by their tag. [`peering`]
//! decides: each pair of networks gets one [`Resolution`](peering::Resolution); [`traffic`] decides
//! which packets cross. [`program`] makes
//! rows of a [`Link`](peering::Link), and one transaction of the differences. [`engine`] joins
//! these pure rooms. [`daemon`] is the event loop around it, [`ovsdb`] the protocol below it,
//! [`discover`] finds what other tools have made,
//! [`control`] and [`ctl`] are the interface for operators and tenants, [`metrics`] has what
//! Prometheus reads, and [`view`] has the values that these see. ARCHITECTURE.md has the picture.
//!
//! # Glossary
//!
//! - **network**: a tenant's network, bound by the operator to one Logical_Router.
//! - **half**: one side's declaration; two halves that name each other make a **peering**.
//! - **local, remote side**: the network of a half, and the other one. "Peer" alone is OVN's column
//!   of that name.
//! - **inward port**: a router port whose subnets are the network's address space; an **uplink**
//!   leads outside.
//! - **link**: the two router ports, routes and policies of a peering that is up.
//! - **registration**: the Address_Sets of a network, and the records in them.
//! - **unit**: a peering or a network; each row of ours serves exactly one.
//! - **desired, present, drift**: rows as they should be, rows as they are, and the differences
//!   that somebody else caused.
//! - **recompute**: deciding and comparing everything anew.
//! - **active, standby**: the instance that holds the OVSDB lock, and the others.

pub mod api;
pub mod control;
pub mod ctl;
pub mod daemon;
pub mod declare;
pub mod discover;
pub mod engine;
pub mod listen;
#[cfg(test)]
mod manual;
pub mod metrics;
pub mod northbound;
pub mod now;
pub mod ovsdb;
pub mod peering;
pub mod pem;
pub mod program;
pub mod reach;
pub mod traffic;
pub mod view;
