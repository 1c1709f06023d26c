//! One network by itself: whether it can peer at all, independent of other networks.

use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::{
    Cover, Host, Network, NetworkKey, NetworkType, RouteTables, RouterRef, Said, Terms,
};
use crate::northbound::{ForeignRoute, Northbound, RouterFacts};

use super::prefix::Prefixes;
use super::state::Reason;

/// A network that has declared a half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// It can peer.
    Ready(Arc<Ready>),
    /// It cannot peer with any network.
    Fault(Fault),
}

/// A network that can peer.
#[derive(Debug, PartialEq, Eq)]
pub struct Ready {
    /// Its binding.
    pub network: Arc<Network>,
    /// Its router.
    pub router: RouterFacts,
    /// Its address space: its subnets, and further prefixes that it may announce; sorted, without
    /// duplicates.
    pub prefixes: Prefixes,
    /// Prefixes that somebody routes to its guests; nearly always none.
    pub guests: Option<Box<Guests>>,
}

/// Prefixes that static routes of others lead to a network's guests (LXD's NIC routes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guests {
    /// Those that the operator allows the network to announce: they are part of its address space.
    pub owned: Vec<ForeignRoute>,
    /// The prefixes of the others.
    pub unowned: Vec<IpNet>,
}

/// Why a network cannot peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No file of the operator binds it.
    Unbound,
    /// Hosts bind it differently.
    Disputed(Vec<Host>),
    /// Its router is not in the northbound.
    NoRouter(RouterRef),
    /// Several routers have that name.
    AmbiguousRouter(RouterRef),
    /// Its router is bound to another network as well.
    SharedRouter(RouterRef),
    /// It is not of type `private`.
    Type(Arc<str>),
    /// Its router has no inward subnet.
    NoSubnet(Arc<str>),
}

impl Local {
    /// Reads a network's own state. `shared` says that another network has the same router.
    #[must_use]
    pub fn read(
        said: Option<&Said<'_, Arc<Network>>>,
        shared: bool,
        northbound: &Northbound,
    ) -> Self {
        match Self::ready(said, shared, northbound) {
            Ok(ready) => Self::Ready(Arc::new(ready)),
            Err(fault) => Self::Fault(fault),
        }
    }

    fn ready(
        said: Option<&Said<'_, Arc<Network>>>,
        shared: bool,
        northbound: &Northbound,
    ) -> Result<Ready, Fault> {
        let said = said.ok_or(Fault::Unbound)?;
        if let Some(dispute) = said.dispute.as_ref().filter(|dispute| !dispute.stands) {
            return Err(Fault::Disputed(dispute.hosts.clone()));
        }
        let network = Arc::clone(said.value);
        if let NetworkType::Other(kind) = &network.kind {
            return Err(Fault::Type(Arc::clone(kind)));
        }
        let mut routers = northbound.routers(&network.router);
        let router = routers.next().ok_or_else(|| Fault::NoRouter(network.router.clone()))?;
        if routers.next().is_some() {
            return Err(Fault::AmbiguousRouter(network.router.clone()));
        }
        if shared {
            return Err(Fault::SharedRouter(network.router.clone()));
        }
        drop(routers);
        let mut router =
            northbound.facts(router).ok_or_else(|| Fault::NoRouter(network.router.clone()))?;
        if let RouterRef::Name(name) = &network.router {
            // Shares this copy of the name, to save memory.
            router.name = Arc::clone(name);
        }
        let prefixes = router.prefixes();
        if prefixes.is_empty() {
            return Err(Fault::NoSubnet(router.name));
        }
        let mut ready = Ready { network, router, prefixes: prefixes.into(), guests: None };
        ready.add_guest_routes();
        Ok(ready)
    }
}

impl Ready {
    /// Prefixes of its guests are part of its address space if the operator allows the network to
    /// announce them. A prefix inside a subnet is announced with the subnet.
    fn add_guest_routes(&mut self) {
        let mut routes = self.router.routes.iter().filter(|route| route.to_guest).peekable();
        if routes.peek().is_none() {
            return;
        }
        let (subnets, bounds) = (Cover::of(&self.prefixes), Cover::of(&self.network.may_export));
        let (mut guests, mut prefixes) = (Guests::default(), self.prefixes.to_vec());
        for route in routes.filter(|route| !subnets.contains(&route.prefix)) {
            if bounds.contains(&route.prefix) {
                prefixes.push(route.prefix);
                guests.owned.push(route.clone());
            } else {
                guests.unowned.push(route.prefix);
            }
        }
        for prefixes in [&mut prefixes, &mut guests.unowned] {
            prefixes.sort_unstable();
            prefixes.dedup();
        }
        self.prefixes = prefixes.into();
        self.guests = Some(Box::new(guests));
    }

    /// The same network without links of others.
    pub(super) fn without_links<'p>(&self, ports: impl Iterator<Item = &'p str>) -> Self {
        Self {
            network: Arc::clone(&self.network),
            router: ports.fold(self.router.clone(), |router, port| router.without_link(port)),
            prefixes: Prefixes::clone(&self.prefixes),
            guests: self.guests.clone(),
        }
    }

    /// Prefixes that terms name and the network does not own.
    #[must_use]
    pub fn not_owned(&self, terms: &Terms) -> Vec<IpNet> {
        terms.not_owned(&[&self.prefixes, &self.network.may_export])
    }

    /// Why two networks may not peer because of zone or region. These are compared only if both
    /// networks have them.
    pub(super) fn mismatch(&self, other: &Self) -> Option<(Reason, String)> {
        let differ = |a: &Option<Arc<str>>, b: &Option<Arc<str>>| match (a, b) {
            (Some(a), Some(b)) => a != b,
            _ => false,
        };
        let (one, other) = (&self.network, &other.network);
        if differ(&one.region, &other.region) {
            let text = "the two networks are in different regions";
            return Some((Reason::RegionMismatch, text.into()));
        }
        if differ(&one.zone, &other.zone) {
            return Some((Reason::ZoneMismatch, "the two networks are in different zones".into()));
        }
        None
    }

    /// Routes to its guests that are part of its address space.
    pub(super) fn owned_routes(&self) -> &[ForeignRoute] {
        self.guests.as_ref().map(|guests| guests.owned.as_slice()).unwrap_or_default()
    }
}

impl RouteTables for Ready {
    fn all(&self) -> &Arc<SortedSet<Arc<str>>> {
        &self.router.tables
    }

    fn of_subnet(&self, subnet: &IpNet) -> Option<Arc<str>> {
        self.router.table_of_subnet(subnet)
    }
}

impl Fault {
    /// The reason on the network's own side.
    #[must_use]
    pub fn local_reason(&self) -> Reason {
        match self {
            Self::Unbound | Self::NoRouter(_) => Reason::MissingLocalRouter,
            Self::Disputed(_) => Reason::ConflictingDeclarations,
            Self::AmbiguousRouter(_) | Self::SharedRouter(_) => Reason::UnsupportedRouter,
            Self::Type(_) => Reason::TypeNotPrivate,
            Self::NoSubnet(_) => Reason::NoSubnet,
        }
    }

    /// The reason on the other side, once both have consented; without names of this side's rows.
    #[must_use]
    pub fn remote_reason(&self) -> Reason {
        match self {
            Self::Unbound | Self::NoRouter(_) | Self::Disputed(_) => Reason::MissingPeerRouter,
            Self::AmbiguousRouter(_)
            | Self::SharedRouter(_)
            | Self::Type(_)
            | Self::NoSubnet(_) => self.local_reason(),
        }
    }

    /// What is wrong, for the network's own side.
    #[must_use]
    pub fn explain(&self, network: &NetworkKey) -> String {
        match self {
            Self::Unbound => format!("network {network} is not bound to a Logical_Router"),
            Self::Disputed(hosts) => super::messages::differ(&format!("network {network}"), hosts),
            Self::NoRouter(RouterRef::Tool(of)) => {
                format!("network {network} is bound to {of}, whose router is not known")
            }
            Self::NoRouter(router) => format!(
                "network {network} is bound to Logical_Router {router}, which is not in the northbound"
            ),
            Self::AmbiguousRouter(router) => format!(
                "network {network} is bound to Logical_Router {router}, but several routers have that name"
            ),
            Self::SharedRouter(router) => format!(
                "network {network} is bound to Logical_Router {router}, which is bound to another network already"
            ),
            Self::Type(kind) => {
                format!("network {network} is of type {kind}; only private networks may peer")
            }
            Self::NoSubnet(router) => {
                format!(
                    "Logical_Router {router} of network {network} has no inward port with a subnet"
                )
            }
        }
    }

    /// What is wrong and what to do, for an owner who is not the operator, if the full text would
    /// name routers or networks of others.
    #[must_use]
    pub fn guarded(&self, network: &NetworkKey) -> Option<(String, &'static str)> {
        let router = match self {
            Self::AmbiguousRouter(router) | Self::SharedRouter(router) => router,
            Self::Unbound
            | Self::Disputed(_)
            | Self::NoRouter(_)
            | Self::Type(_)
            | Self::NoSubnet(_) => return None,
        };
        let text = format!(
            "network {network} is bound to Logical_Router {router} in a way that cannot be linked"
        );
        Some((text, "ask the operator to correct the binding in networks.d"))
    }

    /// What the network's own side can do.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Unbound => "ask the operator to bind the network in networks.d",
            Self::Disputed(_) => "ask the operator to bind it the same on all hosts in networks.d",
            Self::NoRouter(RouterRef::Tool(_)) => {
                "make the network, or see in the daemon's log why its router is not known"
            }
            Self::NoRouter(_) => "create the router, or correct `router` in networks.d",
            Self::AmbiguousRouter(_) => "name the router by its UUID in networks.d",
            Self::SharedRouter(_) => "ask the operator to bind each network to a router of its own",
            Self::Type(_) => "peer a private network, or correct `type` in networks.d",
            Self::NoSubnet(_) => "give the router a port with a subnet",
        }
    }

    /// What is wrong, for the other side: only what it must know.
    #[must_use]
    pub fn explain_to_remote(&self, network: &NetworkKey) -> String {
        match self {
            Self::Unbound | Self::NoRouter(_) | Self::Disputed(_) => {
                format!("{network} has no router at present")
            }
            Self::AmbiguousRouter(_) | Self::SharedRouter(_) => {
                format!("the router of {network} is of a kind that cannot be linked")
            }
            Self::Type(_) => format!("{network} is not a private network"),
            Self::NoSubnet(_) => format!("{network} has no subnet at present"),
        }
    }
}
