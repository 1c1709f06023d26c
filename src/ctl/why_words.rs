//! The words of `why` and `verify` for people.

use std::net::IpAddr;

use ipnet::IpNet;

use super::text::count;
use crate::view::{
    Opens, VerifyFinding, VerifyView, Whose, WhyFact, WhyReserve, WhyStep, WhyTraced, WhyTracedRow,
};

/// What is opened.
pub(super) fn opens(opens: Opens) -> String {
    if let Opens::Number(number) = opens {
        return format!("protocol {number}");
    }
    opens.to_string()
}

/// A step: one word, and what it says.
pub(super) fn fact(what: &WhyFact) -> (&'static str, String) {
    match what {
        WhyFact::Half { half, state, reason, explanation, degraded } => {
            let mut text = format!("{half} is {state}");
            if let Some(reason) = reason {
                text.push_str(&format!(": {reason}"));
            }
            if let Some(explanation) = explanation {
                text.push_str(&format!(" ({explanation})"));
            }
            for degraded in degraded {
                text.push_str(&format!("\ndegraded: {degraded}"));
            }
            ("half", text)
        }
        WhyFact::NoHalf { network, target } => {
            ("half", format!("{network} has no half that asks {target}"))
        }
        WhyFact::Crosses { network, to, prefix: Some(prefix), .. } => {
            ("crosses", format!("{prefix} of {network}, taken by {to}"))
        }
        WhyFact::Crosses { network, to, address, crossing, because, prefix: None } => {
            let mut text = format!("{} is in no prefix of {network} that {to} takes", net(address));
            match because {
                Some(because) => text.push_str(&format!(": {because}")),
                None if crossing.is_empty() => {}
                None => text.push_str(&format!(" ({})", joined(crossing))),
            }
            ("crosses", text)
        }
        WhyFact::Balancer { address, backends, of } => {
            let of = of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
            let to = if backends.is_empty() { "no backend".into() } else { backends.join(", ") };
            ("balancer", format!("{address}{of} stands for {to}"))
        }
        WhyFact::Filter { half, network, list, entry, rule, of_reply, by_policy } => {
            let of = half.as_ref().unwrap_or(network);
            let policy = if *by_policy { " (the operator's policy closes it)" } else { "" };
            let reply = if *of_reply { ", which stops the reply" } else { "" };
            let says = match (entry, rule) {
                (Some(entry), Some(rule)) => format!(", entry {entry}: {rule}"),
                (None, Some(rule)) => format!(": {rule}"),
                (_, None) => ": no entry allows it".to_owned(),
            };
            ("filter", format!("`{list}` of {of}{says}{reply}{policy}"))
        }
        WhyFact::Route { at, prefix, by_source, table, next_hop, to, whose, row } => {
            let from = if *by_source { "from " } else { "" };
            let table = table.as_ref().map(|it| format!(" in table {it}")).unwrap_or_default();
            let by = match (whose, next_hop) {
                (Whose::Others, Some(hop)) => format!(" by {hop}"),
                _ => String::new(),
            };
            let text = format!("at {at}: {from}{prefix}{table} to {to}{by}{}", owner(*whose, row));
            ("route", text)
        }
        WhyFact::NoRoute { at, address } => ("route", format!("{at} has none to {}", net(address))),
        WhyFact::Policy { at, priority, action, whose, means, row, text } => {
            let what = match (means, text) {
                (Some(means), _) => means.clone(),
                (None, Some(text)) => format!("{action} {text}"),
                (None, None) => action.clone(),
            };
            ("policy", format!("at {at}: {what}, priority {priority}{}", owner(*whose, row)))
        }
        WhyFact::Nat { at, kind, from, to, row } => {
            let row = row.as_ref().map(|row| format!(" (row {row})")).unwrap_or_default();
            ("nat", format!("at {at}: {kind} of {from} to {to}{row}"))
        }
        WhyFact::Appliance { at, address } => {
            ("appliance", format!("{address} of {at}, which forwards or not"))
        }
        WhyFact::Gateway { at, port } => {
            let port = port.as_ref().map(|port| format!(" ({port})")).unwrap_or_default();
            ("gateway", format!("leaves by an uplink of {at}{port}"))
        }
        WhyFact::Arrives { at, switches, next_hop } => {
            let on = match &switches[..] {
                [] => String::new(),
                names => format!(", on {}", names.join(", ")),
            };
            let by = next_hop.map(|hop| format!(", given to guest {hop}")).unwrap_or_default();
            ("arrives", format!("at {at}{on}{by}"))
        }
        WhyFact::AtRouter { at } => ("arrives", format!("the router of {at} answers")),
        WhyFact::Ends { at, why, subject } => ("ends", ends(at, why, subject.as_deref())),
    }
}

fn ends(at: &str, why: &str, subject: Option<&str>) -> String {
    let subject = subject.unwrap_or_default();
    match why {
        "router-disabled" => format!("the router of {at} is disabled, or not there"),
        "port" => format!("at {at}: port {subject} is disabled, or leads nowhere"),
        "router-is-silent" => format!("the router of {at} itself answers nothing but pings"),
        "own-source" => format!("the source is an address of the router of {at} itself"),
        "guard" => format!("at {at}: `stateful` drops what is no reply (ACL {subject})"),
        "loop" => format!("it goes round in a circle, last by {at}"),
        "not-behind" => format!("the router of {at} has no subnet with this source"),
        other => format!("at {at}: {other} {subject}"),
    }
}

fn owner(whose: Whose, row: &Option<String>) -> String {
    match (whose, row) {
        (Whose::Others, Some(row)) => format!(" (somebody else's, row {row})"),
        (Whose::Others, None) => " (somebody else's)".to_owned(),
        (Whose::OvnPeerd | Whose::Connected, _) => String::new(),
    }
}

fn net(net: &IpNet) -> String {
    match net.prefix_len() == net.max_prefix_len() {
        true => IpAddr::to_string(&net.addr()),
        false => net.to_string(),
    }
}

fn joined(nets: &[IpNet]) -> String {
    nets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A step in one line.
pub(super) fn ending(step: &WhyStep) -> String {
    let (word, text) = fact(&step.what);
    let first = text.split('\n').next().unwrap_or_default();
    format!("{word}: {first}")
}

/// What makes an answer uncertain.
pub(super) fn reserve(reserve: &WhyReserve) -> String {
    let WhyReserve { code, at, row, text } = reserve;
    let at = at.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
    let row = row.as_ref().map(|row| format!(" (row {row})")).unwrap_or_default();
    let text = text.as_deref().unwrap_or_default();
    match &**code {
        "match" => format!("a policy{at}{row} may match or not: {text}"),
        "part" if text.is_empty() => "it is so for a part of these packets".to_owned(),
        "part" if at.is_empty() => format!("the lists let a part of these packets open: {text}"),
        "part" => format!("a policy{at}{row} is for a part of these packets: {text}"),
        "several" => "OVN chooses one of several ways, which do not end alike".to_owned(),
        "chain" => format!("a policy{at} jumps to a chain of others"),
        "translated" => format!("a NAT row or a load balancer{at}{row} may change the packets"),
        "too-many" => "there are too many ways to follow".to_owned(),
        "learned" => format!("the router{at} learns routes that the northbound does not have"),
        "appliance" => format!("the guest {text}{at} forwards it, or not"),
        "outside" => "the outside needs a route back, and may drop it".to_owned(),
        "shadowed" => text.to_owned(),
        "northd" => "ovn-northd has not acted on all rows yet".to_owned(),
        "northbound" => "the northbound is out of reach, or its rows are about to go".to_owned(),
        other => format!("{other}{at}{row} {text}"),
    }
}

/// What ovn-trace says of one packet.
pub(super) fn traced(traced: &WhyTraced) -> String {
    let mut text = match (&traced.dropped, traced.arrives) {
        (_, true) => format!("arrives at {}", traced.ports.join(", ")),
        (Some(row), false) => format!("dropped by {}", traced_row(row)),
        (None, false) => "ends without an output".to_owned(),
    };
    for row in &traced.translated {
        text.push_str(&format!("; translated by {}", traced_row(row)));
    }
    text
}

fn traced_row(row: &WhyTracedRow) -> String {
    let WhyTracedRow { kind, at, stage, row, text, means } = row;
    let number = row.as_ref().map(|row| format!(" (row {row})")).unwrap_or_default();
    let text = text.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    if let Some(step) = means {
        return format!("{}{number}", ending(step));
    }
    match &**kind {
        "acl" => format!("an ACL of switch {at}{number}{text}"),
        "policy" => format!("a policy of {at}{number}{text}"),
        "no-route" => format!("no route of {at}"),
        "nat" => format!("NAT of {at}{number}{text}"),
        _ => format!("{stage} of {at}{number}{text}"),
    }
}

/// What `verify` found.
pub(super) fn verified(view: &VerifyView) -> String {
    let mut text = String::new();
    for finding in &view.found {
        text.push_str(&format!("{}\n", found(finding)));
    }
    if view.more > 0 {
        text.push_str(&format!("... and {} more\n", view.more));
    }
    if !view.found.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!(
        "{} looked at: {} that must pass, {} that must not. Found: {}.\n",
        count(view.peerings, "peering"),
        count(view.must_pass, "packet"),
        view.must_not,
        view.found.len() + view.more
    ));
    if view.unsure > 0 {
        text.push_str(&format!("Of {} it is not sure.\n", count(view.unsure, "packet")));
    }
    text
}

fn found(finding: &VerifyFinding) -> String {
    let VerifyFinding { code, between, packet, row, by } = finding;
    let packet = packet.as_deref().unwrap_or_default();
    let by = by.as_ref().map(|step| format!(": {}", ending(step)));
    let row = |text: &str| {
        let means = row.as_ref().map(|row| row.means.clone()).unwrap_or_default();
        let uuid = row.as_ref().and_then(|row| row.uuid.as_ref());
        let uuid = uuid.map(|uuid| format!(" (row {uuid})")).unwrap_or_default();
        format!("{between}: {text}: {means}{uuid}")
    };
    match &**code {
        "row-missing" => row("a row is missing"),
        "row-differs" => row("a row differs"),
        "row-surplus" => row("a row is there that should not be"),
        "passes" => {
            let by = by.unwrap_or_else(|| ": no row drops it".to_owned());
            format!("{between}: {packet} passes, and should not{by}")
        }
        _ => {
            let by = by.unwrap_or_default();
            format!("{between}: {packet} does not pass{by}")
        }
    }
}
