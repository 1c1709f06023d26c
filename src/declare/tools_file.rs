//! `[tools]` of `ovn-peerd.toml`.

use std::path::Path;

use toml::de::DeTable;

use super::section::{path, section};
use super::settings::ToolSettings;
use super::toml_reader::TomlReader;

pub(super) const KEYS: &[&str] = &["lxd", "incus"];

/// Reads the section, if it is there.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    top: &DeTable<'_>,
    directory: &Path,
    tools: &mut ToolSettings,
) {
    let Some(found) = section(reader, top, "tools", KEYS) else { return };
    tools.lxd = path(reader, found.value, "lxd", directory);
    tools.incus = path(reader, found.value, "incus", directory);
}
