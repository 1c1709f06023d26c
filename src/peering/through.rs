//! The part that a link has in chains: what its ends reach through each other, beyond each other's
//! own prefixes.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::{NetworkKey, Terms};
use crate::northbound::{End, Family, Id};

use super::prefix::Prefixes;

/// The part that a link has in chains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Through {
    a: ThroughEnd,
    b: ThroughEnd,
}

/// The same, of one end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThroughEnd {
    /// What it may reach through the other end: its router can route it there.
    pub(super) reach: Prefixes,
    /// The route tables for that.
    pub tables: Arc<SortedSet<Arc<str>>>,
    /// The half with appliances of its network.
    pub(super) offer: Option<Offer>,
    /// The chains from the other end through appliances of its network.
    pub chains: Box<[Chain]>,
}

/// A half whose network has appliances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    /// Its name.
    pub(super) half: Arc<str>,
    /// Its terms.
    pub(super) terms: Arc<Terms>,
}

/// What one peer of a network reaches through an appliance of that network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The peering of the peer that it reaches, and that peer; `None` for what lies behind the
    /// appliance.
    pub other: Option<(Id, NetworkKey)>,
    /// Its own prefixes that reach it.
    pub here: Prefixes,
    /// What it reaches.
    pub there: Prefixes,
    /// The appliance, in each family.
    pub hops: Box<[Hop]>,
    /// What lies behind the appliance, and no route of the network's owner leads to.
    pub unrouted: Box<[IpNet]>,
}

/// An address of an appliance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The address.
    pub address: IpAddr,
    /// The router's port to it.
    pub port: Arc<str>,
    /// The route table which that port looks up.
    pub(super) table: Arc<str>,
}

impl Through {
    /// One end.
    #[must_use]
    pub fn end(&self, end: End) -> &ThroughEnd {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    pub(super) fn end_mut(&mut self, end: End) -> &mut ThroughEnd {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }
}

impl Hop {
    /// The family of the address.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(&self.address.into())
    }
}

impl Chain {
    /// The appliance in one family, if packets of that family pass it.
    #[must_use]
    pub fn hop(&self, family: Family) -> Option<&Hop> {
        self.hops.iter().find(|hop| hop.family() == family)
    }
}
