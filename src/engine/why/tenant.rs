//! The answer for an owner: its half, what crosses, the lists as `show` has them, and what the own
//! router does.

use crate::declare::NetworkKey;
use crate::northbound::owner::link_port_name;
use crate::northbound::{End, Northbound};
use crate::peering::{Link, end_of};
use crate::reach::{self, Ending, Packet, Start, Truth};
use crate::traffic::Decider;
use crate::view::{Passes, State, Viewer, WhyFact, WhyStep, WhyView};

use super::super::shown::Standings;
use super::crossing::crossing;
use super::filters::{first_rule, list_step};
use super::follow::{takes, walk};
use super::ground::{Ground, ends_of, passes, step};
use super::question::{Asked, packets, reserve, stops_peering};
use super::steps::{of_way, reserves};

/// The word of a degraded text that says that policies of others may decide.
const SHADOWED: &str = "policy-shadowed";

/// Completes an answer, which has the viewer's own halves.
pub(super) fn answer(
    standings: &Standings<'_>,
    viewer: &Viewer,
    asked: &Asked<'_>,
    view: &mut WhyView,
) {
    if view.state == Some(State::Provisioning) {
        // Some of its rows may be there already.
        view.passes = Passes::Unsure;
        view.stopped_by = None;
        view.reserves.push(reserve("northd", None));
        return;
    }
    if view.there.iter().any(stops_peering) {
        return;
    }
    let Some((northbound, link)) =
        standings.northbound.zip(standings.state.resolver.link(&asked.pair))
    else {
        // It is up only until its rows are gone.
        view.passes = Passes::Unsure;
        view.reserves.push(reserve("northbound", None));
        return;
    };
    let ground = Ground { state: standings.state, northbound, shows_all: false };
    let (opener, opened) = ends_of(&asked.pair, &asked.from);
    let packets = packets(asked.question, &link.end(opener).prefixes, &link.end(opened).prefixes);
    let mut told: Option<(Truth, WhyView)> = None;
    for packet in packets {
        let mut one = view.clone();
        let truth = tell(&ground, viewer, asked, (link, &packet), &mut one);
        let agreed = told
            .as_ref()
            .map_or(truth, |(before, _)| if *before == truth { truth } else { Truth::Maybe });
        let is_worse = told.as_ref().is_none_or(|(before, _)| truth < *before);
        let kept = match told.take() {
            Some((_, kept)) if !is_worse => kept,
            Some(_) | None => one,
        };
        told = Some((agreed, kept));
    }
    let Some((truth, kept)) = told else { return };
    *view = kept;
    view.passes = passes(truth);
    note_reserves(standings, view);
    if view.passes == Passes::No {
        let steps = view.there.iter().chain(&view.back);
        view.stopped_by = steps.into_iter().find(|step| stops_peering(step)).cloned();
    }
}

fn note_reserves(standings: &Standings<'_>, view: &mut WhyView) {
    let texts = view.there.iter().filter_map(|step| {
        if let WhyFact::Half { degraded, .. } = &step.what { Some(degraded) } else { None }
    });
    let shadowed = texts.flatten().find(|text| text.starts_with(SHADOWED)).cloned();
    if view.passes == Passes::No {
        return;
    }
    if let Some(text) = shadowed {
        view.reserves.push(reserve("shadowed", Some(text)));
        view.passes = Passes::Unsure;
    }
    if !standings.connection.synced {
        view.reserves.push(reserve("northbound", None));
        view.passes = Passes::Unsure;
    }
    if view.state == Some(State::Provisioning) {
        view.reserves.push(reserve("northd", None));
        view.passes = Passes::Unsure;
    }
    if view.passes == Passes::Unsure && view.reserves.is_empty() {
        view.reserves.push(reserve("part", None));
    }
}

/// Tells of one packet; whether it passes as far as the owner may know.
fn tell(
    ground: &Ground<'_>,
    viewer: &Viewer,
    asked: &Asked<'_>,
    (link, packet): (&Link, &Packet),
    view: &mut WhyView,
) -> Truth {
    let from_end = end_of(&asked.pair, &asked.from);
    let mut packets = vec![packet.clone()];
    let owns_from = viewer.sees(&asked.from.project);
    if let Some((facts, backends)) = balanced(link, from_end, packet).filter(|_| owns_from) {
        view.there.push(step(Passes::Yes, facts));
        packets = backends;
    }
    let mut truth = Truth::Yes;
    for packet in packets {
        let beyond = beyond(link, from_end, &packet, owns_from);
        match beyond {
            Some(beyond) => {
                truth = truth.and(Truth::Maybe);
                view.there.push(beyond);
                view.reserves.push(reserve("outside", None));
            }
            None => {
                let steps = crossing(ground, link, &asked.from, &packet);
                let steps = steps.into_iter().map(|step| narrowed(step, viewer, asked));
                for step in steps {
                    truth = truth.and((step.passes == Passes::Yes).into());
                    view.there.push(step);
                }
                truth = truth.and(filters(ground, viewer, asked, (link, &packet), view));
            }
        }
        for network in [&asked.from, &asked.to] {
            if viewer.sees(&network.project) {
                truth = truth.and(own_router(ground, (link, network), asked, &packet, view));
            }
        }
    }
    truth
}

/// Of what the other side holds back, its owner alone reads why.
fn narrowed(mut step: WhyStep, viewer: &Viewer, asked: &Asked<'_>) -> WhyStep {
    if let WhyFact::Crosses { network, because, .. } = &mut step.what {
        let own = [&asked.from, &asked.to].into_iter().find(|it| it.to_string() == *network);
        if !own.is_some_and(|own| viewer.sees(&own.project)) {
            *because = None;
        }
    }
    step
}

/// A virtual address that the own guests use, and the packets to its backends.
fn balanced(link: &Link, from: End, packet: &Packet) -> Option<(WhyFact, Vec<Packet>)> {
    let copies = link.end(from).balancing.iter().flat_map(|balancing| &balancing.copies);
    let mut vips = copies
        .flat_map(|copy| copy.content.vips.iter().map(move |vip| (vip, copy.content.protocol)));
    let (vip, _) = vips.find(|(vip, protocol)| {
        packet.destination == vip.at.address.into() && takes(vip, *protocol, packet)
    })?;
    let packets = vip.backends.iter().map(|backend| Packet {
        destination: backend.at.address.into(),
        to_ports: backend.at.port.map_or(packet.to_ports, |port| (port.get(), port.get())),
        ..packet.clone()
    });
    let fact = WhyFact::Balancer {
        address: vip.at.to_string(),
        backends: vip.backends.iter().map(|backend| backend.at.to_string()).collect(),
        of: Some(link.end(from.other()).network.to_string()),
    };
    Some((fact, packets.collect()))
}

/// What the opener reaches beyond the other network: through its appliances, or by its gateway.
fn beyond(link: &Link, from: End, packet: &Packet, owns_from: bool) -> Option<WhyStep> {
    let other = link.end(from.other());
    let within = other.prefixes.iter().any(|prefix| prefix.contains(&packet.destination));
    if within || !owns_from {
        return None;
    }
    let at = other.network.to_string();
    if link.reached(from).any(|prefix| prefix.contains(&packet.destination)) {
        let address = packet.destination.addr();
        return Some(step(Passes::Unsure, WhyFact::Appliance { at, address }));
    }
    let listed = link.listed(from).iter().any(|prefix| prefix.contains(&packet.destination));
    let by_gateway = listed || link.takes_all(from);
    by_gateway.then(|| step(Passes::Unsure, WhyFact::Gateway { at, port: None }))
}

/// The lists: the own one entry by entry, that of the other side as `show` has it.
fn filters(
    ground: &Ground<'_>,
    viewer: &Viewer,
    asked: &Asked<'_>,
    (link, packet): (&Link, &Packet),
    view: &mut WhyView,
) -> Truth {
    let Some(traffic) = &link.traffic else { return Truth::Yes };
    let (opener, opened) = ends_of(&asked.pair, &asked.from);
    let (truth, rule) = first_rule(&traffic.opened_by(opener).rules, packet);
    let (from, to) = (&link.end(opener).prefixes, &link.end(opened).prefixes);
    let mut told = false;
    for (network, name, is_opener) in [(&asked.from, "out", true), (&asked.to, "in", false)] {
        if viewer.sees(&network.project) {
            let list = ground.list(&asked.pair, network, name);
            if let Some(step) = list_step(&list, packet, is_opener) {
                told |= step.passes != Passes::Yes;
                view.there.push(step);
            }
        }
    }
    for (network, name, decider) in
        [(&asked.from, "out", Decider::Opener), (&asked.to, "in", Decider::Opened)]
    {
        // What both lists say together is the other side's doing where the own one allows.
        let by_other = rule.is_none_or(|rule| rule.by == decider || rule.by == Decider::Both);
        if !viewer.sees(&network.project) && by_other && (!told || truth == Truth::Yes) {
            view.there.push(step(
                passes(truth),
                WhyFact::Filter {
                    half: None,
                    network: network.to_string(),
                    list: name.to_owned(),
                    entry: None,
                    rule: rule.map(|rule| rule.words(from, to)),
                    of_reply: false,
                    by_policy: false,
                },
            ));
        }
    }
    truth
}

/// What the viewer's own router does with the packet and with its answer.
fn own_router(
    ground: &Ground<'_>,
    (link, network): (&Link, &NetworkKey),
    asked: &Asked<'_>,
    packet: &Packet,
    view: &mut WhyView,
) -> Truth {
    let end = end_of(&asked.pair, network);
    let (router, port) = (link.end(end).router, link_port_name(link.id, end));
    let is_opener = *network == asked.from;
    let reply = packet.reply();
    let (leaving, entering) = if is_opener { (packet, &reply) } else { (&reply, packet) };
    let Some(guests) = reach::port_of(ground.northbound, router, &leaving.source) else {
        let at = network.to_string();
        let what = WhyFact::Ends { at, why: "not-behind".to_owned(), subject: None };
        let steps = if is_opener { &mut view.there } else { &mut view.back };
        steps.push(step(Passes::No, what));
        return Truth::No;
    };
    let asks = |port: String, opens| Start { router, port, opens, is_own: false, only_first: true };
    let out = walk(ground, asks(guests, is_opener), leaving.clone(), |ending, _, _| {
        left_by(ending, |out| out == port)
    });
    let inward = walk(ground, asks(port.clone(), !is_opener), entering.clone(), |ending, _, _| {
        left_by(ending, |out| !is_link(ground.northbound, out))
    });
    let mut truth = Truth::Yes;
    for (ways, is_there) in [(&out, is_opener), (&inward, !is_opener)] {
        truth = truth.and(ways.truth());
        let shown = ways.all.iter().min_by_key(|(_, truth)| *truth);
        if let Some((way, arrives)) = shown {
            let steps = of_way(ground, way, &ways.packet, *arrives);
            // Where it leaves for the other router, nothing arrives yet.
            let leaves = ways.start.port != port && *arrives == Truth::Yes;
            let steps = steps
                .into_iter()
                .filter(|step| !leaves || !matches!(step.what, WhyFact::Arrives { .. }));
            if is_there { view.there.extend(steps) } else { view.back.extend(steps) }
        }
        if ways.truth() == Truth::Maybe {
            let all: Vec<_> = ways.all.iter().map(|(way, _)| way.clone()).collect();
            view.reserves.extend(reserves(ground, &all, true));
        }
    }
    truth
}

fn is_link(northbound: &Northbound, port: &str) -> bool {
    let _ = northbound;
    crate::northbound::owner::peering_of_link_port(port).is_some()
}

fn left_by(ending: &Ending, right: impl Fn(&str) -> bool) -> Truth {
    match ending {
        Ending::Arrives { port, .. } => right(port).into(),
        Ending::AtRouter(_) => Truth::Yes,
        Ending::Leaves { .. } | Ending::Dropped(_) => Truth::No,
        Ending::Unknown(_) => Truth::Maybe,
    }
}
