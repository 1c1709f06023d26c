//! What load balancers make of one end of a link: what it exports, and the copies that its guests
//! use.

use std::net::IpAddr;

use uuid::Uuid;

use crate::northbound::Balancer;

/// The load balancers of one end of a link; nearly every end has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balancing {
    /// The names that its half exports to the other end.
    pub exported: Vec<String>,
    /// The balancers of its own network that have these names.
    pub rows: Vec<Uuid>,
    /// The virtual addresses of the other end that its guests may use, if nobody else has them
    /// here.
    pub claimed: Vec<IpAddr>,
    /// The copies for its guests.
    pub copies: Vec<BalancerCopy>,
    /// The switches of its guests, which refer to the copies.
    pub switches: Vec<Uuid>,
}

/// A copy of a load balancer, with what the other end's guests may use of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerCopy {
    /// The name in the northbound: a digest.
    pub name: String,
    /// The content.
    pub content: Balancer,
}
