//! `[metrics]` of `ovn-peerd.toml`.

use std::path::Path;

use toml::de::DeTable;

use super::listen_keys;
use super::policy_file::word;
use super::settings::{MetricsSettings, PerHalf};
use super::toml_reader::TomlReader;

/// Those of a section that listens, and those of its own.
pub(super) fn keys() -> Vec<&'static str> {
    [&listen_keys::KEYS[..], &["per_half"]].concat()
}

/// Reads the section, if it is there. A key with a fault keeps its default.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    top: &DeTable<'_>,
    directory: &Path,
    metrics: &mut MetricsSettings,
) {
    let Some(found) = reader.section(top, "metrics", "[metrics] on a line of its own") else {
        return;
    };
    reader.refuse_unknown(found.value, "[metrics]", &keys(), &[]);
    metrics.listener = listen_keys::read(reader, &found, "[metrics]", directory);
    let words = [("all", PerHalf::All), ("troubled", PerHalf::Troubled)];
    metrics.per_half = word(reader, found.value, "per_half", &words).unwrap_or(metrics.per_half);
}
