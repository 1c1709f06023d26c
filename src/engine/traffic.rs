//! The traffic filters of a link, for the owner of one half.

use crate::declare::HalfKey;
use crate::northbound::End;
use crate::traffic::{Decider, Openings, inexact};
use crate::view::{RuleView, TrafficView};

use super::shown::Standings;

/// Which packets cross the link of a half; `None` if all do, or if there is no link.
pub(super) fn traffic(standings: &Standings<'_>, key: &HalfKey) -> Option<TrafficView> {
    let resolver = &standings.state.resolver;
    let link = resolver.link(resolver.pair_of(key)?)?;
    let traffic = link.traffic.as_deref()?;
    let end = if link.a.network == key.network { End::A } else { End::B };
    let (local, remote) = (link.end(end), link.end(end.other()));
    let (inward, outward) = (traffic.opened_by(end.other()), traffic.opened_by(end));
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
        in_closed: closed(inward, [("out", "the other side"), ("in", "this side")]),
        out_closed: closed(outward, [("out", "this side"), ("in", "the other side")]),
        inexact: inexact(&inward.rules, &outward.rules),
    })
}

/// Why nothing may be opened in a direction.
fn closed(openings: &Openings, [opener, opened]: [(&str, &str); 2]) -> Option<String> {
    if openings.allow_any() {
        return None;
    }
    let silent = |(list, side)| format!("`{list}` of {side} allows nothing that crosses");
    Some(match openings.closed_by {
        Some(Decider::Both) => format!("{}, and {}", silent(opener), silent(opened)),
        Some(Decider::Opener) => silent(opener),
        Some(Decider::Opened) => silent(opened),
        None => "no packet is allowed by the lists of both sides".to_owned(),
    })
}
