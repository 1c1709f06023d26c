//! The keys of a section whose service listens on the network.

use std::net::SocketAddr;
use std::path::Path;

use toml::de::DeTable;

use super::section::path;
use super::settings::ListenSettings;
use super::toml_reader::{Found, TomlReader};

pub(super) const KEYS: [&str; 4] = ["listen", "certificate", "private_key", "client_ca"];

/// Reads them from a section such as `[api]`, which `what` names.
pub(super) fn read(
    reader: &mut TomlReader<'_>,
    section: &Found<&DeTable<'_>>,
    what: &str,
    directory: &Path,
) -> ListenSettings {
    let table = section.value;
    let has = |key: &str| table.contains_key(key);
    let entries = reader.strings(table, "listen").unwrap_or_default();
    let listen =
        entries.iter().filter_map(|entry| address(reader, entry, has("certificate"))).collect();
    for (key, other, example) in [
        ("certificate", "private_key", "\"key.pem\""),
        ("private_key", "certificate", "\"cert.pem\""),
        ("client_ca", "certificate", "\"cert.pem\""),
    ] {
        if has(key) && !has(other) {
            reader.missing(&section.span, &format!("{what} with `{key}`"), other, example);
        }
    }
    ListenSettings {
        listen,
        certificate: path(reader, table, "certificate", directory),
        private_key: path(reader, table, "private_key", directory),
        client_ca: path(reader, table, "client_ca", directory),
    }
}

/// What is sent without TLS stays on this host.
fn address(
    reader: &mut TomlReader<'_>,
    found: &Found<&str>,
    is_secret: bool,
) -> Option<SocketAddr> {
    let Ok(address) = found.value.parse::<SocketAddr>() else {
        reader.error(
            &found.span,
            format!("\"{}\" is not an address and a port", found.value.escape_debug()),
            Some(
                "write ADDRESS:PORT, such as \"127.0.0.1:8443\"; IPv6 as \"[::1]:8443\"".to_owned(),
            ),
        );
        return None;
    };
    if !is_secret && !address.ip().to_canonical().is_loopback() {
        reader.error(
            &found.span,
            format!("{address} is not of loopback, and there is no certificate"),
            Some(
                "add `certificate` and `private_key` (PEM files), or listen on \"127.0.0.1:PORT\" \
                 or \"[::1]:PORT\""
                    .to_owned(),
            ),
        );
        return None;
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn read_text(text: &str) -> (ListenSettings, Vec<String>) {
        let file: Arc<str> = "ovn-peerd.toml".into();
        let (mut reader, table) = TomlReader::open(&file, text);
        let found = reader.section(table.get_ref(), "api", "[api]").unwrap();
        let settings = read(&mut reader, &found, "[api]", Path::new("/etc/ovn-peerd"));
        (settings, reader.close().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn without_a_certificate_only_loopback_is_listened_on() {
        let (settings, faults) = read_text("[api]\nlisten = [\"127.0.0.1:1\", \"[::1]:2\"]\n");
        assert_eq!((settings.listen.len(), faults), (2, Vec::new()));
        for address in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[::ffff:192.0.2.1]:1"] {
            let (settings, faults) = read_text(&format!("[api]\nlisten = [\"{address}\"]\n"));
            assert!(settings.listen.is_empty());
            assert!(faults[0].contains("add `certificate` and `private_key`"), "{faults:?}");
            let (settings, faults) = read_text(&format!(
                "[api]\nlisten = [\"{address}\"]\ncertificate = \"c.pem\"\nprivate_key = \"/k.pem\"\n"
            ));
            assert_eq!((settings.listen.len(), faults), (1, Vec::new()));
            assert_eq!(settings.certificate.unwrap(), Path::new("/etc/ovn-peerd/c.pem"));
            assert_eq!(settings.private_key.unwrap(), Path::new("/k.pem"));
        }
    }

    #[test]
    fn what_is_missing_or_no_address_is_said() {
        for (keys, said) in [
            ("listen = [\"localhost:1\"]", "write ADDRESS:PORT"),
            ("certificate = \"c.pem\"", "add private_key"),
            ("private_key = \"k.pem\"", "add certificate"),
            ("client_ca = \"ca.pem\"", "add certificate"),
        ] {
            let (_, faults) = read_text(&format!("[api]\n{keys}\n"));
            assert!(faults.iter().any(|fault| fault.contains(said)), "{keys}: {faults:?}");
        }
    }
}
