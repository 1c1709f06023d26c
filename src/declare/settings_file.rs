//! The format of `ovn-peerd.toml`.
//!
//! A key is known only if it has an effect: an option must not be ignored silently.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::api_file;
use super::diagnostic::Diagnostic;
use super::section::{path, section};
use super::settings::{OperatorEntry, ProjectPin, Settings};
use super::source::is_declaration;
use super::toml_reader::{Found, TomlReader};
use super::{metrics_file, policy_file, tools_file};

pub(super) const FILE_KEYS: &[&str] = &[
    "northbound",
    "paths",
    "control",
    "daemon",
    "policy",
    "metrics",
    "project",
    "api",
    "token",
    "tools",
];
pub(super) const NORTHBOUND_KEYS: &[&str] =
    &["remotes", "leader_only", "ca_cert", "certificate", "private_key", "verify_name"];
pub(super) const PATHS_KEYS: &[&str] = &["networks", "peerings"];
pub(super) const CONTROL_KEYS: &[&str] = &["socket", "operators"];
pub(super) const DAEMON_KEYS: &[&str] = &["host"];
pub(super) const PROJECT_KEYS: &[&str] = &["name", "owner", "files", "hosts"];

/// Longest path of a Unix socket, in bytes: `sun_path` of unix(7) without the NUL at its end.
const MAX_SOCKET_BYTES: usize = 107;

impl Settings {
    /// Reads `ovn-peerd.toml`. `path` is the file of the text: relative paths in it are relative to
    /// its directory, and diagnostics name it. A key with a fault has its default in the result.
    #[must_use]
    pub fn parse(path: &Path, text: &str) -> (Self, Vec<Diagnostic>) {
        let file: Arc<str> = path.display().to_string().into();
        let directory = path.parent().unwrap_or(Path::new(""));
        let mut settings = Self::defaults(directory);
        let (mut reader, table) = TomlReader::open(&file, text);
        let top = table.get_ref();
        reader.refuse_unknown(top, "ovn-peerd.toml", FILE_KEYS, &[]);
        northbound(&mut reader, top, directory, &mut settings);
        paths(&mut reader, top, directory, &mut settings);
        if let Some(control) = section(&mut reader, top, "control", CONTROL_KEYS) {
            set_path(&mut reader, &control, "socket", directory, &mut settings.control.socket);
            refuse_long_socket(&mut reader, &control, &settings.control.socket);
            let entries = reader.strings(control.value, "operators").unwrap_or_default();
            settings.control.operators =
                entries.iter().filter_map(|entry| operator(&mut reader, entry)).collect();
        }
        if let Some(daemon) = section(&mut reader, top, "daemon", DAEMON_KEYS) {
            let host = reader.optional_name(daemon.value, "host");
            if let Some(found) = host.as_ref().filter(|found| found.value.starts_with('@')) {
                reader.error(
                    &found.span,
                    format!("`host` is \"{}\"", found.value.escape_debug()),
                    Some("names with @ are not of hosts: choose another one".to_owned()),
                );
            }
            settings.daemon.host = host.map(|found| found.value.to_owned());
        }
        policy_file::read(&mut reader, top, &mut settings.policy);
        metrics_file::read(&mut reader, top, directory, &mut settings.metrics);
        tools_file::read(&mut reader, top, directory, &mut settings.tools);
        projects(&mut reader, top, &mut settings);
        settings.api = api_file::api(&mut reader, top, directory);
        settings.tokens = api_file::tokens(&mut reader, top);
        (settings, reader.close())
    }
}

fn northbound(
    reader: &mut TomlReader<'_>,
    top: &DeTable<'_>,
    directory: &Path,
    settings: &mut Settings,
) {
    let Some(found) = section(reader, top, "northbound", NORTHBOUND_KEYS) else { return };
    let northbound = &mut settings.northbound;
    if let Some(remotes) = reader.strings(found.value, "remotes") {
        let listed = remotes.len();
        northbound.remotes =
            remotes.iter().filter_map(|remote| self::remote(reader, remote, directory)).collect();
        if listed == 0 {
            let hint = "name at least one, such as \"unix:/run/ovn/ovnnb_db.sock\"".to_owned();
            reader.error(&found.span, "`remotes` is empty", Some(hint));
        }
    }
    if let Some(leader_only) = reader.boolean(found.value, "leader_only") {
        northbound.leader_only = leader_only;
    }
    if let Some(verify_name) = reader.boolean(found.value, "verify_name") {
        northbound.verify_name = verify_name;
    }
    northbound.ca_cert = path(reader, found.value, "ca_cert", directory);
    northbound.certificate = path(reader, found.value, "certificate", directory);
    northbound.private_key = path(reader, found.value, "private_key", directory);
    let has = |key: &str| found.value.contains_key(key);
    if northbound.remotes.iter().any(|remote| remote.starts_with("ssl:")) {
        // Both ends need a certificate: OVN's servers refuse a client without one.
        let files = [
            ("ca_cert", "\"cacert.pem\""),
            ("certificate", "\"cert.pem\""),
            ("private_key", "\"key.pem\""),
        ];
        for (key, example) in files.into_iter().filter(|(key, _)| !has(key)) {
            reader.missing(&found.span, "[northbound] with an ssl: remote", key, example);
        }
    } else if has("certificate") && !has("private_key") {
        reader.missing(
            &found.span,
            "[northbound] with `certificate`",
            "private_key",
            "\"key.pem\"",
        );
    } else if has("private_key") && !has("certificate") {
        reader.missing(
            &found.span,
            "[northbound] with `private_key`",
            "certificate",
            "\"cert.pem\"",
        );
    }
}

/// Checks a remote's form (ovsdb(7)); a relative unix path is made relative to the file.
fn remote(reader: &mut TomlReader<'_>, found: &Found<&str>, directory: &Path) -> Option<String> {
    let good = match found.value.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => {
            return Some(format!("unix:{}", directory.join(path).display()));
        }
        Some(("tcp" | "ssl", address)) => address.rsplit_once(':').is_some_and(|(host, port)| {
            let bracketed = host.starts_with('[') && host.ends_with(']') && host.len() > 2;
            let plain = !host.is_empty() && !host.contains([':', '[', ']', ' ']);
            (bracketed || plain) && port.parse::<u16>().is_ok_and(|port| port > 0)
        }),
        Some(_) | None => false,
    };
    if !good {
        reader.error(
            &found.span,
            format!("\"{}\" is not a remote of OVSDB", found.value.escape_debug()),
            Some("write unix:PATH, tcp:HOST:PORT or ssl:HOST:PORT; IPv6 as ssl:[::1]:6641".into()),
        );
    }
    good.then(|| found.value.to_owned())
}

/// A user, or a group with the prefix `%`.
fn operator(reader: &mut TomlReader<'_>, found: &Found<&str>) -> Option<OperatorEntry> {
    let group = found.value.strip_prefix('%');
    let name = group.unwrap_or(found.value);
    if name.is_empty() {
        reader.error(
            &found.span,
            format!("\"{}\" is neither a user nor a group", found.value.escape_debug()),
            Some("write \"alice\" for a user, \"%netops\" for the members of a group".to_owned()),
        );
        return None;
    }
    let name = name.to_owned();
    Some(if group.is_some() { OperatorEntry::Group(name) } else { OperatorEntry::User(name) })
}

fn paths(
    reader: &mut TomlReader<'_>,
    top: &DeTable<'_>,
    directory: &Path,
    settings: &mut Settings,
) {
    let Some(found) = section(reader, top, "paths", PATHS_KEYS) else { return };
    set_path(reader, &found, "networks", directory, &mut settings.paths.networks);
    set_path(reader, &found, "peerings", directory, &mut settings.paths.peerings);
    if settings.paths.networks == settings.paths.peerings {
        reader.error(
            &found.span,
            "`networks` and `peerings` are the same directory",
            Some("keep them apart: who may write peerings must not bind networks".to_owned()),
        );
    }
}

fn projects(reader: &mut TomlReader<'_>, top: &DeTable<'_>, settings: &mut Settings) {
    const WHAT: &str = "[[project]]";
    let mut seen = BTreeMap::new();
    let mut bound = BTreeMap::new();
    for entry in reader.entries(top, "project") {
        reader.refuse_unknown(entry.value, WHAT, PROJECT_KEYS, &[]);
        let name = reader.name(&entry, WHAT, "name", "\"blue\"");
        let owner = reader.name(&entry, WHAT, "owner", "\"alice\" (a Unix account)");
        let files = reader.strings(entry.value, "files");
        if files.as_ref().is_some_and(Vec::is_empty) {
            let hint = "name the files that may speak for it, or remove `files`".to_owned();
            reader.error(&entry.span, "`files` is empty, so no file may speak", Some(hint));
        }
        let files: Vec<String> = (files.unwrap_or_default().iter())
            .filter_map(|found| file_name(reader, found, &mut bound))
            .collect();
        let hosts = reader.strings(entry.value, "hosts");
        if hosts.as_ref().is_some_and(Vec::is_empty) {
            let hint = "name the hosts that may declare for it, as `[daemon] host` does there, or \
                        remove `hosts`";
            reader.error(
                &entry.span,
                "`hosts` is empty, so no host may declare",
                Some(hint.to_owned()),
            );
        }
        let hosts = hosts.unwrap_or_default();
        let hosts = hosts.iter().map(|host| host.value.to_owned()).collect();
        let (Some(name), Some(owner)) = (name, owner) else { continue };
        let line = reader.position(&name.span).line;
        if let Some(first) = seen.insert(name.value, line) {
            let message = format!("project {} is already pinned on line {first}", name.value);
            reader.duplicate(&name.span, message, Some("a project has one owner".to_owned()));
        }
        let (name, owner) = (name.value.to_owned(), owner.value.to_owned());
        settings.projects.push(ProjectPin { name, owner, files, hosts });
    }
}

/// The name of a file of `peerings.d`; only one project may name it.
fn file_name(
    reader: &mut TomlReader<'_>,
    found: &Found<&str>,
    bound: &mut BTreeMap<String, u32>,
) -> Option<String> {
    let name = found.value;
    if !is_declaration(name) || name.contains('/') {
        reader.error(
            &found.span,
            format!("\"{}\" is not the name of a file that the daemon reads", name.escape_debug()),
            Some("write a name in peerings.d, such as \"blue.toml\"".to_owned()),
        );
        return None;
    }
    let line = reader.position(&found.span).line;
    if let Some(first) = bound.insert(name.to_owned(), line) {
        let message = format!("{name} is already some project's on line {first}");
        reader.duplicate(&found.span, message, Some("a file speaks for one project".to_owned()));
        return None;
    }
    Some(name.to_owned())
}

fn refuse_long_socket(reader: &mut TomlReader<'_>, control: &Found<&DeTable<'_>>, socket: &Path) {
    let (length, value) = (socket.as_os_str().len(), control.value.get("socket"));
    if let (true, Some(value)) = (length > MAX_SOCKET_BYTES, value) {
        reader.error(
            &value.span(),
            format!(
                "`socket` is a path of {length} bytes; that of a Unix socket has {MAX_SOCKET_BYTES} \
                 at the most"
            ),
            Some("choose a shorter one, such as /run/ovn-peerd/control.sock".to_owned()),
        );
    }
}

fn set_path(
    reader: &mut TomlReader<'_>,
    found: &Found<&DeTable<'_>>,
    key: &str,
    directory: &Path,
    target: &mut PathBuf,
) {
    if let Some(path) = path(reader, found.value, key, directory) {
        *target = path;
    }
}
