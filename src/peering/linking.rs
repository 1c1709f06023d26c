//! The decision on two ends that agree: the prefixes that each end accepts, the conflicts, and the
//! link.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::declare::{Cover, Terms};
use crate::northbound::owner::link_port_name;
use crate::northbound::{End, Family, Persisted, RouterKind};
use crate::traffic::TooComplex;

use super::balancing::balance;
use super::blockers::{Blocker, blockers, foreign_links, too_deep};
use super::chaining::decide_through;
use super::conflict;
use super::facts::PairFacts;
use super::gateway::decide_gateway;
use super::local::Ready;
use super::messages::{nothing_exchanged, too_complex, too_many, too_many_for, verdict};
use super::mtu::checking_end;
use super::naming::name;
use super::outcome::{InTheWay, Link, LinkEnd, Resolution, Verdict, earlier};
use super::parity::Parity;
use super::shadow::{shadowed_at, shadows};
use super::space::offered;
use super::state::Reason;
use super::terms::{Admitted, admit, manual_routes, unmet};
use super::traffic::filtered;

/// A message names at most this many conflicts: more would not help.
const MOST_CONFLICTS: usize = 8;

/// Decides on two ends that agree. A link of others prevents a new peering, unless the peering is to
/// take its place, and carries all that it carries.
pub(super) fn decide_link(pair: &PairFacts, a: &Ready, b: &Ready) -> Resolution {
    let links = foreign_links(&a.router, &b.router);
    if links.is_empty() || pair.stands {
        return decide_beside(pair, a, b);
    }
    let ports: Vec<[Arc<str>; 2]> =
        links.iter().map(|link| link.map(|at| Arc::clone(&at.port))).collect();
    let without = |end: usize, ready: &Ready| {
        ready.without_links(ports.iter().filter_map(|ports| ports.get(end).map(AsRef::as_ref)))
    };
    let mut instead = decide_beside(pair, &without(0, a), &without(1, b));
    let parity = Parity::of(pair, (a, b), &ports, &instead);
    if pair.replaces
        && parity.holds()
        && let Some(link) = &mut instead.link
    {
        link.replaces = ports.into();
        return instead;
    }
    let mut refused = decide_beside(pair, a, b);
    for (end, verdict) in End::BOTH.into_iter().zip(&mut refused.verdicts) {
        verdict.iter_mut().for_each(|verdict| parity.explain(end, verdict));
    }
    let in_the_way = InTheWay { ports: ports.into(), parity: parity.holds() };
    Resolution { in_the_way: Some(in_the_way.into()), ..refused }
}

fn decide_beside(pair: &PairFacts, a: &Ready, b: &Ready) -> Resolution {
    let (of_a, of_b) = (offered(pair, End::A, a), offered(pair, End::B, b));
    let mut at_a = admit(pair, End::A, a, &of_b.prefixes);
    let mut at_b = admit(pair, End::B, b, &of_a.prefixes);
    let clash = !at_a.conflicts.is_empty() || !at_b.conflicts.is_empty();
    let families = linked_families(pair, (a, &at_b.prefixes), (b, &at_a.prefixes));
    let over = at_a.over.is_some() || at_b.over.is_some();
    // Also between two gateway routers: then a move to another chassis needs no change.
    let has_switch = [a, b].iter().any(|ready| ready.router.kind == RouterKind::Gateway);
    let foreign_links = foreign_links(&a.router, &b.router);
    let mut between = blockers(pair, &foreign_links, (a, b), has_switch);
    if !clash && !over && between.is_empty() && !families.is_empty() {
        between.extend(too_deep(pair));
    }
    if ((clash || over || !between.is_empty()) && !pair.stands) || families.is_empty() {
        return Resolution {
            verdicts: [
                pair.a.half.map(|_| refused(pair, End::A, &at_a, &at_b, &between).into()),
                pair.b.half.map(|_| refused(pair, End::B, &at_b, &at_a, &between).into()),
            ],
            ..Resolution::default()
        };
    }
    for admitted in [&mut at_a, &mut at_b] {
        admitted.prefixes.retain(|prefix| families.contains(&Family::of(prefix)));
    }
    let mut link = Link {
        key: pair.key.clone(),
        id: pair.id,
        has_switch,
        a: link_end(pair, End::A, (a, b), (&at_a, &at_b), &families),
        b: link_end(pair, End::B, (b, a), (&at_b, &at_a), &families),
        traffic: None,
        gateway: None,
        through: None,
        replaces: Box::default(),
    };
    match filtered(pair, &link, (a, b)) {
        Ok(traffic) => link.traffic = traffic,
        Err(why) => return unfiltered(pair, why),
    }
    if let Some((end, mtu)) = checking_end(pair.a.mtu_input(a), pair.b.mtu_input(b)) {
        link.end_mut(end).mtu = Some(mtu);
    }
    for ports in foreign_links {
        for (end, beside) in End::BOTH.into_iter().zip(ports) {
            link.end_mut(end).beside.push(Arc::clone(&beside.port));
        }
    }
    let mut verdicts = [
        linked(pair, End::A, (a, b), (&at_a, &at_b)),
        linked(pair, End::B, (b, a), (&at_b, &at_a)),
    ];
    let decided = decide_gateway(pair, &link, (a, b));
    link.gateway = decided.gateway;
    for (verdict, degraded) in verdicts.iter_mut().zip(decided.degraded) {
        verdict.degraded.extend(degraded.into_iter().take(MOST_CONFLICTS));
    }
    let decided = decide_through(pair, &link, (a, b));
    link.through = decided.through;
    for (verdict, degraded) in verdicts.iter_mut().zip(decided.degraded) {
        verdict.degraded.extend(degraded.into_iter().take(MOST_CONFLICTS));
    }
    report_shadows(&link, (a, b), &mut verdicts);
    balance(pair, (a, b), &mut link, &mut verdicts);
    name(pair, (a, b), &mut link, &mut verdicts);
    for (end, verdict) in End::BOTH.into_iter().zip(&mut verdicts) {
        let between = between.iter().map(|it| it.text(end).to_owned());
        verdict.degraded.splice(0..0, between);
        verdict.degraded.extend(of_a.drift(pair.a.network));
        verdict.degraded.extend(of_b.drift(pair.b.network));
    }
    let due = earlier(of_a.due, of_b.due);
    let [mut at_a, mut at_b] = verdicts;
    at_a.persisted.frozen = of_a.frozen.clone();
    at_b.persisted.frozen = of_b.frozen.clone();
    at_a.persisted.frozen_remote = of_b.frozen.filter(|_| pair.b.implied);
    at_b.persisted.frozen_remote = of_a.frozen.filter(|_| pair.a.implied);
    let verdicts = [pair.a.half.map(|_| at_a.into()), pair.b.half.map(|_| at_b.into())];
    Resolution { verdicts, link: Some(Box::new(link)), due, in_the_way: None }
}

/// Two ends whose traffic filters cannot be kept are not linked: nothing passes then.
fn unfiltered(pair: &PairFacts, why: TooComplex) -> Resolution {
    let refused = |end: End| {
        pair.end(end).half?;
        Some(too_complex(why, pair.end(end.other()).network).into())
    };
    Resolution { verdicts: [refused(End::A), refused(End::B)], ..Resolution::default() }
}

/// Policies of others that come before those of the link, as each end's owner may see them.
fn report_shadows(link: &Link, (a, b): (&Ready, &Ready), verdicts: &mut [Verdict; 2]) {
    for (end, ready) in [(End::A, a), (End::B, b)] {
        let port = link_port_name(link.id, end);
        let found = shadows(link, end, &ready.router, &port);
        let found: Vec<String> = found.take(MOST_CONFLICTS).collect();
        let [of_a, of_b] = &mut *verdicts;
        let (at, other) = if end == End::A { (of_a, of_b) } else { (of_b, of_a) };
        other.degraded.extend((!found.is_empty()).then(|| shadowed_at(link, end)));
        at.degraded.extend(found);
    }
}

/// Why two ends that agree are not linked, for the owner of one.
fn refused(
    pair: &PairFacts,
    end: End,
    here: &Admitted,
    there: &Admitted,
    between: &[Blocker],
) -> Verdict {
    if let Some(first) = between.first().filter(|_| !pair.stands) {
        let texts: Vec<&str> = between.iter().map(|it| it.text(end)).take(MOST_CONFLICTS).collect();
        return verdict(first.reason, texts.join("; "), first.next_step.into());
    }
    let remote = pair.end(end.other()).network;
    if let Some(count) = here.over {
        return too_many(count, remote);
    }
    if there.over.is_some() {
        return too_many_for(remote);
    }
    let mut texts = clashes(pair, end, here, there);
    if texts.is_empty() && pair.is_narrowed() {
        return nothing_exchanged(remote);
    }
    if texts.is_empty() {
        return verdict(
            Reason::NoSubnet,
            format!("this network and {remote} have no address family in common"),
            "give both networks a subnet of the same family".into(),
        );
    }
    texts.truncate(MOST_CONFLICTS);
    verdict(
        Reason::ConflictSubnet,
        texts.join("; "),
        "renumber one of the two, or remove what is in the way".into(),
    )
}

fn linked(
    pair: &PairFacts,
    end: End,
    (ready, remote): (&Ready, &Ready),
    (here, there): (&Admitted, &Admitted),
) -> Verdict {
    let mut degraded = clashes(pair, end, here, there);
    let router = &ready.router;
    let foreign = !router.routes.is_empty() || !router.policies.is_empty();
    for prefix in here.prefixes.iter().filter(|_| foreign) {
        degraded.extend(conflict::diversions(pair.id, prefix, ready, &here.tables));
    }
    degraded.extend(conflict::strays(&there.prefixes, router));
    let of_remote = (pair.end(end.other()).network, &remote.router);
    degraded.extend(conflict::strays_of_remote(&here.prefixes, of_remote));
    degraded.extend(conflict::router_down(router, of_remote));
    let (taken, given) = (&here.prefixes, &there.prefixes);
    degraded.extend(conflict::advertised((taken, router), (given, of_remote)));
    degraded.extend(unmet(pair, end, ready, here));
    degraded.extend(conflict::unfit_subnets(router));
    degraded.extend(conflict::translations(&here.prefixes, &ready.prefixes, &ready.router));
    degraded.truncate(MOST_CONFLICTS);
    let terms = pair.end(end).terms().map(Terms::mark);
    let persisted = Persisted { terms, ..Persisted::default() };
    Verdict { degraded, persisted, ..Verdict::linked() }
}

/// All conflicts, as this end may see them.
fn clashes(pair: &PairFacts, end: End, here: &Admitted, there: &Admitted) -> Vec<String> {
    let remote = pair.end(end.other()).network;
    let own = here.conflicts.iter().map(|conflict| conflict.explain(remote));
    let theirs = there.conflicts.iter().map(|conflict| conflict.explain_to_remote(remote));
    own.chain(theirs).collect()
}

/// One end of the link, with the prefixes that cross.
fn link_end(
    pair: &PairFacts,
    end: End,
    (ready, remote): (&Ready, &Ready),
    (here, there): (&Admitted, &Admitted),
    families: &BTreeSet<Family>,
) -> LinkEnd {
    let side = pair.end(end);
    let of = |family: Family, prefixes: &[IpNet]| -> Vec<IpNet> {
        prefixes.iter().filter(|prefix| Family::of(prefix) == family).copied().collect()
    };
    let admitted = &there.prefixes;
    let is_partial = |family: &Family| of(*family, admitted) != of(*family, &ready.prefixes);
    let prefixes: Vec<IpNet> = families.iter().flat_map(|family| of(*family, admitted)).collect();
    let (current, remote) = (&side.port.addresses, pair.is_narrowed().then_some(remote));
    LinkEnd {
        network: side.network.clone(),
        network_id: side.network_id,
        router: ready.router.uuid,
        router_name: ready.router.name.clone(),
        addresses: families
            .iter()
            .filter_map(|family| link_address(*family, ready, admitted, remote, current))
            .collect(),
        tables: Arc::clone(&here.tables),
        routes: manual_routes(side, pair.id, ready, &here.prefixes),
        mtu: None,
        beside: Vec::new(),
        prefixes: if *prefixes == *ready.prefixes {
            Arc::clone(&ready.prefixes)
        } else {
            prefixes.into()
        },
        partial: families.iter().copied().filter(is_partial).collect(),
        balancing: None,
        naming: None,
    }
}

/// The families in which each end has prefixes that the other one accepts.
fn linked_families(
    pair: &PairFacts,
    (a, of_a): (&Ready, &[IpNet]),
    (b, of_b): (&Ready, &[IpNet]),
) -> BTreeSet<Family> {
    // A frozen prefix may have a family in which its router has no address any more.
    let present = common_families(&a.prefixes, &b.prefixes);
    let mut families = common_families(of_a, of_b);
    families.retain(|family| {
        let address = |ready, taken, remote| {
            !pair.is_narrowed() || link_address(*family, ready, taken, Some(remote), &[]).is_some()
        };
        present.contains(family) && address(a, of_a, b) && address(b, of_b, a)
    });
    families
}

fn common_families(of_a: &[IpNet], of_b: &[IpNet]) -> BTreeSet<Family> {
    let families =
        |prefixes: &[IpNet]| -> BTreeSet<Family> { prefixes.iter().map(Family::of).collect() };
    families(of_a).intersection(&families(of_b)).copied().collect()
}

/// The router's own inward address; it stays as long as the router has it. If filters hold subnets
/// back, the other router may have the same address, and its owner must not learn of it. So an
/// announced address comes first; otherwise it is one that the other router cannot have.
fn link_address(
    family: Family,
    ready: &Ready,
    announced: &[IpNet],
    remote: Option<&Ready>,
    current: &[IpAddr],
) -> Option<IpAddr> {
    let of_family = |address: &IpAddr| Family::of(&(*address).into()) == family;
    let inward = ready.router.inward.iter().map(|net| net.address).filter(of_family);
    let Some(remote) = remote.filter(|_| *announced != *ready.prefixes) else {
        return inward.min_by_key(|address| (!current.contains(address), *address));
    };
    let announced = Cover::of(announced);
    let connected = remote.router.inward.iter().chain(&remote.router.outward);
    let theirs = Cover::of(&connected.map(|net| net.prefix).collect::<Vec<_>>());
    inward
        .map(|address| (announced.contains(&address.into()), address))
        .filter(|(known, address)| *known || !theirs.overlaps(&(*address).into()))
        .min_by_key(|(known, address)| (!*known, !current.contains(address), *address))
        .map(|(_, address)| address)
}
