//! Looks for what should not be: rows of ours that are missing or differ, packets of a peering that do
//! not pass, and packets that pass although nobody has agreed.
//!
//! It follows packets by the rows that are there, as `why` does, so it needs no daemon that keeps
//! them: whoever has read the northbound and the declarations may ask.

use std::collections::BTreeSet;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::declare::{NetworkKey, PeeringKey};
use crate::northbound::owner::{link_port_name, peering_of_link_port};
use crate::northbound::{End, Northbound, UnitId};
use crate::peering::{Link, LinkEnd};
use crate::reach::{
    self, Action, Dropped, Ending, Hop, Opening, Packet, RouteTo, Start, Truth, Way,
};
use crate::traffic::{Protocol, Rule};
use crate::view::{Passes, PlannedAction, PlannedRow, VerifyFinding, VerifyView, WhyStep};

use super::state::State;
use super::why::{Ground, first_rule, follow, of_way, walk};

/// So many findings are listed.
const MOST_FINDINGS: usize = 200;
/// So many prefixes of each side are followed.
const MOST_PREFIXES: usize = 4;
/// What is tried where lists close: they close nearly everything.
const TRIED: [Opening; 5] = [
    Opening::Tcp(Some(9)),
    Opening::Udp(Some(9)),
    Opening::Ping,
    Opening::Tcp(Some(22)),
    Opening::Tcp(Some(443)),
];

/// Looks at all peerings, and at so many pairs of networks that must not reach each other. `rows` are
/// the differences of our rows.
pub(super) fn verify(
    state: &State,
    northbound: &Northbound,
    rows: Vec<PlannedRow>,
    sample: usize,
) -> VerifyView {
    let ground = Ground { state, northbound, shows_all: true };
    let mut found = Found { ground, view: VerifyView::default() };
    for row in rows {
        found.row(row);
    }
    let halves = state.declarations.halves().into_iter();
    let pairs: BTreeSet<PeeringKey> =
        halves.filter_map(|half| state.resolver.pair_of(&half).cloned()).collect();
    for pair in &pairs {
        let Some(link) = state.resolver.link(pair) else { continue };
        if northbound.has_rows(UnitId::Peering(link.id)) {
            found.view.peerings += 1;
            found.peering(link);
        }
    }
    for (from, to) in strangers(state, &pairs, sample) {
        found.strangers(&from, &to);
    }
    found.view
}

struct Found<'a> {
    ground: Ground<'a>,
    view: VerifyView,
}

impl Found<'_> {
    fn add(&mut self, finding: VerifyFinding) {
        if self.view.found.contains(&finding) {
            return;
        }
        if self.view.found.len() < MOST_FINDINGS {
            self.view.found.push(finding);
        } else {
            self.view.more += 1;
        }
    }

    fn row(&mut self, planned: PlannedRow) {
        let code = match planned.action {
            PlannedAction::Insert => "row-missing",
            PlannedAction::Update => "row-differs",
            PlannedAction::Delete => "row-surplus",
        };
        let between = planned.serves.map_or_else(String::new, |served| match served.name {
            Some(name) => format!("{}/{}/{name}", served.project, served.network),
            None => format!("{}/{}", served.project, served.network),
        });
        let (code, row) = (code.to_owned(), Some(planned.row));
        self.add(VerifyFinding { code, between, packet: None, row, by: None });
    }

    fn peering(&mut self, link: &Link) {
        for end in End::BOTH {
            let (local, remote) = (link.end(end), link.end(end.other()));
            for packet in allowed(link, end) {
                self.must_pass((local, remote), &packet, true);
            }
            // Whole prefixes: a narrower route of somebody else leads a part of one elsewhere.
            for packet in between(&local.prefixes, &remote.prefixes) {
                self.must_pass((local, remote), &packet, false);
            }
            for packet in denied(link, end) {
                let followed = follow(&self.ground, (&local.network, &remote.network), &packet);
                self.view.must_not += 1;
                match followed.passes() {
                    Truth::No => {}
                    Truth::Maybe => self.view.unsure += 1,
                    Truth::Yes => {
                        let way = followed.there.first().and_then(|ways| ways.all.first());
                        let by = way.and_then(|(way, _)| self.opened_by(way, &packet));
                        self.add(finding("passes", link, &packet, by));
                    }
                }
            }
            self.fences(link, end);
        }
    }

    /// Packets between the two networks that the peering is there for.
    fn must_pass(&mut self, (from, to): (&LinkEnd, &LinkEnd), packet: &Packet, exact: bool) {
        let followed = follow(&self.ground, (&from.network, &to.network), packet);
        self.view.must_pass += usize::from(exact);
        let ways = followed.there.iter().chain(&followed.back);
        let all: Vec<(Way, Truth, Packet)> = ways
            .flat_map(|ways| {
                ways.all.iter().map(|(way, truth)| (way.clone(), *truth, ways.packet.clone()))
            })
            .collect();
        let stopped = all.iter().find(|(way, truth, _)| {
            *truth == Truth::No && (followed.passes() == Truth::No || is_part(way))
        });
        let between = format!("{} - {}", from.network, to.network);
        if let Some((way, truth, of)) = stopped.filter(|(way, ..)| exact || is_diverted(way)) {
            let steps = of_way(&self.ground, way, of, *truth);
            let by = steps.into_iter().find(|step| step.passes == Passes::No);
            let code = "does-not-pass".to_owned();
            self.add(VerifyFinding { code, between, packet: Some(words(of)), row: None, by });
        } else if exact && followed.passes() == Truth::No {
            let code = "does-not-pass".to_owned();
            let packet = Some(words(packet));
            self.add(VerifyFinding { code, between, packet, row: None, by: None });
        } else if exact && followed.passes() == Truth::Maybe {
            self.view.unsure += 1;
        }
    }

    /// What must not come by a link, or in the name of the other side by another port.
    fn fences(&mut self, link: &Link, end: End) {
        let (local, remote) = (link.end(end), link.end(end.other()));
        let port = link_port_name(link.id, end);
        for net in local.prefixes.iter().take(MOST_PREFIXES) {
            // Whoever uses a gateway takes packets from anywhere.
            if !link.takes_all(end) {
                let anybody = Packet::opening(everything(net), *net, Opening::Any);
                self.fence(link, &start(local, &port), &anybody);
            }
            let of_family = |it: &&IpNet| is_v4(it) == is_v4(net);
            let Some(guests) = reach::port_of(self.ground.northbound, local.router, net) else {
                continue;
            };
            for forged in remote.prefixes.iter().filter(of_family).take(MOST_PREFIXES) {
                let packet = Packet::opening(*forged, *net, Opening::Any);
                self.fence(link, &start(local, &guests), &packet);
            }
        }
    }

    fn fence(&mut self, link: &Link, start: &Start, packet: &Packet) {
        let ways = walk(&self.ground, start.clone(), packet.clone(), |ending, _, _| {
            (!matches!(ending, Ending::Dropped(_) | Ending::Unknown(_))).into()
        });
        self.view.must_not += 1;
        let opened = |(way, passes): &&(Way, Truth)| {
            *passes == Truth::Yes && way.hops.last().is_some_and(|hop| !self.is_ours(hop))
        };
        let found = ways.all.iter().find(opened);
        if let Some((way, _)) = found {
            let unread = way.hops.iter().filter_map(|hop| hop.policy.as_ref());
            if unread.into_iter().any(|policy| !policy.is_read) {
                self.view.unsure += 1;
                return;
            }
            let by = self.opened_by(way, packet);
            self.add(finding("passes", link, packet, by));
        }
    }

    /// Whether a policy of ours lets a packet pass.
    fn is_ours(&self, hop: &Hop) -> bool {
        hop.policy.as_ref().is_some_and(|policy| {
            let tags = crate::northbound::tables::router_policy::EXTERNAL_IDS;
            let table = crate::northbound::tables::ROUTER_POLICY;
            let row = self.ground.northbound.replica().row(table, policy.row);
            row.is_some_and(|row| row.get(tags).has_key(crate::northbound::owner::UNIT_KEY))
        })
    }

    /// The row that lets a packet pass, if there is one: else ours that should drop it is missing.
    fn opened_by(&self, way: &Way, packet: &Packet) -> Option<WhyStep> {
        let steps = of_way(&self.ground, way, packet, Truth::Yes);
        let is_policy = |step: &WhyStep| matches!(step.what, crate::view::WhyFact::Policy { .. });
        steps.into_iter().rev().find(is_policy)
    }

    /// Two networks that have not agreed.
    fn strangers(&mut self, from: &NetworkKey, to: &NetworkKey) {
        let nets = |network| {
            let router = self.ground.router_of(network)?;
            Some(self.ground.northbound.facts(router)?.prefixes())
        };
        let Some((sources, destinations)) = nets(from).zip(nets(to)) else { return };
        for (source, destination) in pairs_of(&sources, &destinations).take(2) {
            let Some((source, destination)) = host(&source).zip(host(&destination)) else {
                continue;
            };
            let packet = Packet::opening(source, destination, Opening::Ping);
            let followed = follow(&self.ground, (from, to), &packet);
            self.view.must_not += 1;
            // Links of others between them are their own business.
            let by_link = |way: &Way| {
                let ports = way.hops.iter().flat_map(|hop| &hop.outport);
                ports.into_iter().any(|port| peering_of_link_port(port).is_some())
            };
            let arrived = followed.there.iter().flat_map(|ways| &ways.all);
            let mut arrived = arrived.filter(|(way, truth)| *truth == Truth::Yes && by_link(way));
            if let Some((way, _)) = arrived.next() {
                let by = self.opened_by(way, &packet);
                let (code, between) = ("passes".to_owned(), format!("{from} - {to}"));
                let packet = Some(words(&packet));
                self.add(VerifyFinding { code, between, packet, row: None, by });
            }
        }
    }
}

fn finding(code: &str, link: &Link, packet: &Packet, by: Option<WhyStep>) -> VerifyFinding {
    let between = format!("{} - {}", link.a.network, link.b.network);
    VerifyFinding { code: code.to_owned(), between, packet: Some(words(packet)), row: None, by }
}

fn start(end: &LinkEnd, port: &str) -> Start {
    let port = port.to_owned();
    Start { router: end.router, port, opens: true, is_own: false, only_first: true }
}

/// Whether a way is taken by a part of the packets for certain: no policy on it is unread.
fn is_part(way: &Way) -> bool {
    let mut policies = way.hops.iter().filter_map(|hop| hop.policy.as_ref());
    policies.all(|policy| policy.is_read)
}

/// Whether a route or a policy leads a way elsewhere, and not a list.
fn is_diverted(way: &Way) -> bool {
    let reroutes = way.hops.iter().filter_map(|hop| hop.policy.as_ref());
    let reroutes = reroutes.into_iter().any(|policy| matches!(policy.action, Action::Reroute(_)));
    let discards = way.hops.iter().filter_map(|hop| hop.route.as_ref());
    let discards = discards.into_iter().any(|route| route.to == RouteTo::Discard);
    match &way.ending {
        Ending::Arrives { .. } | Ending::Leaves { .. } => true,
        Ending::Dropped(Dropped::Discard) => true,
        Ending::Dropped(_) => reroutes || discards,
        Ending::AtRouter(_) | Ending::Unknown(_) => false,
    }
}

/// Packets that an end may open: one of the first rule that allows any.
fn allowed(link: &Link, from: End) -> Vec<Packet> {
    let (local, remote) = (link.end(from), link.end(from.other()));
    let packet = |source: &IpNet, destination: &IpNet, opening| {
        Some(Packet::opening(host(source)?, host(destination)?, opening))
    };
    let Some(traffic) = &link.traffic else {
        let pairs = pairs_of(&local.prefixes, &remote.prefixes).take(MOST_PREFIXES);
        return pairs.filter_map(|(from, to)| packet(&from, &to, Opening::Ping)).collect();
    };
    let rules = &traffic.opened_by(from).rules;
    let samples = rules.iter().filter(|rule| rule.allows()).flat_map(|rule| {
        let opening = opening(rule);
        pairs_of(&rule.sources, &rule.destinations)
            .filter_map(move |(from, to)| packet(&from, &to, opening?))
            .collect::<Vec<_>>()
    });
    samples.filter(|it| first_rule(rules, it).0 == Truth::Yes).take(MOST_PREFIXES).collect()
}

/// Packets that the lists deny.
fn denied(link: &Link, from: End) -> Vec<Packet> {
    let Some(traffic) = &link.traffic else { return Vec::new() };
    let (local, remote) = (link.end(from), link.end(from.other()));
    let rules = &traffic.opened_by(from).rules;
    let replies = &traffic.opened_by(from.other()).rules;
    let pairs: Vec<(IpNet, IpNet)> = pairs_of(&local.prefixes, &remote.prefixes).take(2).collect();
    let tried = pairs.iter().flat_map(|(from, to)| {
        TRIED.iter().filter_map(|opening| Some(Packet::opening(host(from)?, host(to)?, *opening)))
    });
    // What may be a reply passes without a list that says so.
    let is_reply =
        |packet: &Packet| packet.protocol == Some(reach::UDP) && replies.iter().any(Rule::allows);
    tried.filter(|it| first_rule(rules, it).0 == Truth::No && !is_reply(it)).collect()
}

fn opening(rule: &Rule) -> Option<Opening> {
    let first = |ports: &crate::traffic::Ports| Some(ports.ranges().first().map_or(9, |it| it.0));
    match &rule.protocol {
        Protocol::Any | Protocol::Icmp(_) => Some(Opening::Ping),
        Protocol::Tcp(ports) => Some(Opening::Tcp(first(ports))),
        Protocol::Udp(ports) => Some(Opening::Udp(first(ports))),
        Protocol::Sctp(ports) => Some(Opening::Sctp(first(ports))),
        Protocol::Number(number) => Some(Opening::Number(*number)),
    }
}

/// Packets between whole prefixes.
fn between(from: &[IpNet], to: &[IpNet]) -> Vec<Packet> {
    let pairs = pairs_of(from, to).take(MOST_PREFIXES * MOST_PREFIXES);
    pairs.map(|(from, to)| Packet::opening(from, to, Opening::Any)).collect()
}

/// Prefixes of both sides, of one family each.
fn pairs_of(from: &[IpNet], to: &[IpNet]) -> impl Iterator<Item = (IpNet, IpNet)> {
    let from = from.iter().take(MOST_PREFIXES);
    from.flat_map(move |source| {
        let of_family = move |it: &&IpNet| is_v4(it) == is_v4(source);
        let to = to.iter().filter(of_family).take(MOST_PREFIXES);
        to.map(move |destination| (*source, *destination))
    })
}

fn is_v4(net: &IpNet) -> bool {
    matches!(net, IpNet::V4(_))
}

fn everything(like: &IpNet) -> IpNet {
    match like {
        IpNet::V4(_) => IpNet::V4(Ipv4Net::default()),
        IpNet::V6(_) => IpNet::V6(Ipv6Net::default()),
    }
}

/// An address where a guest may be: routers have the first ones of a prefix.
fn host(net: &IpNet) -> Option<IpNet> {
    let mut hosts = net.hosts();
    let address = hosts.nth(8).or_else(|| net.hosts().last());
    address.map(IpNet::from)
}

/// Networks that have not agreed: those with a common peer first, then neighbours in the order of
/// names.
fn strangers(
    state: &State,
    pairs: &BTreeSet<PeeringKey>,
    sample: usize,
) -> Vec<(NetworkKey, NetworkKey)> {
    let networks: Vec<NetworkKey> = state.declarations.networks().into_iter().collect();
    let linked = |one: &NetworkKey, other: &NetworkKey| {
        let pair = PeeringKey::new(one.clone(), other.clone());
        pair.is_none_or(|pair| pairs.contains(&pair) && state.resolver.link(&pair).is_some())
    };
    let mut found = Vec::new();
    for hub in &networks {
        let node = state.resolver.networks().node(hub);
        let peers: Vec<&NetworkKey> = node
            .into_iter()
            .flat_map(|node| node.linked())
            .map(|pair| if pair.a() == hub { pair.b() } else { pair.a() })
            .collect();
        for (one, other) in peers.iter().zip(peers.iter().skip(1)) {
            found.push(((*one).clone(), (*other).clone()));
            found.push(((*other).clone(), (*one).clone()));
        }
    }
    let beside = networks.iter().zip(networks.iter().cycle().skip(1));
    let apart = networks.iter().zip(networks.iter().cycle().skip(networks.len() / 2 + 1));
    found.extend(beside.chain(apart).map(|(one, other)| (one.clone(), other.clone())));
    found.retain(|(one, other)| !linked(one, other));
    found.truncate(sample);
    found
}

/// `10.1.0.0/24 to 10.2.0.9, ping`.
fn words(packet: &Packet) -> String {
    let net = |net: &IpNet| match net.prefix_len() == net.max_prefix_len() {
        true => net.addr().to_string(),
        false => net.to_string(),
    };
    let port = match packet.to_ports {
        (first, last) if first == last => format!(":{first}"),
        _ => String::new(),
    };
    let protocol = match packet.protocol {
        None => "any packet".to_owned(),
        Some(reach::TCP) => format!("tcp{port}"),
        Some(reach::UDP) => format!("udp{port}"),
        Some(reach::SCTP) => format!("sctp{port}"),
        Some(reach::ICMP | reach::ICMP6) => "ping".to_owned(),
        Some(number) => format!("protocol {number}"),
    };
    format!("{} to {}, {protocol}", net(&packet.source), net(&packet.destination))
}
