//! `show`: one half in full.

use std::collections::BTreeMap;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;

use super::sheet::Sheet;
use super::table::{Cell, Kind, Table};
use super::text::{age, count, moment};
use crate::declare::Terms;
use crate::view::{
    ChainView, GatewayView, HalfDetail, NameView, NamesView, RuleView, ThroughView, TrafficView,
    TranslatedView, VirtualAddressView,
};

/// So many names of each kind are listed; the JSON has all.
const MOST_NAMES: usize = 8;

/// The page; `rows` asks for the rows as the northbound has them.
pub(super) fn half(
    detail: &HalfDetail,
    rows: bool,
    width: Option<usize>,
    now: Timestamp,
) -> String {
    let half = &detail.half;
    let mut sheet = Sheet::new();
    sheet.line("Half", format!("{}/{}/{}", half.project, half.network, half.name));
    sheet.line("Target", half.target());
    sheet.line("State", half.state);
    sheet.line("Since", moment(half.since, now));
    sheet.optional("Reason", half.reason);
    sheet.optional("Explanation", half.explanation.as_ref());
    sheet.optional("Next step", half.next_step.as_ref());
    sheet.several("Degraded", &half.degraded);
    sheet.optional("Description", Some(&half.description).filter(|text| !text.is_empty()));
    sheet.line("Configured status", &detail.configured_status);
    let config: Vec<_> =
        detail.config.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    sheet.several("Config", &config);
    sheet.optional("Declared in", declared_in(detail).as_ref());
    let beside = detail.stored.as_ref().filter(|stored| !stored.in_effect);
    let beside =
        beside.map(|it| format!("by {}, {:.0}; not in effect: a file counts", it.by, it.at));
    sheet.optional("Stored, too", beside.as_ref());
    sheet.line("Router", detail.router.as_deref().unwrap_or("none is bound to this network"));
    sheet.line("Network UUID", detail.network_uuid);
    sheet.several("Local prefixes", &detail.local_prefixes);
    sheet.several("Remote prefixes", &detail.remote_prefixes);
    terms(&mut sheet, detail);
    if let Some(traffic) = &detail.traffic {
        traffic_of(&mut sheet, traffic);
    }
    if let Some(gateway) = &detail.gateway_in_use {
        gateway_of(&mut sheet, gateway);
    }
    if let Some(through) = &detail.through {
        through_of(&mut sheet, through);
    }
    guests(&mut sheet, detail, now);
    sheet.several("In the northbound", &meanings(detail));
    let sets: Vec<_> = detail.address_sets.iter().map(|name| format!("${name}")).collect();
    sheet.several("Address sets", &sets);
    let mut text = sheet.into_text(width);
    if rows && !detail.rows.is_empty() {
        let mut rows =
            Table::new([("TABLE", Kind::Word), ("UUID", Kind::Word), ("ROW", Kind::Word)]);
        for row in &detail.rows {
            let uuid = row.uuid.as_deref().unwrap_or("(planned)");
            rows.row([&row.table, uuid, &row.summary].map(Cell::new));
        }
        text.push('\n');
        text.push_str(&rows.lines(true, None));
    }
    text
}

/// The file with its line, or who stored it; and the hosts.
fn declared_in(detail: &HalfDetail) -> Option<String> {
    if let Some(stored) = detail.stored.as_ref().filter(|stored| stored.in_effect) {
        return Some(format!("the store, by {}, {:.0}", stored.by, stored.at));
    }
    let line = detail.line.iter().map(|line| format!(":{line}"));
    let file = detail.file.iter().cloned().chain(line).collect::<String>();
    let file = if file.is_empty() { "a file".to_owned() } else { file };
    let hosts = detail.half.hosts.join(", ");
    (!hosts.is_empty()).then(|| format!("{file} on {hosts}"))
}

/// Terms and limits of the prefixes that cross the peering, if any.
fn terms(sheet: &mut Sheet, detail: &HalfDetail) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (title, value) in Terms::unusual(&detail.terms) {
        match value.as_array().map(Vec::as_slice) {
            None => sheet.line(title, text(value)),
            Some([]) => sheet.line(title, "nothing"),
            Some(entries) => {
                sheet.several(title, &entries.iter().map(text).collect::<Vec<String>>());
            }
        }
    }
    let filtered: Vec<_> = detail
        .filtered
        .iter()
        .map(|it| format!("{} ({}): {}", it.prefix, it.side, it.explanation))
        .collect();
    sheet.several("Filtered", &filtered);
    let routes: Vec<_> = detail
        .manual_routes
        .iter()
        .map(|route| {
            let to = match &route.for_table {
                Some(table) => format!("{} for {table}", route.destination),
                None => route.destination.to_string(),
            };
            match &route.explanation {
                Some(why) => format!("{to} waits: {why}"),
                None => format!("{to} installed"),
            }
        })
        .collect();
    sheet.several("Manual routes", &routes);
    let addresses: Vec<_> = detail.virtual_addresses.iter().map(virtual_address).collect();
    sheet.several("Virtual addresses", &addresses);
    if let Some(names) = &detail.names {
        names_of(sheet, names);
    }
}

/// The names that are offered and told.
fn names_of(sheet: &mut Sheet, names: &NamesView) {
    if let Some(offered) = names.offered {
        sheet.line("Names offered", offered.to_string());
    }
    let mut lines: Vec<String> = Vec::new();
    for NameView { name, answers } in names.told.iter().take(MOST_NAMES) {
        lines.push(format!("{name}: {}", answers.join(" ")));
    }
    let more = names.told.len().saturating_sub(MOST_NAMES);
    lines.extend((more > 0).then(|| format!("{more} more")));
    sheet.several("Names told", &lines);
    let (shown, rest) = names.taken.split_at(names.taken.len().min(MOST_NAMES));
    let rest = (!rest.is_empty()).then(|| format!("{} more", rest.len()));
    let taken: Vec<String> = shown.iter().cloned().chain(rest).collect();
    sheet.several("Names taken here", &taken);
}

/// A virtual address, and how many backends it has.
fn virtual_address(it: &VirtualAddressView) -> String {
    let protocol = it.protocol.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    format!("{}{protocol}: {}", it.address, count(it.backends.len(), "backend"))
}

/// The traffic filters of both sides together.
fn traffic_of(sheet: &mut Sheet, traffic: &TrafficView) {
    let rules = |rules: &[RuleView], closed: Option<&String>| -> Vec<String> {
        if let Some(why) = closed {
            return vec![format!("nothing: {why}")];
        }
        let line = |rule: &RuleView| {
            let by = match rule.by.as_str() {
                "local" => "this side",
                "remote" => "the other side",
                _ => "both sides",
            };
            format!("{} ({by})", rule.rule)
        };
        rules.iter().map(line).collect()
    };
    sheet.several("May open here", &rules(&traffic.inward, traffic.in_closed.as_ref()));
    sheet.several("May open there", &rules(&traffic.outward, traffic.out_closed.as_ref()));
    sheet.several("Not exact", &traffic.inexact);
}

/// Which side leaves by the gateway of the other one.
fn gateway_of(sheet: &mut Sheet, gateway: &GatewayView) {
    let title = if gateway.of == "local" { "Leaves by this side" } else { "Leaves by that side" };
    match &gateway.destinations {
        None => sheet.line(title, "everything that is not reached otherwise"),
        Some(prefixes) => sheet.several(title, prefixes),
    }
    let line = |TranslatedView { from, to }: &TranslatedView| format!("{from} as {to}");
    sheet.several("Translated", &gateway.translated.iter().map(line).collect::<Vec<_>>());
}

/// What each side reaches through the other one.
fn through_of(sheet: &mut Sheet, through: &ThroughView) {
    sheet.several("Reached through that side", &through.reached);
    let chain = |ChainView { by, network, from, to }: &ChainView| {
        let list = |items: &[String]| items.join(", ");
        let texts =
            |prefixes: &[IpNet]| list(&prefixes.iter().map(IpNet::to_string).collect::<Vec<_>>());
        let by = list(&by.iter().map(ToString::to_string).collect::<Vec<_>>());
        let of = network.as_ref().map_or("behind it".to_owned(), |it| format!("of {it}"));
        format!("{} <-> {} {of} through {by}", texts(from), texts(to))
    };
    sheet.several("Appliances lead", &through.chains.iter().map(chain).collect::<Vec<_>>());
    sheet.optional("Note", through.hint.as_ref());
}

/// What the rows are for, each meaning once.
fn meanings(detail: &HalfDetail) -> Vec<String> {
    let mut meanings: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &detail.rows {
        *meanings.entry(&row.means).or_default() += 1;
    }
    let line = |(meaning, rows): (&str, usize)| match rows {
        1 => meaning.to_owned(),
        rows => format!("{meaning} ({})", count(rows, "row")),
    };
    meanings.into_iter().map(line).collect()
}

/// Which guests must renew to get the present routes.
fn guests(sheet: &mut Sheet, detail: &HalfDetail, now: Timestamp) {
    let Some(guests) = &detail.guests else { return };
    let (dhcp, ra) = (count(guests.dhcp.len(), "route"), count(guests.ra.len(), "route"));
    let age = age(Some(guests.since), now);
    let since = format!("since {:.0}, {age} ago (DHCP: {dhcp}, RA: {ra})", guests.since);
    sheet.line("Guests must renew", since);
    sheet.several("Guest routes", &[&*guests.dhcp, &*guests.ra].concat());
}
