//! Reads a list of a traffic filter: an array of tables.

use ipnet::IpNet;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::traffic::{Action, Entry, IcmpType, Nets, Ports, Protocol};

use super::super::toml_reader::{Found, TomlReader};
use super::traffic_list::TrafficList;

pub(in crate::declare) const ENTRY_KEYS: &[&str] =
    &["action", "protocol", "ports", "types", "remote", "local"];

/// Most entries of one list: a half's record in the northbound contains them.
const MAX_ENTRIES: usize = 256;

/// The list under this key.
pub(super) fn read(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> TrafficList {
    let Some(value) = table.get(key) else { return TrafficList(None) };
    let Some(array) = value.get_ref().as_array() else {
        let hint = format!("write {key} = [{{ protocol = \"tcp\", ports = [443] }}]");
        reader.mistyped(key, "an array of entries", value, Some(hint));
        return TrafficList(None);
    };
    if array.len() > MAX_ENTRIES {
        reader.over_limit(
            &value.span(),
            format!("`{key}` has {} entries; at most {MAX_ENTRIES} are allowed", array.len()),
            Some("name several ports or prefixes in one entry".to_owned()),
        );
        return TrafficList(None);
    }
    let entries = array.iter().filter_map(|value| entry(reader, key, value));
    TrafficList(Some(entries.collect()))
}

fn entry(reader: &mut TomlReader<'_>, key: &str, value: &Spanned<DeValue<'_>>) -> Option<Entry> {
    let Some(table) = value.get_ref().as_table() else {
        let hint = "write { protocol = \"tcp\", ports = [443] }; {} matches everything".to_owned();
        reader.mistyped(key, "made of tables", value, Some(hint));
        return None;
    };
    reader.refuse_unknown(table, &format!("an entry of `{key}`"), ENTRY_KEYS, &[]);
    let action = action(reader, table);
    let protocol = protocol(reader, table);
    let remote = nets(reader, table, "remote");
    let local = nets(reader, table, "local");
    let entry = Entry { action: action?, protocol: protocol?, remote: remote?, local: local? };
    if let (Some(remote), Some(local)) = (entry.remote.some(), entry.local.some())
        && !remote.iter().any(|one| local.iter().any(|other| same_family(one, other)))
    {
        reader.error(
            &value.span(),
            "`remote` and `local` have no address family in common, so nothing matches",
            Some("name prefixes of the same family in both".to_owned()),
        );
        return None;
    }
    Some(entry)
}

fn same_family(one: &IpNet, other: &IpNet) -> bool {
    matches!(one, IpNet::V4(_)) == matches!(other, IpNet::V4(_))
}

fn action(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Option<Action> {
    if !table.contains_key("action") {
        return Some(Action::Allow);
    }
    let found = reader.string(table, "action")?;
    match found.value {
        "allow" => Some(Action::Allow),
        "deny" => Some(Action::Deny),
        other => {
            reader.error(
                &found.span,
                format!("`action` is \"{}\"", other.escape_debug()),
                Some("write \"allow\" or \"deny\"".to_owned()),
            );
            None
        }
    }
}

/// The protocol with its ports or types.
fn protocol(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Option<Protocol> {
    const WORDS: &str = "write \"tcp\", \"udp\", \"sctp\", \"icmp\", or a number from 0 to 255";
    let ports = ports(reader, table);
    let types = types(reader, table);
    let protocol = match table.get("protocol") {
        None => Protocol::Any,
        Some(value) if value.get_ref().as_integer().is_some() => {
            let number = reader.number(table, "protocol", u32::from(u8::MAX))?;
            let known = u8::try_from(number).ok().and_then(Protocol::of_number);
            if known.is_none() {
                let (why, hint) = match number {
                    1 | 58 => (
                        "is ICMP of one address family only",
                        "write protocol = \"icmp\", which is ICMP in IPv4 and ICMPv6 in IPv6",
                    ),
                    _ => ("is an extension header of IPv6", "write the protocol that follows it"),
                };
                let message = format!("`protocol` is {number}, which {why}");
                reader.error(&value.span(), message, Some(hint.to_owned()));
            }
            known?
        }
        Some(value) => {
            let found = reader.text("protocol", value)?;
            match found.value {
                "tcp" => Protocol::Tcp(Ports::default()),
                "udp" => Protocol::Udp(Ports::default()),
                "sctp" => Protocol::Sctp(Ports::default()),
                "icmp" => Protocol::icmp(Vec::new()),
                other => {
                    reader.error(
                        &found.span,
                        format!("`protocol` is \"{}\"", other.escape_debug()),
                        Some(WORDS.to_owned()),
                    );
                    return None;
                }
            }
        }
    };
    let (ports, types) = (ports?, types?);
    let (has_ports, has_types) = match &protocol {
        Protocol::Tcp(_) | Protocol::Udp(_) | Protocol::Sctp(_) => (true, false),
        Protocol::Icmp(_) => (false, true),
        Protocol::Any | Protocol::Number(_) => (false, false),
    };
    let written = table.contains_key("protocol").then(|| protocol.to_string());
    if !has_ports {
        refuse(reader, table, "ports", "\"tcp\", \"udp\" or \"sctp\"", written.as_deref())?;
    }
    if !has_types {
        refuse(reader, table, "types", "\"icmp\"", written.as_deref())?;
    }
    Some(match protocol {
        Protocol::Tcp(_) => Protocol::Tcp(ports),
        Protocol::Udp(_) => Protocol::Udp(ports),
        Protocol::Sctp(_) => Protocol::Sctp(ports),
        Protocol::Icmp(_) => Protocol::icmp(types),
        Protocol::Any | Protocol::Number(_) => protocol,
    })
}

/// Notes that a key does not fit the protocol, if it is there.
fn refuse(
    reader: &mut TomlReader<'_>,
    table: &DeTable<'_>,
    key: &str,
    fits: &str,
    protocol: Option<&str>,
) -> Option<()> {
    let Some(value) = table.get(key) else { return Some(()) };
    let message = match protocol {
        Some(protocol) => format!("`{key}` does not fit protocol {protocol}"),
        None => format!("`{key}` needs a protocol"),
    };
    let hint = format!("write protocol = {fits}, or remove `{key}`");
    reader.error(&value.span(), message, Some(hint));
    None
}

/// The ports; every port if there is no such key. An array has one at least.
fn ports(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Option<Ports> {
    const HINT: &str = "write ports = [443, \"8000-8100\"]; ports are 1 to 65535";
    let Some(value) = table.get("ports") else { return Some(Ports::default()) };
    let Some(array) = value.get_ref().as_array() else {
        reader.mistyped("ports", "an array of ports", value, Some(HINT.to_owned()));
        return None;
    };
    if array.is_empty() {
        let hint = "remove `ports` to match every port".to_owned();
        reader.error(&value.span(), "`ports` is empty, so nothing matches", Some(hint));
        return None;
    }
    let mut ranges = Vec::with_capacity(array.len());
    for item in array.iter() {
        let number = item.get_ref().as_integer().map(ToString::to_string);
        let text = number.as_deref().or(item.get_ref().as_str());
        match text.and_then(Ports::range) {
            Some(range) => ranges.push(range),
            None => {
                let shown = text.unwrap_or_default().escape_debug().to_string();
                reader.error(
                    &item.span(),
                    format!("`ports` has \"{shown}\", which is no port and no range of ports"),
                    Some(HINT.to_owned()),
                );
                return None;
            }
        }
    }
    Some(Ports::of(ranges))
}

/// The ICMP types; none for all.
fn types(reader: &mut TomlReader<'_>, table: &DeTable<'_>) -> Option<Vec<IcmpType>> {
    let Some(value) = table.get("types") else { return Some(Vec::new()) };
    let words = reader.strings(table, "types")?;
    let known = IcmpType::ALL.map(IcmpType::as_str).join(", ");
    let hint = || Some(format!("known here: {known}; errors and replies follow by themselves"));
    if words.is_empty() {
        reader.error(&value.span(), "`types` is empty, so nothing matches", hint());
        return None;
    }
    let mut types = Vec::with_capacity(words.len());
    for Found { value: word, span } in words {
        let Some(message) = IcmpType::parse(word) else {
            reader.error(&span, format!("`types` has \"{}\"", word.escape_debug()), hint());
            return None;
        };
        types.push(message);
    }
    Some(types)
}

/// The addresses under this key; all if it is not there. An array has one prefix at least.
fn nets(reader: &mut TomlReader<'_>, table: &DeTable<'_>, key: &str) -> Option<Nets> {
    let Some(value) = table.get(key) else { return Some(Nets::All) };
    if value.get_ref().as_str().is_some() {
        let hint = format!("write {key} = [\"10.2.0.0/24\"]");
        reader.mistyped(key, "an array of prefixes", value, Some(hint));
        return None;
    }
    let texts = reader.strings(table, key)?;
    if texts.is_empty() {
        let hint = format!("remove `{key}` to match every address");
        reader.error(&value.span(), format!("`{key}` is empty, so nothing matches"), Some(hint));
        return None;
    }
    let count = texts.len();
    let nets: Vec<IpNet> = texts.iter().filter_map(|text| reader.prefix(text)).collect();
    (nets.len() == count).then(|| Nets::of(nets))
}
