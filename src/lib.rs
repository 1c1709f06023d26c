//! ovn-peerd: peers two tenants' OVN networks directly, privately and by the consent of both.
//!
//! # A guided tour
//!
//! Start at [`declare`]: what operators and tenants write, and the [`LocalDeclarations`](declare::LocalDeclarations) that
//! holds what is in effect. [`northbound`] reads what OVN has: routers as facts, rows of ours by
//! their tag. [`peering`] is where decisions are made: each pair of networks gets one
//! [`Resolution`](peering::Resolution). [`program`] turns a [`Link`](peering::Link) into rows and
//! differences into one transaction. [`engine`] joins these pure rooms; [`daemon`] is the event
//! loop around it, [`ovsdb`] the protocol below it, [`control`] and [`ctl`] how operators speak to
//! it, [`view`] what they are shown. ARCHITECTURE.md has the picture.
//!
//! # Glossary
//!
//! - **network**: a tenant's network, bound by the operator to one Logical_Router.
//! - **half**: one side's declaration; two halves that name each other make a **peering**.
//! - **local, remote side**: seen from a half. "Peer" alone is OVN's column of that name.
//! - **inward port**: a router port whose subnets are the network's address space; an **uplink**
//!   leads outside.
//! - **link**: the two router ports, routes and policies of a peering that stands.
//! - **registration**: the Address_Sets of a network, and the records that they carry.
//! - **unit**: a peering or a network; each row of ours serves exactly one.
//! - **desired, present, drift**: rows as they shall be, as they are, and the difference that
//!   somebody else made.
//! - **recompute**: deciding and comparing everything anew.
//! - **active, standby**: the instance that holds the OVSDB lock, and the others.

pub mod control;
pub mod ctl;
pub mod daemon;
pub mod declare;
pub mod engine;
pub mod northbound;
pub mod now;
pub mod ovsdb;
pub mod peering;
pub mod program;
pub mod view;
