//! The router policies of a link's traffic filters: what may open, and what follows.

use ipnet::IpNet;

use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{Family, priority};
use crate::peering::LinkEnd;
use crate::traffic::{Action, Kind, Policy};

use super::super::matches::{Addresses, any, between, inport};
use super::super::packets::{errors, openings, protocol};
use super::contributor::{Unit, Wants};
use super::link_side::LinkSide;

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    let Some(traffic) = &link.traffic else { return };
    for side in LinkSide::both(link) {
        let policies = traffic.policies(side.end);
        // Links of other tools between the two routers: traffic there is filtered as well.
        let ports = std::iter::once(side.port.as_str())
            .chain(side.local.beside.iter().map(AsRef::as_ref))
            .collect::<Vec<&str>>();
        let row = |priority: i64, text: String, action: &str| {
            side.row(ROUTER_POLICY, wants).policy(priority, text, action)
        };
        let mut rows = Vec::with_capacity(policies.list.len() + 2);
        if policies.pass_errors {
            rows.push(row(priority::ERRORS, passed_errors(&side, &ports), "allow"));
        }
        // What comes by a gateway opens nothing, either.
        if policies.drop_openings || link.takes_all(side.end) {
            let shaped: Vec<String> =
                side.families().map(|family| format!("({})", openings(family))).collect();
            let text = format!("{} && ({})", inport([side.port.as_str()]), any(&shaped));
            rows.push(row(priority::OPENINGS, text, "drop"));
            // At the port of another tool, only traffic between the two networks is ours to drop.
            if let Some((_, beside)) = ports.split_first().filter(|(_, beside)| !beside.is_empty())
            {
                let text = openings_beside(&side, beside);
                rows.push(row(priority::OPENINGS, text, "drop"));
            }
        }
        rows.extend(policies.list.iter().map(|policy| {
            let action = match policy.action {
                Action::Allow => "allow",
                Action::Deny => "drop",
            };
            row(priority_of(policy), decided(&side, &ports, policy), action)
        }));
        wants.rows.append(&mut rows);
    }
}

/// The priority of a policy.
fn priority_of(policy: &Policy) -> i64 {
    let first = match policy.kind {
        Kind::Forward => priority::FORWARD,
        Kind::Reply => priority::REPLIES,
        Kind::Echo => priority::ECHOES,
    };
    first - i64::from(policy.rank)
}

/// The packets that a policy decides on.
fn decided(side: &LinkSide<'_>, ports: &[&str], policy: &Policy) -> String {
    [&inport(ports.iter().copied()), " && (", &any(&packets(side, policy)), ")"].concat()
}

/// The same, by family and whatever their port is.
pub(super) fn packets(side: &LinkSide<'_>, policy: &Policy) -> Vec<String> {
    let (from, to) = match policy.kind {
        Kind::Forward | Kind::Reply => (side.remote, side.local),
        Kind::Echo => (side.local, side.remote),
    };
    let addresses = |end: &LinkEnd, family: Family, prefixes: &[IpNet]| match policy.action {
        Action::Allow => Addresses::some_of(end, family, prefixes),
        // Without the set, OVN would ignore the drop.
        Action::Deny => Addresses::listed(family, prefixes),
    };
    let here = |nets: &[IpNet], family: Family| nets.iter().any(|net| Family::of(net) == family);
    let families = side.families().filter(|family| here(&policy.sources, *family));
    families
        .map(|family| {
            let from = addresses(from, family, &policy.sources);
            let to = addresses(to, family, &policy.destinations);
            let between = between(family, &from, &to);
            match protocol(policy, family) {
                Some(protocol) => format!("({between} && {protocol})"),
                None => between,
            }
        })
        .collect()
}

/// ICMP errors between the two networks, and those of the router itself: these have the port by
/// which the cause came, and the port's address.
fn passed_errors(side: &LinkSide<'_>, ports: &[&str]) -> String {
    let terms: Vec<String> = side
        .families()
        .map(|family| {
            let remote = Addresses::of(side.remote, family);
            let from_remote = Addresses::from(side.remote, family);
            let own: Vec<IpNet> = side.local.address(family).map(IpNet::from).into_iter().collect();
            let ways = [
                between(family, &from_remote, &Addresses::of(side.local, family)),
                between(family, &Addresses::listed(family, &own), &remote),
            ];
            format!("(({}) && {})", any(&ways), errors(family))
        })
        .collect();
    [&inport(ports.iter().copied()), " && !ip.is_frag && (", &any(&terms), ")"].concat()
}

fn openings_beside(side: &LinkSide<'_>, ports: &[&str]) -> String {
    let terms: Vec<String> = side
        .families()
        .map(|family| {
            let from = Addresses::listed(family, &side.remote.prefixes);
            let to = Addresses::listed(family, &side.local.prefixes);
            format!("({} && {})", between(family, &from, &to), openings(family))
        })
        .collect();
    [&inport(ports.iter().copied()), " && (", &any(&terms), ")"].concat()
}
