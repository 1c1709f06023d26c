//! The router policies of a link's traffic filters: what may open, and what follows.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{Family, priority};
use crate::peering::LinkEnd;
use crate::traffic::{Action, Kind, Policies, Policy};

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
        let mut rows = Vec::new();
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
        for ((priority, action), packets) in decisions(&side, policies) {
            let text = [&inport(ports.iter().copied()), " && (", &any(&packets), ")"].concat();
            let action = match action {
                Action::Allow => "allow",
                Action::Deny => "drop",
            };
            rows.push(row(priority, text, action));
        }
        wants.rows.append(&mut rows);
    }
}

/// The packets that the policies of a router decide on, by priority and action. All of one priority
/// and action are one row: each row costs the server, ovn-northd and every client.
fn decisions(side: &LinkSide<'_>, policies: &Policies) -> BTreeMap<(i64, Action), Vec<String>> {
    let mut decisions: BTreeMap<(i64, Action), Vec<String>> = BTreeMap::new();
    if policies.pass_errors {
        decisions.insert((errors_at(policies), Action::Allow), passed_errors(side));
    }
    for alike in policies.list.chunk_by(Policy::is_beside) {
        let Some(policy) = alike.first() else { continue };
        let packets = packets(side, alike);
        decisions.entry((priority_of(policy), policy.action)).or_default().extend(packets);
    }
    decisions
}

/// The priority at which ICMP errors pass: the highest there is, unless it drops some packets.
fn errors_at(policies: &Policies) -> i64 {
    let first = policies.list.iter().map(priority_of).max().unwrap_or(priority::ERRORS);
    let denies = |policy: &Policy| priority_of(policy) == first && policy.action == Action::Deny;
    if policies.list.iter().any(denies) { priority::ERRORS } else { first }
}

/// The priority of a policy. No packet is both a reply of the other side and an echo reply of the
/// router.
fn priority_of(policy: &Policy) -> i64 {
    let first = match policy.kind {
        Kind::Forward => priority::FORWARD,
        Kind::Reply | Kind::Echo => priority::REPLIES,
    };
    first - i64::from(policy.rank)
}

/// The packets of policies that differ in their protocols alone, by family and whatever their port
/// is.
pub(super) fn packets(side: &LinkSide<'_>, policies: &[Policy]) -> Vec<String> {
    let Some(policy) = policies.first() else { return Vec::new() };
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
    let packets = families.map(|family| {
        let from = addresses(from, family, &policy.sources);
        let to = addresses(to, family, &policy.destinations);
        let between = between(family, &from, &to);
        let protocols: Option<Vec<String>> =
            policies.iter().map(|policy| protocol(policy, family)).collect();
        match protocols.as_deref() {
            None => between,
            Some([one]) => format!("({between} && {one})"),
            Some(several) => format!("({between} && (({})))", several.join(") || (")),
        }
    });
    packets.collect()
}

/// ICMP errors between the two networks, and those of the router itself: these have the port by
/// which the cause came, and the port's address.
fn passed_errors(side: &LinkSide<'_>) -> Vec<String> {
    let terms = side.families().map(|family| {
        let remote = Addresses::of(side.remote, family);
        let from_remote = Addresses::from(side.remote, family);
        let own: Vec<IpNet> = side.local.address(family).map(IpNet::from).into_iter().collect();
        let ways = [
            between(family, &from_remote, &Addresses::of(side.local, family)),
            between(family, &Addresses::listed(family, &own), &remote),
        ];
        format!("(({}) && {} && !ip.is_frag)", any(&ways), errors(family))
    });
    terms.collect()
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
