//! Sections of `ovn-peerd.toml`, and paths in them.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::toml_reader::{Found, TomlReader};

/// A section, whose unknown keys are noted.
pub(super) fn section<'d, 'i>(
    reader: &mut TomlReader<'_>,
    top: &'d DeTable<'i>,
    key: &str,
    known: &[&str],
) -> Option<Found<&'d DeTable<'i>>> {
    let found = reader.section(top, key, &format!("[{key}] on a line of its own"))?;
    reader.refuse_unknown(found.value, &format!("[{key}]"), known, &[]);
    Some(found)
}

/// A path, relative to the file's directory.
pub(super) fn path(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
    directory: &Path,
) -> Option<PathBuf> {
    let found = reader.string(table, key)?;
    if found.value.is_empty() {
        reader.error(&found.span, format!("`{key}` is an empty path"), None);
        return None;
    }
    Some(directory.join(found.value))
}
