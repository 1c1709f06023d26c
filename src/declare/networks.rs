//! The format of `networks.d/*.toml`: which network is bound to which Logical_Router.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;
use toml::de::DeTable;

use super::contribution::Entries;
use super::model::{Network, NetworkKey, NetworkType, RouterRef, TellGuests};
use super::toml_reader::{Found, TomlReader, nearest};
use super::tool_network::{self, ToolNetwork};

pub(super) const FILE_KEYS: &[&str] = &["network"];
pub(super) const NETWORK_KEYS: &[&str] = &[
    "project",
    "name",
    "router",
    "zone",
    "region",
    "type",
    "may_export",
    "mtu",
    "tell_guests",
    "uuid",
];

/// The least MTU of IPv6 (RFC 8200 section 5), in bytes.
const MIN_MTU: u16 = 1280;

/// Most prefixes that `may_export` may list: the network's record in the northbound contains them.
const MAX_PREFIXES: usize = 256;

/// Reads one file of `networks.d`.
pub(super) fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Entries {
    reader.refuse_unknown(table, "a file of networks.d", FILE_KEYS, &[]);
    let mut entries = Entries::default();
    let mut seen = BTreeMap::new();
    for entry in reader.entries(table, "network") {
        let Some((name, network)) = network(reader, &entry) else { continue };
        let position = reader.position(&name.span);
        if let Some(first) = seen.insert(network.key.clone(), position) {
            reader.duplicate(
                &name.span,
                format!("network {} is already bound on line {}", network.key, first.line),
                Some("a network has one router; remove one of the two".to_owned()),
            );
        }
        entries.networks.push((Some(position), Arc::new(network)));
    }
    entries
}

fn network<'d>(
    reader: &mut TomlReader<'_>,
    entry: &Found<&'d DeTable<'_>>,
) -> Option<(Found<&'d str>, Network)> {
    const WHAT: &str = "[[network]]";
    reader.refuse_unknown(entry.value, WHAT, NETWORK_KEYS, &[]);
    let project = reader.name(entry, WHAT, "project", "\"blue\"");
    let name = reader.name(entry, WHAT, "name", "\"web\"");
    let router = router(reader, WHAT, entry);
    let zone = reader.optional_name(entry.value, "zone");
    let region = reader.optional_name(entry.value, "region");
    let kind = reader.optional_name(entry.value, "type");
    let may_export = prefixes(reader, entry.value, "may_export");
    let mtu = mtu(reader, entry.value);
    let tell_guests = tell_guests(reader, entry.value);
    let uuid = reader.uuid(entry.value, "uuid");
    let (project, name, (router, of)) = (project?, name?, router?);
    let network = Network {
        key: NetworkKey::new(project.value, name.value),
        router,
        of,
        zone: zone.map(|found| found.value.into()),
        region: region.map(|found| found.value.into()),
        kind: match kind {
            None => NetworkType::Private,
            Some(found) if found.value == "private" => NetworkType::Private,
            Some(found) => NetworkType::Other(found.value.into()),
        },
        may_export,
        mtu,
        tell_guests,
        uuid: uuid.map(|found| found.value),
    };
    Some((name, network))
}

/// A router by its name or its UUID, or a tool's network.
fn router(
    reader: &mut TomlReader<'_>,
    what: &str,
    entry: &Found<&DeTable<'_>>,
) -> Option<(RouterRef, Option<Arc<ToolNetwork>>)> {
    let value = entry.value.get("router");
    if let Some((value, table)) = value.and_then(|it| Some((it, it.get_ref().as_table()?))) {
        let found = Found { value: table, span: value.span() };
        let of = Arc::new(tool_network::read(reader, "router", &found)?);
        return Some((RouterRef::Tool(Arc::clone(&of)), Some(of)));
    }
    let router = reader.name(entry, what, "router", "\"blue-web-lr\" (a Logical_Router)")?;
    Some((RouterRef::named(router.value), None))
}

fn tell_guests(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> TellGuests {
    let mut tell = TellGuests::default();
    for found in reader.strings(table, "tell_guests").unwrap_or_default() {
        if let Some(more) = tell.and(found.value) {
            tell = more;
            continue;
        }
        let hint = match nearest(&found.value.to_lowercase(), TellGuests::WORDS.into_iter()) {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => "write \"dhcp\" for DHCP options, \"ra\" for router advertisements".to_owned(),
        };
        reader.error(
            &found.span,
            format!("`tell_guests` has \"{}\"", found.value.escape_debug()),
            Some(hint),
        );
    }
    tell
}

fn mtu(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Option<u16> {
    let range = MIN_MTU.into()..=u16::MAX.into();
    let hint = "write the MTU of the guests' interfaces, in bytes; IPv6 needs 1280";
    let mtu = reader.number_in(table, "mtu", range, Some(hint))?;
    u16::try_from(mtu).ok()
}

fn prefixes(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> Vec<IpNet> {
    let written = reader.strings(table, key).unwrap_or_default();
    let prefixes: Vec<IpNet> = written.iter().filter_map(|text| reader.prefix(text)).collect();
    if prefixes.len() > MAX_PREFIXES
        && let Some(value) = table.get(key)
    {
        reader.over_limit(
            &value.span(),
            format!("`{key}` has {} prefixes; at most {MAX_PREFIXES} are allowed", prefixes.len()),
            Some("write shorter prefixes that cover several".to_owned()),
        );
    }
    prefixes
}
