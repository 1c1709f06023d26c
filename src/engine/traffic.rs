//! The traffic filters of a link, for the owner of one half.

use uuid::Uuid;

use crate::declare::{HalfKey, TrafficList};
use crate::northbound::owner::guard_name;
use crate::northbound::tables::{ACL, PORT_GROUP, port_group};
use crate::northbound::{End, Id, Northbound};
use crate::ovsdb::TableId;
use crate::peering::end_of;
use crate::traffic::{Decider, Openings, inexact};
use crate::view::{RuleView, TrafficView};

use super::shown::Standings;

/// Whether a row is of the guard of one end's switches.
pub(super) fn is_of_guard(
    (peering, end): (Id, End),
    (table, row): (TableId, Uuid),
    northbound: &Northbound,
) -> bool {
    let name = guard_name(peering, end);
    let named = |row| {
        let row = northbound.replica().row(PORT_GROUP, row);
        row.is_some_and(|row| row.get(port_group::NAME).is_string(&name))
    };
    match table {
        PORT_GROUP => named(row),
        ACL => northbound.parents_of(row).any(named),
        _ => false,
    }
}

/// Which packets cross the link of a half; `None` if all do, or if there is no link.
pub(super) fn traffic(standings: &Standings<'_>, key: &HalfKey) -> Option<TrafficView> {
    let resolver = &standings.state.resolver;
    let pair = resolver.pair_of(key)?;
    let link = resolver.link(pair)?;
    let traffic = link.traffic.as_deref()?;
    let end = end_of(pair, &key.network);
    let (local, remote) = (link.end(end), link.end(end.other()));
    let (inward, outward) = (traffic.opened_by(end.other()), traffic.opened_by(end));
    let declared = resolver.said(key, &standings.state.declarations).map(|said| said.value);
    let terms = declared.and_then(|half| half.terms.as_deref());
    let (of_in, of_out) = (terms.map(|it| &it.inward.list), terms.map(|it| &it.outward.list));
    let rules = |openings: &Openings, opener: &str, opened: &str, ends: [&[_]; 2]| {
        let [from, to] = ends;
        let views = openings.rules.iter().map(|rule| RuleView {
            rule: rule.words(from, to),
            by: match rule.by {
                Decider::Both => "both",
                Decider::Opener => opener,
                Decider::Opened => opened,
            }
            .to_owned(),
        });
        views.collect()
    };
    Some(TrafficView {
        inward: rules(inward, "remote", "local", [&remote.prefixes, &local.prefixes]),
        outward: rules(outward, "local", "remote", [&local.prefixes, &remote.prefixes]),
        in_closed: closed(inward, ["`out` of the other side".into(), own("in", of_in)]),
        out_closed: closed(outward, [own("out", of_out), "`in` of the other side".into()]),
        inexact: inexact(&inward.rules, &outward.rules, !traffic.policies(end).guard.is_empty()),
    })
}

/// Why nothing may be opened in a direction. The lists are named with their sides: that of the side
/// that opens first.
fn closed(openings: &Openings, [opener, opened]: [String; 2]) -> Option<String> {
    if openings.allow_any() {
        return None;
    }
    Some(match openings.closed_by {
        Some(Decider::Both) => format!("neither {opener} nor {opened} allows anything"),
        Some(Decider::Opener) => format!("{opener} allows nothing"),
        Some(Decider::Opened) => format!("{opened} allows nothing"),
        None => "no packet is allowed by the lists of both sides".to_owned(),
    })
}

/// A list of this side, in words.
fn own(list: &str, declared: Option<&TrafficList>) -> String {
    let by_policy = declared.is_none_or(TrafficList::is_absent);
    format!("`{list}` of this side{}", if by_policy { " (by the operator's policy)" } else { "" })
}
