//! The format of `peerings.d/*.toml`: one project's halves and rejections.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::appliances_file;
use super::contribution::Entries;
use super::diagnostic::Position;
use super::limits::MAX_HALVES;
use super::model::{ConfiguredStatus, Half, HalfKey, NetworkKey};
use super::rejections;
use super::routes_file;
use super::terms::Terms;
use super::toml_reader::{Found, Refused, TomlReader, times};

pub(super) const FILE_KEYS: &[&str] = &["project", "peering", "route", "appliance", "rejection"];
const OWN_KEYS: [&str; 10] = [
    "name",
    "network",
    "target_project",
    "target_network",
    "target_uuid",
    "uuid",
    "description",
    "configured_status",
    "config",
    "requested",
];

/// All keys of `[[peering]]`.
static PEERING_KEYS: LazyLock<Vec<&str>> =
    LazyLock::new(|| OWN_KEYS.into_iter().chain(Terms::keys()).collect());

/// All keys of `[[peering]]`: a half's own, and those of its terms.
pub fn peering_keys() -> impl Iterator<Item = &'static str> {
    PEERING_KEYS.iter().copied()
}

/// Longest description, in characters. A half's record in the northbound contains it.
const MAX_DESCRIPTION_CHARS: usize = 1024;
/// Most `config` of one half, keys and values together, in bytes, for the same reason.
pub const MAX_CONFIG_BYTES: usize = 4096;

const PEERING_REFUSED: &[Refused] = &[
    // LXD's page lists `ports` as "Network forward port list"; it does nothing there.
    Refused {
        key: "ports",
        message: "`ports` is not a key of a peering: LXD documents it for network peers as a \
                  \"network forward port list\", where it does nothing",
        hint: "remove it; to choose ports, write in = [{ protocol = \"tcp\", ports = [443] }], and \
               `out` likewise",
    },
    Refused {
        key: "status",
        message: "`status` is reported, not declared",
        hint: "use configured_status = \"disabled\" to take a half down; `ovn-peerctl list` \
               shows the status",
    },
    Refused {
        key: "enabled",
        message: "`enabled` is not a key of a peering",
        hint: "write configured_status = \"disabled\" to take a half down",
    },
    Refused {
        key: "target",
        message: "a target is named by two keys",
        hint: "write target_project = \"..\" and target_network = \"..\"",
    },
    Refused {
        key: "project",
        message: "`project` belongs at the top of the file, not in [[peering]]",
        hint: "one file speaks for one project: move this half to a file of its own project",
    },
];

/// Reads one file of `peerings.d`: its declarations, and its project with the position of its name.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
) -> (Entries, Option<(Arc<str>, Position)>) {
    reader.refuse_unknown(table, "a file of peerings.d", FILE_KEYS, &[]);
    if table.is_empty() {
        // Nothing but comments: its author has removed everything on purpose.
        return (Entries::default(), None);
    }
    let top = Found { value: table, span: 0..0 };
    let project = reader.name(&top, "the file", "project", "\"blue\" at its top");
    let mut halves = Halves {
        project: project.as_ref().map_or("", |found| found.value).into(),
        seen: BTreeMap::new(),
        found: Vec::new(),
    };
    for entry in reader.limited(table, "peering", MAX_HALVES) {
        halves.read(reader, &entry);
    }
    let Halves { project: named, found: mut halves, .. } = halves;
    let network = |name: &str| NetworkKey::new(Arc::clone(&named), name);
    let routes = routes_file::read(reader, table, network);
    routes_file::place(reader, routes, &mut halves);
    appliances_file::read(reader, table, network, &mut halves);
    let rejections = rejections::read(reader, table, &named, &halves);
    let spoken = project.map(|found| (named, reader.position(&found.span)));
    (Entries { networks: Vec::new(), halves, rejections }, spoken)
}

struct Halves {
    project: Arc<str>,
    /// The line of each half.
    seen: BTreeMap<HalfKey, u32>,
    found: Vec<(Option<Position>, Half)>,
}

impl Halves {
    fn read(&mut self, reader: &mut TomlReader<'_>, entry: &Found<&DeTable<'_>>) {
        const WHAT: &str = "[[peering]]";
        reader.refuse_unknown(entry.value, WHAT, &PEERING_KEYS, PEERING_REFUSED);
        let name = reader.name(entry, WHAT, "name", "\"to-db\"");
        let network = reader.name(entry, WHAT, "network", "\"web\"");
        let (target, target_place) = match target(reader, entry) {
            Some(found) => (Some(found.value), found.span),
            None => (None, entry.span.clone()),
        };
        let uuid = reader.uuid(entry.value, "uuid");
        let description = reader.bounded(entry.value, "description", MAX_DESCRIPTION_CHARS);
        let configured_status = configured_status(reader, entry.value);
        let config = config(reader, entry.value);
        let requested = times::instant(reader, entry.value, "requested");
        let terms = Terms::read(reader, entry);
        let (Some(name), Some(network), Some(target)) = (name, network, target) else {
            return;
        };
        let key =
            HalfKey::new(NetworkKey::new(Arc::clone(&self.project), network.value), name.value);
        if target == key.network {
            reader.error(
                &target_place,
                format!("network {target} is to peer with itself"),
                Some("name another network as the target".to_owned()),
            );
        }
        let position = reader.position(&name.span);
        if let Some(first) = self.seen.insert(key.clone(), position.line) {
            reader.duplicate(
                &name.span,
                format!("half {key} is already declared on line {first}"),
                Some("a name is unique in its network: rename or remove one".to_owned()),
            );
        }
        let half = Half {
            key,
            target,
            description: description.map_or_else(String::new, |found| found.value.to_owned()),
            configured_status,
            config,
            requested: requested.map(|found| found.value),
            terms,
            uuid: uuid.map(|found| found.value),
        };
        self.found.push((Some(position), half));
    }
}

/// The target: by names, or by UUID.
fn target(reader: &mut TomlReader<'_>, entry: &Found<&DeTable<'_>>) -> Option<Found<NetworkKey>> {
    const WHAT: &str = "[[peering]]";
    let Some(place) = entry.value.get("target_uuid").map(toml::Spanned::span) else {
        let project = reader.name(entry, WHAT, "target_project", "\"green\"");
        let network = reader.name(entry, WHAT, "target_network", "\"db\"");
        let (project, network) = (project?, network?);
        return Some(Found {
            value: NetworkKey::new(project.value, network.value),
            span: network.span,
        });
    };
    for key in ["target_project", "target_network"] {
        if let Some(value) = entry.value.get(key) {
            reader.error(
                &value.span(),
                format!("the target is named by `target_uuid` and by `{key}`"),
                Some("keep `target_uuid`, or `target_project` and `target_network`".to_owned()),
            );
        }
    }
    let found = reader.uuid(entry.value, "target_uuid")?;
    Some(Found { value: NetworkKey::of_uuid(found.value), span: place })
}

fn configured_status(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> ConfiguredStatus {
    let Some(found) = reader.string(table, "configured_status") else {
        return ConfiguredStatus::default();
    };
    match found.value {
        "active" => ConfiguredStatus::Active,
        "disabled" => ConfiguredStatus::Disabled,
        other => {
            reader.error(
                &found.span,
                format!("`configured_status` is \"{}\"", other.escape_debug()),
                Some("write \"active\" or \"disabled\"".to_owned()),
            );
            ConfiguredStatus::default()
        }
    }
}

/// Only `user.*`. Written `"user.ticket" = ".."` or, as TOML invites, `user.ticket = ".."`.
fn config(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> BTreeMap<String, String> {
    let mut config = BTreeMap::new();
    if let Some(found) =
        reader.section(table, "config", "config = { \"user.ticket\" = \"NET-42\" }")
    {
        for (key, value) in found.value {
            config_key(reader, &mut config, key.get_ref(), &key.span(), value);
        }
        let bytes: usize = config.iter().map(|(key, value)| key.len() + value.len()).sum();
        if bytes > MAX_CONFIG_BYTES {
            reader.over_limit(
                &found.span,
                format!("`config` has {bytes} bytes; at most {MAX_CONFIG_BYTES} are allowed"),
                Some("keep long notes elsewhere, and a reference to them here".to_owned()),
            );
        }
    }
    config
}

fn config_key(
    reader: &mut TomlReader<'_>,
    config: &mut BTreeMap<String, String>,
    key: &str,
    span: &std::ops::Range<usize>,
    value: &Spanned<DeValue<'_>>,
) {
    let nested = value.get_ref().as_table();
    if let Some(nested) = nested.filter(|_| key == "user" || key.starts_with("user.")) {
        for (inner, value) in nested {
            config_key(reader, config, &format!("{key}.{}", inner.get_ref()), &inner.span(), value);
        }
        return;
    }
    let shown = key.escape_debug();
    let is_user = key.strip_prefix("user.").is_some_and(|rest| !rest.is_empty());
    if key.contains('\0') {
        reader.error(span, "a key of `config` contains a NUL character", None);
        return;
    }
    if !is_user {
        reader.error(
            span,
            format!("`config` takes only keys that begin with \"user.\", not \"{shown}\""),
            Some("write \"user.\" and a name of your own, or remove it".to_owned()),
        );
        return;
    }
    let Some(text) = reader.text(key, value) else { return };
    if config.insert(key.to_owned(), text.value.to_owned()).is_some() {
        reader.duplicate(span, format!("`config` has \"{shown}\" twice"), None);
    }
}
