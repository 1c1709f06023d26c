//! Tables for people. Every cell passes through [`plain`].

use std::fmt::Display;

use jiff::Timestamp;

use super::table::{Cell, Kind, Table};
use super::text::{age, moment, plain, wrap};
use crate::control::{Confirmed, Reloaded};
use crate::declare::Terms;
use crate::view::{
    HalfDetail, HeldView, HostView, PlanView, PlannedAction, PlannedPrefix, StatusView,
};

/// `show`.
pub(super) fn half(detail: &HalfDetail, width: Option<usize>, now: Timestamp) -> String {
    let half = &detail.half;
    let mut sheet = Sheet::new();
    sheet.line("Half", format!("{}/{}/{}", half.project, half.network, half.name));
    sheet.line("Target", format!("{}/{}", half.target_project, half.target_network));
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
    sheet.optional("Declared in", detail.file.as_ref());
    sheet.line("Router", detail.router.as_deref().unwrap_or("none is bound to this network"));
    sheet.several("Local prefixes", &detail.local_prefixes);
    sheet.several("Remote prefixes", &detail.remote_prefixes);
    terms(&mut sheet, detail);
    guests(&mut sheet, detail, now);
    let sets: Vec<_> = detail.address_sets.iter().map(|name| format!("${name}")).collect();
    sheet.several("Address sets", &sets);
    let mut text = sheet.into_text(width);
    if !detail.rows.is_empty() {
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

/// Terms and limits of the prefixes that cross the peering, if any.
fn terms(sheet: &mut Sheet, detail: &HalfDetail) {
    for (title, value) in Terms::unusual(&detail.terms) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        sheet.line(title, text);
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
}

/// Which guests must renew to get the present routes.
fn guests(sheet: &mut Sheet, detail: &HalfDetail, now: Timestamp) {
    let Some(guests) = &detail.guests else { return };
    let count = |means: &str, prefixes: &[ipnet::IpNet]| match prefixes.len() {
        1 => format!("{means}: 1 route"),
        count => format!("{means}: {count} routes"),
    };
    let (dhcp, ra) = (count("DHCP", &guests.dhcp), count("RA", &guests.ra));
    let age = age(Some(guests.since), now);
    let since = format!("since {:.0}, {age} ago ({dhcp}, {ra})", guests.since);
    sheet.line("Guests must renew", since);
    sheet.several("Guest routes", &[&*guests.dhcp, &*guests.ra].concat());
}

/// `status`.
pub(super) fn status(status: &StatusView, width: Option<usize>, now: Timestamp) -> String {
    let northbound = &status.northbound;
    let mut sheet = Sheet::new();
    sheet.line("Version", &status.version);
    sheet.line("Host", &status.host);
    sheet.line("Northbound", northbound.remote.as_deref().unwrap_or("not connected"));
    sheet.line("Read in full", if northbound.synced { "yes" } else { "no" });
    let role = match status.newer_version {
        None if northbound.active => "active: holds the lock and writes".to_owned(),
        None => "standby".to_owned(),
        Some(version) => format!(
            "writes nothing: a newer ovn-peerd (format {version}) has written; upgrade this host"
        ),
    };
    sheet.line("Role", role);
    sheet.optional("Last heard", northbound.heard_seconds_ago.map(|ago| format!("{ago} s ago")));
    sheet.optional("Last error", northbound.error.as_ref());
    if let Some(certificates) = &northbound.certificates {
        sheet.optional("Certificate until", certificates.expires);
        sheet.optional("Server's until", certificates.server_expires);
        sheet.several("Expires soon", &certificates.warnings);
        sheet.optional("New certificates", certificates.problem.as_ref());
    }
    if let Some(refusal) = &northbound.refusal {
        let (times, since) = (refusal.times, moment(Some(refusal.since), now));
        sheet.line("Refused", format!("{} ({times} times, since {since})", refusal.error));
    }
    sheet.optional("Restored", northbound.older.as_ref());
    sheet.optional("Schema", northbound.schema.as_ref());
    sheet.optional("nb_cfg", northbound.nb_cfg);
    sheet.optional("sb_cfg", northbound.sb_cfg);
    let halves: Vec<_> =
        status.halves.iter().map(|(state, count)| format!("{count} {state}")).collect();
    sheet.line("Halves", if halves.is_empty() { "none".to_owned() } else { halves.join(", ") });
    sheet.line("Transactions", status.counters.transactions);
    sheet.line("Transactions failed", status.counters.transactions_failed);
    sheet.line("Drift repaired", status.counters.drift_repaired);
    sheet.several("Waiting", &status.damped);
    let in_use = "another ovn-peerd declares by this host's name (host-name-in-use); this one writes nothing";
    sheet.several(
        "Host name",
        &status.host_name_in_use.then(|| in_use.to_owned()).into_iter().collect::<Vec<_>>(),
    );
    sheet.several("Other hosts", &status.host_problems);
    sheet.optional("", more_of(status.more_host_problems));
    let more = |more, command| {
        more_of(more).map(|text| format!("{text}; `ovn-peerctl {command}` lists them"))
    };
    sheet.several("Held withdrawals", &status.held);
    sheet.optional("", more(status.more_held, "confirm"));
    sheet.several("Diagnostics", &status.diagnostics);
    sheet.optional("", more(status.more_diagnostics, "diagnostics"));
    let mut text = sheet.into_text(width);
    if let Some(seen) = &status.held_seen {
        text.push_str(&format!(
            "\n`ovn-peerctl confirm {}` releases exactly these withdrawals;\n\
             `ovn-peerctl confirm` lists them, and how to release them by project.\n",
            plain(seen)
        ));
    }
    text
}

/// `diagnostics`.
pub(super) fn diagnostics(diagnostics: &[String]) -> String {
    let mut text = String::new();
    listing(&mut text, "Problems in the settings and the declarations:", diagnostics);
    if text.is_empty() { plain("Nothing is wrong with the files.") } else { text }
}

/// `host list`.
pub(super) fn hosts(hosts: &[HostView], width: Option<usize>) -> String {
    let mut table = Table::new([
        ("HOST", Kind::Name),
        ("HALVES", Kind::Number),
        ("NETWORKS", Kind::Number),
        ("", Kind::Word),
    ]);
    for host in hosts {
        let own = if host.own { "this host" } else { "" };
        let (halves, networks) = (host.halves.to_string(), host.networks.to_string());
        table.row([&host.name, &halves, &networks, own].map(Cell::new));
    }
    table.lines(true, width)
}

/// `host forget`.
pub(super) fn forgotten(host: &HostView) -> String {
    let (halves, networks) = (host.halves, host.networks);
    plain(&format!("Forgetting {}: {halves} halves, {networks} bindings of networks.", host.name))
}

/// `plan`.
pub(super) fn plan(plan: &PlanView) -> String {
    let mut text = String::new();
    let mut changes = Table::new(["", "", "", ""].map(|heading| (heading, Kind::Word)));
    for planned in &plan.rows {
        let sign = match planned.action {
            PlannedAction::Insert => "+",
            PlannedAction::Update => "~",
            PlannedAction::Delete => "-",
        };
        let uuid = planned.row.uuid.clone().unwrap_or_default();
        changes.row([sign, &planned.row.table, &planned.row.summary, &uuid].map(Cell::new));
    }
    text.push_str(&changes.lines(false, None));
    prefixes(&mut text, "Prefixes gained:", "+", &plan.gained);
    prefixes(&mut text, "Prefixes lost:", "-", &plan.lost);
    listing(
        &mut text,
        "Held until `ovn-peerctl confirm`, because they are too many at once:",
        &plan.held,
    );
    listing(&mut text, "Problems in the declarations:", &plan.diagnostics);
    let count = |action| plan.rows.iter().filter(|row| row.action == action).count();
    let (inserted, updated, deleted) =
        (count(PlannedAction::Insert), count(PlannedAction::Update), count(PlannedAction::Delete));
    if !text.is_empty() {
        text.push('\n');
    }
    if plan.is_empty() {
        text.push_str("Nothing would change.\n");
    } else {
        text.push_str(&format!(
            "Rows: {inserted} to insert, {updated} to update, {deleted} to delete. \
             Withdrawals held: {}.\n",
            plan.held.len()
        ));
    }
    text
}

/// A line for further entries, if there are any.
fn more_of(more: usize) -> Option<String> {
    (more > 0).then(|| format!("and {more} more"))
}

fn with_more(entries: &[String], more: usize) -> Vec<String> {
    entries.iter().cloned().chain(more_of(more)).collect()
}

/// `confirm` without a word.
pub(super) fn held(held: &HeldView, width: Option<usize>) -> String {
    if held.halves == 0 {
        return "No withdrawal is held.".to_owned();
    }
    let mut text = String::new();
    listing(&mut text, "Held, because they are too many at once:", &held.withdrawals);
    // A command is never cut: it is to be copied.
    let mut table = Table::new([
        ("PROJECT", Kind::Name),
        ("WITHDRAWALS", Kind::Number),
        ("TO RELEASE THEM", Kind::Word),
    ]);
    for part in &held.projects {
        let command = format!("ovn-peerctl confirm --project {} {}", part.project, part.seen);
        table.row([&part.project, &part.halves.to_string(), &command].map(|it| Cell::new(it)));
    }
    if held.projects.len() > 1 {
        let command = format!("ovn-peerctl confirm {}", held.seen);
        table.row(["all", &held.halves.to_string(), &command].map(Cell::new));
    }
    format!("{text}\n{}", table.lines(true, width))
}

/// `reload`.
pub(super) fn reloaded(reloaded: &Reloaded) -> String {
    let mut text = format!("Read again: {} halves are declared.\n", reloaded.halves);
    listing(
        &mut text,
        "Changes in these settings take effect with a restart of ovn-peerd:",
        &reloaded.restart,
    );
    let held = with_more(&reloaded.held, reloaded.more_held);
    listing(
        &mut text,
        "Held until `ovn-peerctl confirm`, because they are too many at once:",
        &held,
    );
    let diagnostics = with_more(&reloaded.diagnostics, reloaded.more_diagnostics);
    listing(&mut text, "Problems in the settings and the declarations:", &diagnostics);
    text
}

/// `confirm` with the word.
pub(super) fn confirmed(confirmed: &Confirmed) -> String {
    let mut text = String::new();
    listing(&mut text, "Released:", &confirmed.released);
    text
}

fn prefixes(text: &mut String, title: &str, sign: &str, prefixes: &[PlannedPrefix]) {
    let lines: Vec<_> = prefixes
        .iter()
        .map(|planned| format!("{sign} {}  {}", planned.router, planned.prefix))
        .collect();
    listing(text, title, &lines);
}

fn listing(text: &mut String, title: &str, entries: &[impl Display]) {
    if entries.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(title);
    text.push('\n');
    for entry in entries {
        // Entries may have several lines, as diagnostics do.
        let entry = plain(&entry.to_string()).replace('\n', "\n  ");
        text.push_str(&format!("  {}\n", entry.trim_end()));
    }
}

/// Labelled lines.
struct Sheet(Vec<(&'static str, String)>);

impl Sheet {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn line(&mut self, label: &'static str, value: impl Display) {
        self.0.push((label, plain(&value.to_string())));
    }

    fn optional(&mut self, label: &'static str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.line(label, value);
        }
    }

    /// One line each; the label is on the first.
    fn several(&mut self, label: &'static str, values: &[impl Display]) {
        for (index, value) in values.iter().enumerate() {
            self.line(if index == 0 { label } else { "" }, value);
        }
    }

    /// Its lines, none wider than `width`.
    fn into_text(self, width: Option<usize>) -> String {
        let labels = self.0.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
        let room = width.map(|width| width.saturating_sub(labels + 2));
        let mut text = String::new();
        for (label, value) in &self.0 {
            let mut label = *label;
            for line in wrap(value, room) {
                text.push_str(format!("{label:labels$}  {line}").trim_end());
                text.push('\n');
                label = "";
            }
        }
        text
    }
}
