//! Conflicts: why a router cannot route a prefix of the other side.
//!
//! Each conflict has two texts. The one for the owner of the router names the rows. The one for the
//! other side only says which of its own prefixes is in use there.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use sorted_vec::SortedSet;

use crate::declare::{Cover, NetworkKey};
use crate::northbound::special::{loses_its_neighbour, special};
use crate::northbound::{Choice, ForeignRoute, Id, RouterFacts};

use super::local::Ready;
use super::prefix::overlap;
use super::shadow::may_go_to;

/// A prefix of another peer of the same network that was admitted there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RivalPrefix {
    /// The network it belongs to.
    pub(super) network: NetworkKey,
    /// The prefix.
    pub(super) prefix: IpNet,
}

/// A reason not to route a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    /// The prefix of the other side.
    pub(super) prefix: IpNet,
    /// What it conflicts with, for the owner of the router.
    pub(super) with: String,
}

impl Conflict {
    /// The text for the owner of the router.
    #[must_use]
    pub(super) fn explain(&self, remote: &NetworkKey) -> String {
        format!("{} of {remote} overlaps {}", self.prefix, self.with)
    }

    /// The text for the owner of the prefix.
    #[must_use]
    pub(super) fn explain_to_remote(&self, router_side: &NetworkKey) -> String {
        format!("{} is already in use at {router_side}", self.prefix)
    }
}

/// The prefixes in use on a network's router, besides those of other peers.
pub(super) struct Obstacles<'r> {
    link: Id,
    ready: &'r Ready,
    tables: &'r SortedSet<Arc<str>>,
    /// The covers of the used and of the routed prefixes. Most prefixes have no conflict, and these
    /// show that quickly.
    known: Option<(Cover, BTreeSet<IpNet>)>,
}

/// For this many prefixes or fewer, the covers are not built.
const FEW: usize = 3;

impl<'r> Obstacles<'r> {
    /// The obstacles for a link on this network's router, in these tables; the caller will check
    /// `count` prefixes.
    pub(super) fn on(
        link: Id,
        ready: &'r Ready,
        tables: &'r SortedSet<Arc<str>>,
        count: usize,
    ) -> Self {
        let known = (count > FEW).then(|| {
            let router = &ready.router;
            let connected = router.inward.iter().chain(&router.outward).map(|net| net.prefix);
            let guests = ready.owned_routes().iter().map(|route| route.prefix);
            let used: Vec<IpNet> = connected.chain(guests).collect();
            (Cover::of(&used), router.routes.iter().map(|route| route.prefix).collect())
        });
        Self { link, ready, tables, known }
    }

    /// The first reason not to route a prefix.
    pub(super) fn against(&self, prefix: &IpNet) -> Option<Conflict> {
        let harmless = |(used, routed): &(Cover, BTreeSet<IpNet>)| {
            !used.overlaps(prefix) && !routed.contains(prefix)
        };
        if self.known.as_ref().is_some_and(harmless) {
            return None;
        }
        let router = &self.ready.router;
        let with = |with: String| Some(Conflict { prefix: *prefix, with });
        if let Some(own) = router.inward.iter().find(|own| overlap(&own.prefix, prefix)) {
            return with(format!("its own subnet {} on port {}", own.prefix, own.port));
        }
        if let Some(used) = router.outward.iter().find(|used| overlap(&used.prefix, prefix)) {
            return with(format!("{}, connected on port {}", used.prefix, used.port));
        }
        if let Some(own) = self.ready.owned_routes().iter().find(|it| overlap(&it.prefix, prefix)) {
            return with(format!("its guests' route {} of router {}", own.text, router.name));
        }
        let twin = twin(self.link, prefix, router, self.tables)?;
        with(format!("the static route {} of router {}", twin.text, router.name))
    }
}

/// Somebody's route to the same prefix in one of these tables: OVN would balance over both. A route
/// over the link itself has the same target as ours.
pub(super) fn twin<'a>(
    link: Id,
    prefix: &IpNet,
    router: &'a RouterFacts,
    tables: &SortedSet<Arc<str>>,
) -> Option<&'a ForeignRoute> {
    let mut routes = not_over(link, router);
    routes
        .find(|route| !route.by_source && route.prefix == *prefix && tables.contains(&route.table))
}

/// The routes of others, except those over a link.
fn not_over(link: Id, router: &RouterFacts) -> impl Iterator<Item = &ForeignRoute> {
    router.routes.iter().filter(move |route| route.link != Some(link))
}

/// What diverts traffic from an installed route: one sentence each for the router's owner.
pub(super) fn diversions<'a>(
    link: Id,
    prefix: &'a IpNet,
    ready: &'a Ready,
    tables: &'a SortedSet<Arc<str>>,
) -> impl Iterator<Item = String> + 'a {
    let (own, router) = (&ready.prefixes, &ready.router);
    let routes = not_over(link, router).filter(move |route| {
        let wins = route.prefix.prefix_len() > prefix.prefix_len();
        let concerned = if route.by_source {
            own.iter().any(|own| overlap(own, &route.prefix)) && same_family(&route.prefix, prefix)
        } else {
            prefix.contains(&route.prefix)
        };
        wins && concerned && tables.contains(&route.table)
    });
    let routes = routes.map(move |route| {
        let kind = if route.by_source { "source route" } else { "static route" };
        format!("the {kind} {} of router {} takes traffic from {prefix}", route.text, router.name)
    });
    let reroutes = router.policies.iter().filter(|policy| policy.reroutes());
    let reroutes = reroutes.filter(move |policy| may_go_to(&policy.text, prefix));
    routes.chain(reroutes.map(move |policy| {
        format!(
            "the reroute policy of priority {} ({}) of router {} may take traffic from {prefix}",
            policy.priority, policy.text, router.name
        )
    }))
}

/// Announced prefixes that the network's router routes elsewhere in part, each with somebody's
/// route that does so.
pub(super) fn astray<'a>(
    announced: &'a [IpNet],
    router: &'a RouterFacts,
) -> impl Iterator<Item = (&'a IpNet, &'a ForeignRoute)> {
    // OVN prefers connected routes. If a router has only a host address in a subnet, its `discard`
    // route represents that subnet.
    let is_subnet = |prefix: &IpNet| router.inward.iter().any(|own| own.prefix == *prefix);
    let elsewhere = router.routes.iter().filter(|route| route.is_main() && !route.to_guest);
    let elsewhere = elsewhere.filter(move |route| !is_subnet(&route.prefix));
    elsewhere.flat_map(move |route| {
        let narrower = |announced: &&IpNet| {
            announced.prefix_len() < route.prefix.prefix_len() && announced.contains(&route.prefix)
        };
        announced.iter().filter(narrower).map(move |announced| (announced, route))
    })
}

/// The same for the router's owner, in sentences.
pub(super) fn strays<'a>(
    announced: &'a [IpNet],
    router: &'a RouterFacts,
) -> impl Iterator<Item = String> + 'a {
    astray(announced, router).map(|(announced, route)| {
        format!(
            "the static route {} of router {} takes a part of {announced}, which is announced, away \
             from its guests",
            route.text, router.name
        )
    })
}

/// The same for the other side, which sees only prefixes that are announced to it.
pub(super) fn strays_of_remote<'a>(
    announced: &'a [IpNet],
    remote: (&'a NetworkKey, &'a RouterFacts),
) -> impl Iterator<Item = String> + 'a {
    let (network, router) = remote;
    let announced: BTreeSet<&IpNet> = astray(announced, router).map(|(it, _)| it).collect();
    announced.into_iter().map(move |announced| {
        format!("a part of {announced} of {network} does not lead to its guests at present")
    })
}

/// What a disabled router means for a peering, for both sides.
pub(super) fn router_down<'a>(
    own: &'a RouterFacts,
    remote: (&'a NetworkKey, &'a RouterFacts),
) -> impl Iterator<Item = String> + 'a {
    let here = (!own.enabled)
        .then(|| format!("router {} is disabled (enabled=false): it passes nothing", own.name));
    let there = (!remote.1.enabled)
        .then(|| format!("the router of {} passes nothing at present", remote.0));
    here.into_iter().chain(there)
}

/// Prefixes of a peering that OVN-IC advertises to other zones: by this router those of the remote
/// side, by the other router ours.
pub(super) fn advertised<'a>(
    (taken, own): (&'a [IpNet], &'a RouterFacts),
    (given, remote): (&'a [IpNet], (&'a NetworkKey, &'a RouterFacts)),
) -> impl Iterator<Item = String> + 'a {
    let advertises = |router: &RouterFacts, prefixes: &'a [IpNet]| {
        let zones = router.zones.as_ref()?;
        prefixes.iter().find(|prefix| zones.advertise(prefix))
    };
    let here = advertises(own, taken).map(|prefix| {
        format!(
            "OVN-IC advertises {prefix} of the remote side from router {} to other availability zones \
             (ic-route-adv), and what comes from there is dropped: name it in ic-route-denylist of \
             NB_Global, leave it out of ic-route-filter-adv of the router (OVN 25.09), or name it in \
             ic-route-deny-adv there (26.03)",
            own.name
        )
    });
    let there = advertises(remote.1, given)
        .map(|prefix| format!("{} has {prefix} advertised to other availability zones", remote.0));
    here.into_iter().chain(there)
}

/// NAT between the two sides: one sentence each for the router's owner.
pub(super) fn translations<'a>(
    remote: &'a [IpNet],
    own: &'a [IpNet],
    router: &'a RouterFacts,
) -> impl Iterator<Item = String> + 'a {
    let hits = |nets: &[IpNet], sources: &IpNet| nets.iter().any(|net| overlap(net, sources));
    router.translations.iter().flat_map(move |nat| {
        let leaving = hits(own, &nat.sources)
            && remote.iter().any(|prefix| same_family(prefix, &nat.sources));
        let leaving = nat.chosen.filter(|_| leaving).map(|choice| {
            let columns = match choice {
                Choice::Destinations => "allowed_ext_ips or exempted_ext_ips",
                Choice::Match => "a match",
            };
            format!(
                "the {} on router {} has {columns} of its own, and is left alone: it translates what \
                 goes to the remote side unless they exempt it",
                nat.text, router.name
            )
        });
        let coming = hits(remote, &nat.sources).then(|| {
            format!(
                "the {} on router {} translates what comes from the remote side, too",
                nat.text, router.name
            )
        });
        leaving.into_iter().chain(coming)
    })
}

/// Subnets that do not cross, or only in part, because of their address range: one sentence each
/// for the router's owner.
pub(super) fn unfit_subnets(router: &RouterFacts) -> impl Iterator<Item = String> + '_ {
    let outward = router.outward.iter().filter(|net| !router.uplinks.contains(&net.port));
    let kept = outward.filter_map(|net| Some((net, special(&net.prefix)?)));
    let kept = kept.map(|(net, what)| {
        format!("the subnet {} on port {} is {what}, and crosses no peering", net.prefix, net.port)
    });
    let down = router.disabled.iter().map(|net| {
        format!(
            "the subnet {} is not announced: port {} of router {} is disabled (enabled=false)",
            net.prefix, net.port, router.name
        )
    });
    let kept = kept.chain(down);
    let alone = router.inward.iter().filter(|net| loses_its_neighbour(net.address, &net.prefix));
    kept.chain(alone.map(|net| {
        format!(
            "the guest of the subnet {} on port {} cannot be reached: OVN takes its address for the \
             broadcast address; give the router the odd one of the two",
            net.prefix, net.port
        )
    }))
}

fn same_family(one: &IpNet, other: &IpNet) -> bool {
    matches!((one, other), (IpNet::V4(_), IpNet::V4(_)) | (IpNet::V6(_), IpNet::V6(_)))
}
