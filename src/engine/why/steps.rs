//! A way of a packet, step by step, in terms of peering.

use crate::northbound::tables::{ROUTER_POLICY, STATIC_ROUTE, router_policy, static_route};
use crate::reach::{
    Action, Dropped, Ending, Hop, Packet, Policy, Route, RouteTo, Truth, Unknown, Way,
};
use crate::view::{Passes, Whose, WhyFact, WhyReserve, WhyStep};

use super::ground::{Ground, passes, step};

/// The steps of a way. `arrives` is whether it ends where it should.
pub(in crate::engine) fn of_way(
    ground: &Ground<'_>,
    way: &Way,
    packet: &Packet,
    arrives: Truth,
) -> Vec<WhyStep> {
    let mut steps = Vec::new();
    for hop in &way.hops {
        of_hop(ground, hop, &mut steps);
    }
    steps.extend(of_ending(ground, way, packet, arrives));
    // What leads elsewhere is to blame if nothing drops it.
    let elsewhere = matches!(
        way.ending,
        Ending::Arrives { .. } | Ending::Leaves { .. } | Ending::Dropped(Dropped::Loop)
    );
    if arrives == Truth::No && elsewhere {
        let diverts = |step: &&mut WhyStep| {
            let is_route = matches!(step.what, WhyFact::Route { whose: Whose::Others, .. });
            let is_policy = matches!(
                &step.what,
                WhyFact::Policy { whose: Whose::Others, action, .. } if action == "reroute"
            );
            is_route || is_policy
        };
        if let Some(step) = steps.iter_mut().rev().find(diverts) {
            step.passes = Passes::No;
        }
    }
    steps
}

fn of_hop(ground: &Ground<'_>, hop: &Hop, steps: &mut Vec<WhyStep>) {
    let at = ground.name_of(hop.router);
    if let Some(route) = &hop.route {
        steps.extend(route_step(ground, &at, route));
    }
    if let Some(policy) = &hop.policy {
        let shown = policy_step(ground, &at, hop, policy);
        // Ours that allow are what the filters, or the peering itself, say.
        let is_plain = policy.action == Action::Allow
            && matches!(shown.what, WhyFact::Policy { whose: Whose::OvnPeerd, .. });
        steps.extend((!is_plain).then_some(shown));
    }
    if let Some(address) = hop.through {
        let at = at.clone();
        steps.push(step(Passes::Unsure, WhyFact::Appliance { at, address }));
    }
    if let Some(nat) = &hop.translated {
        steps.push(step(
            Passes::Yes,
            WhyFact::Nat {
                at,
                kind: nat.kind.clone(),
                from: nat.from,
                to: nat.to,
                row: ground.row(nat.row),
            },
        ));
    }
}

fn route_step(ground: &Ground<'_>, at: &str, route: &Route) -> Option<WhyStep> {
    let whose = match route.row {
        None => Whose::Connected,
        Some(row) => ground.whose((STATIC_ROUTE, row), static_route::EXTERNAL_IDS),
    };
    let (passes, to, next_hop) = match &route.to {
        RouteTo::Discard => (Passes::No, "nowhere: it discards".to_owned(), None),
        RouteTo::Port { port, next_hop } => (Passes::Yes, ground.leads_to(port), *next_hop),
    };
    // That a network is connected is said by its arrival.
    (whose != Whose::Connected).then(|| {
        step(
            passes,
            WhyFact::Route {
                at: at.to_owned(),
                prefix: route.prefix,
                by_source: route.by_source,
                table: Some(route.table.clone()).filter(|table| !table.is_empty()),
                next_hop,
                to,
                whose,
                row: route.row.and_then(|row| ground.row(row)),
            },
        )
    })
}

/// A policy, in terms of peering.
pub(super) fn policy_step(ground: &Ground<'_>, at: &str, hop: &Hop, policy: &Policy) -> WhyStep {
    let whose = ground.whose((ROUTER_POLICY, policy.row), router_policy::EXTERNAL_IDS);
    let (passes, action) = match policy.action {
        Action::Allow => (Passes::Yes, "allow"),
        Action::Drop => (Passes::No, "drop"),
        Action::Reroute(_) => (Passes::Yes, "reroute"),
        Action::Jump => (Passes::Unsure, "jump"),
    };
    // It may match or not.
    let unsure = policy.matches == Truth::Maybe && policy.action != Action::Allow;
    let passes = if unsure { Passes::Unsure } else { passes };
    step(
        passes,
        WhyFact::Policy {
            at: at.to_owned(),
            priority: policy.priority,
            action: action.to_owned(),
            whose,
            means: ground.means((ROUTER_POLICY, policy.row), hop.router),
            row: ground.row(policy.row),
            text: (whose == Whose::Others).then(|| policy.text.clone()),
        },
    )
}

fn of_ending(ground: &Ground<'_>, way: &Way, packet: &Packet, arrives: Truth) -> Option<WhyStep> {
    let last = way.hops.last()?;
    let at = ground.name_of(last.router);
    let ends = |why: &str, subject: Option<String>| {
        let why = why.to_owned();
        Some(step(Passes::No, WhyFact::Ends { at: at.clone(), why, subject }))
    };
    match &way.ending {
        Ending::Arrives { router, port, next_hop } => {
            let switches = if ground.shows_all { ground.switches(port) } else { Vec::new() };
            let at = ground.name_of(*router);
            let what = WhyFact::Arrives { at, switches, next_hop: *next_hop };
            Some(step(passes(arrives), what))
        }
        Ending::AtRouter(router) => {
            Some(step(passes(arrives), WhyFact::AtRouter { at: ground.name_of(*router) }))
        }
        Ending::Leaves { router, port } => {
            let port = ground.shows_all.then(|| port.clone());
            let what = WhyFact::Gateway { at: ground.name_of(*router), port };
            Some(step(passes(arrives), what))
        }
        Ending::Dropped(why) => match why {
            Dropped::NoRoute => {
                Some(step(Passes::No, WhyFact::NoRoute { at, address: packet.destination }))
            }
            // Their rows are the last steps.
            Dropped::Discard | Dropped::Policy => None,
            Dropped::RouterDisabled => ends("router-disabled", None),
            Dropped::Port(port) => ends("port", ground.shows_all.then(|| port.clone())),
            Dropped::RouterIsSilent => ends("router-is-silent", None),
            Dropped::OwnSource => ends("own-source", None),
            Dropped::Guard(row) => ends("guard", ground.row(*row)),
            Dropped::Loop => ends("loop", None),
        },
        Ending::Unknown(_) => None,
    }
}

/// What makes ways uncertain.
pub(super) fn reserves(ground: &Ground<'_>, ways: &[Way], exact: bool) -> Vec<WhyReserve> {
    let mut found: Vec<WhyReserve> = Vec::new();
    let mut note = |reserve: WhyReserve| {
        if !found.contains(&reserve) {
            found.push(reserve);
        }
    };
    let code = if exact { "match" } else { "part" };
    for way in ways {
        for hop in &way.hops {
            let policy = hop.policy.as_ref().filter(|policy| policy.matches == Truth::Maybe);
            // What ours are for, the lists say.
            let policy = policy.filter(|policy| {
                let row = (ROUTER_POLICY, policy.row);
                ground.whose(row, router_policy::EXTERNAL_IDS) == Whose::Others
            });
            if let Some(policy) = policy {
                note(WhyReserve {
                    code: code.to_owned(),
                    at: Some(ground.name_of(hop.router)),
                    row: ground.row(policy.row),
                    text: Some(policy.text.clone()),
                });
            }
            let nat = hop.translated.as_ref().filter(|nat| nat.applies == Truth::Maybe);
            if let Some(nat) = nat {
                note(WhyReserve {
                    code: "translated".to_owned(),
                    at: Some(ground.name_of(hop.router)),
                    row: ground.row(nat.row),
                    text: None,
                });
            }
            if let Some(address) = hop.through {
                note(WhyReserve {
                    code: "appliance".to_owned(),
                    at: Some(ground.name_of(hop.router)),
                    row: None,
                    text: Some(address.to_string()),
                });
            }
        }
        if let Ending::Unknown(why) = &way.ending {
            let code = match why {
                Unknown::Chain => "chain",
                Unknown::Translated => "translated",
                Unknown::TooMany => "too-many",
                Unknown::Learned => "learned",
            };
            let at = way.hops.last().map(|hop| ground.name_of(hop.router));
            note(WhyReserve { code: code.to_owned(), at, row: None, text: None });
        }
    }
    found
}
