//! Tables for people. Every cell passes through [`plain`].

use std::fmt::Display;

use jiff::Timestamp;

use super::format::Records;
use super::sheet::Sheet;
use super::table::{Cell, Kind, Table};
use super::text::{count, moment, plain, wrap};
use super::why_words;
use crate::control::{Confirmed, Reloaded};
use crate::view::{Diagnostic, DiagnosticsView, HeldView, HostView, StatusView, VerifyView};

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
    let taken = status.counters.links_taken_over;
    sheet.optional("Links taken over", (taken > 0).then_some(taken));
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
pub(super) fn diagnostics(found: &DiagnosticsView, width: Option<usize>) -> String {
    let mut text = String::new();
    let more = more_of(found.more_diagnostics);
    let more = more.map(|more| format!("{more}: correct these first, then look again"));
    let texts = found.diagnostics.iter().map(ToString::to_string).chain(more).collect::<Vec<_>>();
    listing(&mut text, "Problems in the settings and the declarations:", &texts, width);
    if text.is_empty() { "Nothing is wrong with the files.".to_owned() } else { text }
}

/// `diagnostics` for spreadsheets.
pub(super) fn diagnostic_records(found: &DiagnosticsView) -> Records {
    let record = |it: &Diagnostic| {
        let (line, column) =
            it.position.map(|it| (it.line.to_string(), it.column.to_string())).unwrap_or_default();
        let severity = it.severity.to_string();
        let hint = it.hint.clone().unwrap_or_default();
        vec![
            it.file.to_string(),
            line,
            column,
            severity,
            it.code.to_string(),
            it.message.clone(),
            hint,
        ]
    };
    let headings = ["file", "line", "column", "severity", "code", "message", "hint"];
    Records {
        headings: Some(headings.map(str::to_owned).to_vec()),
        records: found.diagnostics.iter().map(record).collect(),
    }
}

/// `verify`.
pub(super) fn verified(found: &VerifyView, width: Option<usize>) -> String {
    wrap(&plain(&why_words::verified(found)), width).join("\n")
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

/// `host list` for spreadsheets.
pub(super) fn host_records(hosts: &[HostView]) -> Records {
    let record = |host: &HostView| {
        let (halves, networks) = (host.halves.to_string(), host.networks.to_string());
        vec![host.name.clone(), halves, networks, host.own.to_string()]
    };
    Records {
        headings: Some(["name", "halves", "networks", "own"].map(str::to_owned).to_vec()),
        records: hosts.iter().map(record).collect(),
    }
}

/// `host forget`.
pub(super) fn forgotten(host: &HostView) -> String {
    let halves = count(host.halves, "half");
    let networks = count(host.networks, "bound network");
    plain(&format!("Forgetting {}: {halves}, {networks}.", host.name))
}

/// A line for further entries, if there are any.
fn more_of(more: usize) -> Option<String> {
    (more > 0).then(|| format!("and {more} more"))
}

fn with_more(entries: &[impl ToString], more: usize) -> Vec<String> {
    entries.iter().map(ToString::to_string).chain(more_of(more)).collect()
}

/// `confirm` without a word.
pub(super) fn held(held: &HeldView, width: Option<usize>) -> String {
    if held.halves == 0 {
        return "No withdrawal is held.".to_owned();
    }
    let mut text = String::new();
    listing(&mut text, "Held, because they are too many at once:", &held.withdrawals, width);
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
pub(super) fn reloaded(reloaded: &Reloaded, width: Option<usize>) -> String {
    let verb = if reloaded.halves == 1 { "is" } else { "are" };
    let mut text = format!("Read again: {} {verb} declared.\n", count(reloaded.halves, "half"));
    listing(
        &mut text,
        "Changes in these settings take effect with a restart of ovn-peerd:",
        &reloaded.restart,
        width,
    );
    let held = with_more(&reloaded.held, reloaded.more_held);
    listing(
        &mut text,
        "Held until `ovn-peerctl confirm`, because they are too many at once:",
        &held,
        width,
    );
    let diagnostics = with_more(&reloaded.diagnostics, reloaded.more_diagnostics);
    listing(&mut text, "Problems in the settings and the declarations:", &diagnostics, width);
    text
}

/// `confirm` with the word.
pub(super) fn confirmed(confirmed: &Confirmed, width: Option<usize>) -> String {
    let mut text = String::new();
    listing(&mut text, "Released:", &confirmed.released, width);
    text
}

/// A title, and a line or more for each entry; nothing without entries.
pub(super) fn listing(
    text: &mut String,
    title: &str,
    entries: &[impl Display],
    width: Option<usize>,
) {
    if entries.is_empty() {
        return;
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&wrap(title, width).join("\n"));
    text.push('\n');
    for entry in entries {
        // Entries may have several lines, as diagnostics do.
        let room = width.map(|width| width.saturating_sub(2));
        for line in wrap(plain(&entry.to_string()).trim_end(), room) {
            text.push_str(format!("  {line}").trim_end());
            text.push('\n');
        }
    }
}

/// A line; what does not fit into the width follows, indented.
pub(super) fn with_lines(line: &str, width: Option<usize>, indent: usize) -> String {
    let room = width.map(|width| width.saturating_sub(indent));
    let mut text = String::new();
    for (number, part) in wrap(line, room).iter().enumerate() {
        let indent = if number == 0 { 0 } else { indent };
        text.push_str(&format!("{:indent$}{part}\n", ""));
    }
    text
}
