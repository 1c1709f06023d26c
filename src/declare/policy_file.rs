//! `[policy]` of `ovn-peerd.toml`.

use jiff::SignedDuration;
use toml::de::DeTable;

use super::settings::{
    AddressSpace, AutoAccept, Filters, MaxWithdrawals, PolicySettings, ShowRequests,
};
use super::toml_reader::{Found, TomlReader, times};

pub(super) const KEYS: &[&str] = &[
    "max_withdrawals",
    "auto_accept",
    "request_expiry",
    "history",
    "address_space",
    "require_workload",
    "max_mesh_depth",
    "max_halves_per_network",
    "max_halves_per_project",
    "max_rejections_per_project",
    "show_requests",
    "filters",
];
pub(super) const MAX_WITHDRAWALS_KEYS: &[&str] = &["halves", "percent"];
/// ovn-controller follows at most this many datapaths.
const DEEPEST_MESH: u32 = 100;
/// The word for no time limit.
const NEVER: &str = "never";

/// Reads the section, if it is there. A key with a fault keeps its default.
pub(super) fn read(reader: &mut TomlReader<'_>, top: &DeTable<'_>, policy: &mut PolicySettings) {
    let Some(found) = reader.section(top, "policy", "[policy] on a line of its own") else {
        return;
    };
    let table = found.value;
    reader.refuse_unknown(table, "[policy]", KEYS, &[]);
    max_withdrawals(reader, table, policy);
    let words = [("never", AutoAccept::Never), ("same-project", AutoAccept::SameProject)];
    policy.auto_accept = word(reader, table, "auto_accept", &words).unwrap_or(policy.auto_accept);
    let words = [("follow", AddressSpace::Follow), ("freeze", AddressSpace::Freeze)];
    policy.address_space =
        word(reader, table, "address_space", &words).unwrap_or(policy.address_space);
    let words = [("targets", ShowRequests::Targets), ("operators", ShowRequests::Operators)];
    policy.show_requests =
        word(reader, table, "show_requests", &words).unwrap_or(policy.show_requests);
    let words = [("open", Filters::Open), ("closed", Filters::Closed)];
    policy.filters = word(reader, table, "filters", &words).unwrap_or(policy.filters);
    if let Some(required) = reader.boolean(table, "require_workload") {
        policy.require_workload = required;
    }
    policy.request_expiry = request_expiry(reader, table, policy.request_expiry);
    if let Some(history) = times::duration(reader, table, "history") {
        policy.history = history.value;
    }
    if let Some(depth) = reader.number(table, "max_mesh_depth", DEEPEST_MESH) {
        policy.max_mesh_depth = depth;
    }
    let quotas = &mut policy.quotas;
    quotas.per_network = quota(reader, table, "max_halves_per_network").or(quotas.per_network);
    quotas.per_project = quota(reader, table, "max_halves_per_project").or(quotas.per_project);
    quotas.rejections_per_project =
        quota(reader, table, "max_rejections_per_project").or(quotas.rejections_per_project);
}

fn max_withdrawals(reader: &mut TomlReader<'_>, table: &DeTable<'_>, policy: &mut PolicySettings) {
    const EXAMPLE: &str = "max_withdrawals = { halves = 10, percent = 50 }";
    let Some(limit) = reader.section(table, "max_withdrawals", EXAMPLE) else { return };
    reader.refuse_unknown(limit.value, "max_withdrawals", MAX_WITHDRAWALS_KEYS, &[]);
    let default = MaxWithdrawals::default();
    let halves = reader.number(limit.value, "halves", u32::MAX);
    let percent = reader.number(limit.value, "percent", 100);
    policy.max_withdrawals = MaxWithdrawals {
        halves: halves.unwrap_or(default.halves),
        percent: percent.unwrap_or(default.percent),
    };
}

/// `None` for never; 0 means the same, because a request that expires at once would be useless.
fn request_expiry(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    default: Option<SignedDuration>,
) -> Option<SignedDuration> {
    let written = table.get("request_expiry").and_then(|value| value.get_ref().as_str());
    if written == Some(NEVER) {
        return None;
    }
    match times::duration(reader, table, "request_expiry") {
        Some(Found { value, .. }) => (!value.is_zero()).then_some(value),
        None => default,
    }
}

fn quota(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> Option<u32> {
    reader.number(table, key, u32::MAX)
}

/// One of some words.
pub(super) fn word<T: Copy>(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
    words: &[(&str, T)],
) -> Option<T> {
    let found = reader.string(table, key)?;
    let meant = words.iter().find(|(word, _)| *word == found.value).map(|(_, meaning)| *meaning);
    if meant.is_none() {
        let known: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        reader.error(
            &found.span,
            format!("`{key}` is \"{}\"", found.value.escape_debug()),
            Some(format!("write {}", known.join(" or "))),
        );
    }
    meant
}
