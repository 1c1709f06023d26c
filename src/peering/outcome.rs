//! The results of the rules: a verdict per half, and the desired link, if any.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use sorted_vec::SortedSet;
use uuid::Uuid;

use crate::declare::{NetworkKey, PeeringKey, PlacedRoute};
use crate::northbound::{End, Family, Id, Persisted, RecordedState, UnitId};
use crate::traffic::{Openings, Policies};

use super::balancer_copies::Balancing;
use super::prefix::Prefixes;
use super::state::{Reason, State};
use super::through::{Chain, Through};
use super::told_names::Naming;

/// The verdict on a half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is not linked; `None` if the link is desired.
    pub reason: Option<Reason>,
    /// The same in a sentence; `None` if linked.
    pub explanation: Option<String>,
    /// What to do about it.
    pub next_step: Option<String>,
    /// The problems of a linked half.
    pub degraded: Vec<String>,
    /// The part to record.
    pub persisted: Persisted,
}

impl Verdict {
    /// The verdict on a half whose link is desired and has no problems.
    #[must_use]
    pub fn linked() -> Self {
        Self {
            reason: None,
            explanation: None,
            next_step: None,
            degraded: Vec::new(),
            persisted: Persisted::default(),
        }
    }

    /// Whether the link is desired.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.reason.is_none()
    }

    /// The state to record.
    #[must_use]
    pub fn recorded(&self) -> RecordedState {
        let Some(reason) = self.reason else { return RecordedState::Linked };
        match reason.state() {
            State::PendingPeer => RecordedState::Pending,
            State::Provisioning | State::Active => RecordedState::Linked,
            State::Disabled => RecordedState::Disabled,
            State::PeerDisabled => RecordedState::PeerDisabled,
            State::Disconnected => RecordedState::Disconnected,
            State::Rejected => RecordedState::Rejected,
            State::Expired => RecordedState::Expired,
            State::Deleted => RecordedState::Deleted,
            State::Failed => RecordedState::Failed(reason.as_str().into()),
        }
    }
}

/// A link between two routers: all facts that its rows are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The peering.
    pub key: PeeringKey,
    /// Its identity in names.
    pub id: Id,
    /// Whether there is a switch between the routers: a direct link to a gateway router fails.
    pub has_switch: bool,
    /// The end whose network sorts first.
    pub a: LinkEnd,
    /// The other end.
    pub b: LinkEnd,
    /// Which packets may cross; `None` for all, as it nearly always is.
    pub traffic: Option<Box<Traffic>>,
    /// The use of one end's gateway by the other end, if there is any.
    pub gateway: Option<Box<Gateway>>,
    /// Its part in chains through appliances; `None` if it has none, as nearly always.
    pub through: Option<Box<Through>>,
    /// The links of others whose place it takes, with their ports, of end A first; nearly always
    /// none.
    pub replaces: Box<[[Arc<str>; 2]]>,
}

/// The use of one end's gateway by the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The end that uses it.
    pub user: End,
    /// The destinations that it reaches so; `None` for all that it does not reach otherwise.
    pub listed: Option<Prefixes>,
    /// The route tables for the routes there.
    pub tables: Arc<SortedSet<Arc<str>>>,
    /// The uplinks of the other end's router.
    pub uplinks: Box<[Arc<str>]>,
    /// The sources that the other end's router translates for it.
    pub nat: Box<[TranslatedSource]>,
    /// The destinations to which it does not translate them, besides those of chains: a gateway
    /// router would do so on every port.
    pub exempted: Option<Prefixes>,
    /// The prefixes of both networks: no packet from the outside has such a source.
    pub never_outside: Arc<[IpNet]>,
}

/// Sources that leave with another address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatedSource {
    /// The sources.
    pub sources: IpNet,
    /// The address that replaces them.
    pub external: IpAddr,
    /// The gateway port that translates, if the router has several.
    pub gateway_port: Option<Uuid>,
}

/// The traffic filters of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// What end A may open at end B.
    from_a: Openings,
    /// What end B may open at end A.
    from_b: Openings,
    at_a: Policies,
    at_b: Policies,
    /// The switch ports that bring the guards to the switches, of end A first.
    anchors: [Box<[Uuid]>; 2],
}

impl Traffic {
    /// The rules of both directions, the policies of both routers, and a port of each switch that
    /// has a guard, all of end A first.
    pub(super) fn new(
        [from_a, from_b]: [Openings; 2],
        [at_a, at_b]: [Policies; 2],
        anchors: [Box<[Uuid]>; 2],
    ) -> Self {
        Self { from_a, from_b, at_a, at_b, anchors }
    }

    /// The switch ports that bring the guard of one end to its switches.
    #[must_use]
    pub fn anchors(&self, end: End) -> &[Uuid] {
        let [a, b] = &self.anchors;
        match end {
            End::A => a,
            End::B => b,
        }
    }

    /// What one end may open at the other.
    #[must_use]
    pub fn opened_by(&self, end: End) -> &Openings {
        match end {
            End::A => &self.from_a,
            End::B => &self.from_b,
        }
    }

    /// The policies on the router of one end.
    #[must_use]
    pub fn policies(&self, end: End) -> &Policies {
        match end {
            End::A => &self.at_a,
            End::B => &self.at_b,
        }
    }
}

impl Link {
    /// One end.
    #[must_use]
    pub fn end(&self, end: End) -> &LinkEnd {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// The same, mutable.
    pub(super) fn end_mut(&mut self, end: End) -> &mut LinkEnd {
        match end {
            End::A => &mut self.a,
            End::B => &mut self.b,
        }
    }

    /// The use of the other end's gateway by this end.
    #[must_use]
    pub fn used_by(&self, end: End) -> Option<&Gateway> {
        self.gateway.as_deref().filter(|gateway| gateway.user == end)
    }

    /// The listed prefixes that an end reaches by the other end's gateway.
    #[must_use]
    pub fn listed(&self, end: End) -> &[IpNet] {
        self.used_by(end).and_then(|gateway| gateway.listed.as_deref()).unwrap_or_default()
    }

    /// Whether an end takes packets from anywhere by the other end's gateway.
    #[must_use]
    pub fn takes_all(&self, end: End) -> bool {
        self.used_by(end).is_some_and(|gateway| gateway.listed.is_none())
    }

    /// What an end may reach through the other end.
    #[must_use]
    pub fn reach(&self, end: End) -> &[IpNet] {
        self.through.as_deref().map(|through| &*through.end(end).reach).unwrap_or_default()
    }

    /// What an end reaches through appliances of the other end's network.
    #[must_use]
    pub fn chains_from(&self, end: End) -> &[Chain] {
        self.through.as_deref().map(|it| &*it.end(end.other()).chains).unwrap_or_default()
    }

    /// The prefixes that an end reaches so.
    pub fn reached(&self, end: End) -> impl Iterator<Item = IpNet> {
        self.chains_from(end).iter().flat_map(|chain| chain.there.iter().copied())
    }

    /// The routes to these on the end's router, each with its table.
    pub fn reached_by_table(&self, end: End) -> impl Iterator<Item = (&Arc<str>, IpNet)> {
        let reached: BTreeSet<IpNet> = self.reached(end).collect();
        let tables = self.through.as_deref().map(|through| &*through.end(end).tables);
        tables.into_iter().flat_map(|tables| tables.iter()).flat_map(move |table| {
            reached.iter().map(move |prefix| (table, *prefix)).collect::<Vec<_>>()
        })
    }

    /// Both ends, this network's own first.
    #[must_use]
    pub fn ends_from(&self, network: &NetworkKey) -> [&LinkEnd; 2] {
        if self.a.network == *network { [&self.a, &self.b] } else { [&self.b, &self.a] }
    }

    /// The end of the other network.
    #[must_use]
    pub fn remote_of(&self, network: &NetworkKey) -> &LinkEnd {
        let [_, remote] = self.ends_from(network);
        remote
    }
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    /// The network.
    pub network: NetworkKey,
    /// Its identity in names.
    pub network_id: Id,
    /// Its router.
    pub router: Uuid,
    /// The router's name; the transaction checks it.
    pub router_name: Arc<str>,
    /// The router's own inward address of each linked family.
    pub addresses: Box<[IpAddr]>,
    /// The route tables of the router that need the other end's prefixes.
    pub tables: Arc<SortedSet<Arc<str>>>,
    /// The owner's manual routes, each with its table; `None` if routes are automatic: then there
    /// is one for each of the other end's prefixes in each of the tables.
    pub routes: Option<Box<[PlacedRoute]>>,
    /// The MTU for which its port checks; only one end has it.
    pub mtu: Option<u16>,
    /// Ports of others on its router that also lead to the other router; nearly always none.
    pub beside: Vec<Arc<str>>,
    /// This end's prefixes that the other end accepts, of linked families.
    pub prefixes: Prefixes,
    /// The families in which these are not all prefixes of the network; nearly always none. In the
    /// other families, policies use the registration's Address_Sets, which follow the network's
    /// prefixes without a change of the policies.
    pub partial: Box<[Family]>,
    /// Its load balancers; nearly always none.
    pub balancing: Option<Box<Balancing>>,
    /// Its names; nearly always none.
    pub naming: Option<Box<Naming>>,
}

impl LinkEnd {
    /// The routes over the link on this end's router, each with its table: the manual ones, or one
    /// for each of the other end's prefixes in each of the tables.
    pub fn routes_to<'a>(
        &'a self,
        remote: &'a Self,
    ) -> impl Iterator<Item = (&'a Arc<str>, IpNet)> {
        let placed = self.routes.iter().flatten().map(|(table, prefix)| (table, *prefix));
        let tables = self.tables.iter().filter(|_| self.routes.is_none());
        let automatic =
            tables.flat_map(|table| remote.prefixes.iter().map(move |prefix| (table, *prefix)));
        placed.chain(automatic)
    }

    /// The virtual addresses of the other end that this end's guests use and that are in none of its
    /// prefixes: no route of a router leads there, because this end's switches translate them.
    pub fn beyond<'a>(&'a self, remote: &'a Self) -> impl Iterator<Item = IpNet> {
        let copies = self.balancing.iter().flat_map(|balancing| &balancing.copies);
        let addresses = copies.flat_map(|copy| &copy.content.vips).map(|vip| vip.at.address);
        let crosses =
            |address: &IpAddr| remote.prefixes.iter().any(|prefix| prefix.contains(address));
        addresses.filter(move |address| !crosses(address)).map(IpNet::from)
    }

    /// The address of a family, if the family is linked.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| Family::of(&(*address).into()) == family)
    }
}

/// The decision on one peering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// The verdict on each end's half; `None` if the end has not declared, or if the verdict is
    /// [`Verdict::linked`], as it nearly always is.
    pub verdicts: [Option<Box<Verdict>>; 2],
    /// The desired link.
    pub link: Option<Box<Link>>,
    /// The next moment at which time alone may change the decision.
    pub due: Option<Timestamp>,
    /// The links of others that are in the way; `None` if there are none, as nearly always.
    pub in_the_way: Option<Box<InTheWay>>,
}

/// Links of others that are in the way of a new peering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InTheWay {
    /// Their ports, of end A first.
    pub ports: Box<[[Arc<str>; 2]]>,
    /// Whether the peering would carry all that they carry.
    pub parity: bool,
}

impl Resolution {
    /// Whether it is refused because of the depth of the mesh.
    pub(super) fn is_too_deep(&self) -> bool {
        let mut verdicts = self.verdicts.iter().flatten();
        verdicts.any(|verdict| verdict.reason == Some(Reason::MeshTooDeep))
    }

    /// The verdict on one end's half, if the end has declared one.
    #[must_use]
    pub fn verdict(&self, end: End) -> Option<Verdict> {
        let [a, b] = &self.verdicts;
        let verdict = match end {
            End::A => a.as_deref(),
            End::B => b.as_deref(),
        };
        verdict.cloned().or_else(|| self.link.is_some().then(Verdict::linked))
    }
}

/// The result of a pass of the rules.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Pairs decided anew.
    pub pairs: BTreeSet<PeeringKey>,
    /// Units without declarations.
    pub orphans: BTreeSet<UnitId>,
    /// Networks whose registration or uplink anti-spoof may differ.
    pub networks: BTreeSet<NetworkKey>,
}

/// The earlier of two moments, if there are any.
pub(super) fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
