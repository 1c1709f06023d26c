//! The answer for operators: packets are followed by the rows of all routers.

use ipnet::IpNet;

use crate::northbound::priority;
use crate::peering::end_of;
use crate::reach::{self, Ending, Packet, Truth, Way};
use crate::view::{Passes, State, Whose, WhyFact, WhyFlow, WhyInOvn, WhyRouter, WhyStep, WhyView};

use super::super::shown::Standings;
use super::crossing::crossing;
use super::filters::{leaves_ports_open, list_step};
use super::follow::{Followed, Ways, follow};
use super::ground::{Ground, passes, step};
use super::question::{Asked, packets, reserve, stops_peering};
use super::steps::{of_way, reserves};

/// Completes an answer, which has the halves of both sides.
pub(super) fn answer(standings: &Standings<'_>, asked: &Asked<'_>, view: &mut WhyView) {
    let Some(northbound) = standings.northbound else {
        view.passes = Passes::Unsure;
        view.stopped_by = None;
        view.reserves.push(reserve("northbound", None));
        return;
    };
    let ground = Ground { state: standings.state, northbound, shows_all: true };
    let packets = self::packets(
        asked.question,
        &prefixes(&ground, asked, true),
        &prefixes(&ground, asked, false),
    );
    let all: Vec<(Packet, Followed)> = packets
        .into_iter()
        .map(|packet| {
            let followed = follow(&ground, (&asked.from, &asked.to), &packet);
            (packet, followed)
        })
        .collect();
    let exact = asked.question.from.address.is_some() && asked.question.to.address.is_some();
    let truth = Truth::agreed(all.iter().map(|(_, followed)| followed.passes()));
    let truth = truth.unwrap_or(Truth::No);
    view.passes = passes(truth);
    // The one to tell of is the first that does not pass.
    let told = all.iter().find(|(_, followed)| followed.passes() != Truth::Yes).or(all.first());
    let Some((packet, followed)) = told else { return };
    tell(&ground, asked, (packet, followed), view);
    if truth == Truth::Maybe {
        let ways = |ways: &[Ways]| -> Vec<Way> {
            ways.iter().flat_map(|ways| ways.all.iter().map(|(way, _)| way.clone())).collect()
        };
        let both = [ways(&followed.there), ways(&followed.back)].concat();
        let ports = leaves_ports_open(packet);
        view.reserves.extend(reserves(&ground, &both, exact && !ports));
        let leaves = |way: &Way| matches!(way.ending, Ending::Leaves { .. });
        if both.iter().any(leaves) {
            view.reserves.push(reserve("outside", None));
        }
        if view.reserves.is_empty() {
            let allowed = if exact && !ports { None } else { allowed(&ground, asked) };
            let code = if exact && !ports { "several" } else { "part" };
            view.reserves.push(reserve(code, allowed));
        }
    }
    standing(standings, view);
    if exact {
        view.in_ovn = in_ovn(&ground, asked, followed);
    }
}

/// What is not in the northbound yet, or may have changed there, makes an answer uncertain.
fn standing(standings: &Standings<'_>, view: &mut WhyView) {
    if view.passes == Passes::No {
        return;
    }
    if !standings.connection.synced {
        view.reserves.push(reserve("northbound", None));
        view.passes = Passes::Unsure;
    } else if view.state == Some(State::Provisioning) {
        view.reserves.push(reserve("northd", None));
        view.passes = Passes::Unsure;
    }
}

/// What crosses of one side; without a link, its subnets.
fn prefixes(ground: &Ground<'_>, asked: &Asked<'_>, is_from: bool) -> Vec<IpNet> {
    let network = if is_from { &asked.from } else { &asked.to };
    let address = if is_from { asked.question.from.address } else { asked.question.to.address };
    if address.is_some() {
        return Vec::new();
    }
    if let Some(link) = ground.link(&asked.pair) {
        return link.end(end_of(&asked.pair, network)).prefixes.to_vec();
    }
    let router = ground.router_of(network);
    let facts = router.and_then(|router| ground.northbound.facts(router));
    facts.map(|facts| facts.prefixes()).unwrap_or_default()
}

/// What the lists of both sides let open, if there are any.
fn allowed(ground: &Ground<'_>, asked: &Asked<'_>) -> Option<String> {
    let link = ground.link(&asked.pair)?;
    let end = end_of(&asked.pair, &asked.from);
    let (from, to) = (&link.end(end).prefixes, &link.end(end.other()).prefixes);
    let rules = link.traffic.as_ref()?.opened_by(end).rules.iter();
    Some(rules.map(|rule| rule.words(from, to)).collect::<Vec<_>>().join("; "))
}

/// Tells of one packet.
fn tell(
    ground: &Ground<'_>,
    asked: &Asked<'_>,
    (packet, followed): (&Packet, &Followed),
    view: &mut WhyView,
) {
    let link = ground.link(&asked.pair);
    let mut told = packet.clone();
    if let Some(balanced) = &followed.balanced {
        let of = balanced.is_ours.then(|| asked.to.to_string());
        let address = balanced.vip.at.to_string();
        let backends: Vec<String> =
            balanced.vip.backends.iter().map(|backend| backend.at.to_string()).collect();
        let verdict = if backends.is_empty() { Passes::No } else { Passes::Yes };
        view.there.push(step(verdict, WhyFact::Balancer { address, backends, of }));
        let shown = worst(&followed.there);
        if let Some(ways) = shown {
            told = ways.packet.clone();
        }
    }
    if let Some(link) = link {
        let chained =
            link.reached(end_of(&asked.pair, &asked.from)).any(|it| it.contains(&told.destination));
        let leaves =
            followed.there.iter().flat_map(|ways| &ways.all).any(|(way, truth)| {
                matches!(way.ending, Ending::Leaves { .. }) && *truth != Truth::No
            });
        if !chained && !leaves {
            view.there.extend(crossing(ground, link, &asked.from, &told));
        }
        if link.traffic.is_some() && !chained && !leaves {
            let out = ground.list(&asked.pair, &asked.from, "out");
            let inward = ground.list(&asked.pair, &asked.to, "in");
            view.there.extend(list_step(&out, &told, true));
            view.there.extend(list_step(&inward, &told, false));
        }
    }
    if !followed.has_start {
        let at = asked.from.to_string();
        let what = WhyFact::Ends { at, why: "not-behind".to_owned(), subject: None };
        view.there.push(step(Passes::No, what));
    }
    let mut there = way_steps(ground, &followed.there);
    name_filter(ground, asked, view, &told, (&mut there, false));
    view.there.extend(there);
    let mut back = way_steps(ground, &followed.back);
    if link.is_some_and(|link| link.traffic.is_some()) {
        let reply = told.reply();
        name_filter(ground, asked, view, &reply, (&mut back, true));
    }
    view.back = back;
    if view.passes == Passes::No && view.stopped_by.is_none() {
        let steps = || view.there.iter().chain(&view.back);
        let certain = steps().find(|step| step.passes == Passes::No && blames(step));
        view.stopped_by = certain.or_else(|| steps().find(|it| it.passes == Passes::No)).cloned();
    }
    // Packets pass by rows of others, or of ours that are to go.
    if view.passes != Passes::No {
        view.stopped_by = None;
        if view.state == Some(State::Active) {
            view.next_step = None;
        }
    }
}

/// Whether a step says what stops packets, and not only where.
fn blames(step: &WhyStep) -> bool {
    !stops_surplus(step) && !matches!(step.what, WhyFact::Arrives { .. } | WhyFact::Gateway { .. })
}

fn stops_surplus(step: &WhyStep) -> bool {
    step.passes == Passes::No && matches!(step.what, WhyFact::Half { .. }) && !stops_peering(step)
}

/// The ways to show: those that do not arrive, if there are any.
fn worst(all: &[Ways]) -> Option<&Ways> {
    all.iter().min_by_key(|ways| ways.truth())
}

fn way_steps(ground: &Ground<'_>, all: &[Ways]) -> Vec<WhyStep> {
    let Some(ways) = worst(all) else { return Vec::new() };
    let shown = ways.all.iter().min_by_key(|(_, truth)| *truth);
    shown.map(|(way, truth)| of_way(ground, way, &ways.packet, *truth)).unwrap_or_default()
}

/// Where a policy of ours that is made of lists drops the packets, the list says more.
fn name_filter(
    ground: &Ground<'_>,
    asked: &Asked<'_>,
    view: &WhyView,
    packet: &Packet,
    (steps, of_reply): (&mut Vec<WhyStep>, bool),
) {
    let is_of_lists = |priority: i64| {
        priority::is_forward(priority)
            || priority::is_reply(priority)
            || [priority::OPENINGS, priority::DROP].contains(&priority)
    };
    let by_lists = |step: &WhyStep| {
        matches!(
            &step.what,
            WhyFact::Policy { whose: Whose::OvnPeerd, action, priority, .. }
                if action == "drop" && is_of_lists(*priority)
        )
    };
    let Some(at) = steps.iter().position(by_lists) else { return };
    let denied =
        |step: &WhyStep| matches!(step.what, WhyFact::Filter { .. }) && step.passes != Passes::Yes;
    if view.passes == Passes::Unsure && view.there.iter().any(denied) {
        // The list has said that it is so for a part.
        steps.remove(at);
        return;
    }
    if !of_reply {
        if view.there.iter().any(denied) {
            steps.remove(at);
        }
        return;
    }
    // A reply is stopped by an entry that denies it as an opening of the side that answers, or by one
    // that denies what it answers.
    let lists = [(&asked.to, "out", true), (&asked.from, "in", false)];
    let opened = [(&asked.from, "out", true), (&asked.to, "in", false)];
    let reply = lists.into_iter().map(|it| (it, packet.clone()));
    let opening = opened.into_iter().map(|it| (it, packet.reply()));
    let found = reply.chain(opening).find_map(|((network, name, is_opener), packet)| {
        let list = ground.list(&asked.pair, network, name);
        let denies = |entry: &crate::traffic::Entry| entry.action == crate::traffic::Action::Deny;
        list.entries.filter(|entries| entries.iter().any(denies))?;
        list_step(&list, &packet, is_opener).filter(|step| {
            step.passes == Passes::No
                && matches!(&step.what, WhyFact::Filter { entry: Some(_), .. })
        })
    });
    if let (Some(found), Some(place)) = (found, steps.get_mut(at)) {
        let mut found = found;
        if let WhyFact::Filter { of_reply, .. } = &mut found.what {
            *of_reply = true;
        }
        *place = found;
    }
}

/// The packets as ovn-trace takes them.
fn in_ovn(ground: &Ground<'_>, asked: &Asked<'_>, followed: &Followed) -> Option<WhyInOvn> {
    let there = worst(&followed.there)?;
    let back = followed.back.first();
    let flow = |ways: &Ways| {
        let port = &ways.start.port;
        let switches = ground.northbound.switches_of(port);
        let policies =
            ways.all.iter().flat_map(|(way, _)| way.hops.iter().map(move |hop| (way, hop)));
        let policies = policies.filter_map(|(_, hop)| {
            let at = ground.name_of(hop.router);
            Some(super::steps::policy_step(ground, &at, hop, hop.policy.as_ref()?))
        });
        Some(WhyFlow {
            switches: switches.iter().map(ToString::to_string).collect(),
            router_mac: reach::mac_of(ground.northbound, ways.start.router, port)?,
            router_port: port.clone(),
            source: ways.packet.source.addr(),
            destination: ways.packet.destination.addr(),
            policies: policies.collect(),
        })
    };
    let there = flow(there)?;
    let back = match back {
        Some(ways) => flow(ways)?,
        // As the other side would answer.
        None => {
            let router = ground.router_of(&asked.to)?;
            let port = reach::port_of(ground.northbound, router, &there.destination.into())?;
            WhyFlow {
                switches: ground
                    .northbound
                    .switches_of(&port)
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                router_mac: reach::mac_of(ground.northbound, router, &port)?,
                router_port: port,
                source: there.destination,
                destination: there.source,
                policies: Vec::new(),
            }
        }
    };
    let networks = [&asked.from, &asked.to].into_iter();
    let routers = networks.filter_map(|network| {
        let router = ground.northbound.router_name(ground.router_of(network)?)?.to_owned();
        Some(WhyRouter { router, network: network.to_string() })
    });
    Some(WhyInOvn { there, back, routers: routers.collect() })
}
