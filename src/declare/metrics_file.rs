//! `[metrics]` of `ovn-peerd.toml`.

use std::net::SocketAddr;

use toml::de::DeTable;

use super::policy_file::word;
use super::settings::{MetricsSettings, PerHalf};
use super::toml_reader::{Found, TomlReader};

pub(super) const KEYS: &[&str] = &["listen", "per_half"];

/// Reads the section, if it is there. A key with a fault keeps its default.
pub(super) fn read(reader: &mut TomlReader<'_>, top: &DeTable<'_>, metrics: &mut MetricsSettings) {
    let Some(found) = reader.section(top, "metrics", "[metrics] on a line of its own") else {
        return;
    };
    let table = found.value;
    reader.refuse_unknown(table, "[metrics]", KEYS, &[]);
    let words = [("all", PerHalf::All), ("troubled", PerHalf::Troubled)];
    metrics.per_half = word(reader, table, "per_half", &words).unwrap_or(metrics.per_half);
    let listed = reader.strings(table, "listen").unwrap_or_default();
    metrics.listen = listed.iter().filter_map(|found| address(reader, found)).collect();
}

fn address(reader: &mut TomlReader<'_>, found: &Found<&str>) -> Option<SocketAddr> {
    let address = found.value.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    if address.is_none() {
        reader.error(
            &found.span,
            format!("\"{}\" is not an address with a port", found.value.escape_debug()),
            Some("write \"127.0.0.1:9753\" or \"[::1]:9753\"; \"[::]:9753\" for all".to_owned()),
        );
    }
    address
}
