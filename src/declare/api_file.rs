//! `[api]` and `[[token]]` of `ovn-peerd.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::listen_keys;
use super::section::section;
use super::settings::{ApiSettings, RateSettings, TokenSettings};
use super::toml_reader::{Found, TomlReader, times};

pub(super) const API_KEYS: [&str; 5] = {
    let [listen, certificate, private_key, client_ca] = listen_keys::KEYS;
    [listen, certificate, private_key, client_ca, "rate"]
};
pub(super) const RATE_KEYS: &[&str] = &["per_second", "burst"];
pub(super) const TOKEN_KEYS: &[&str] =
    &["name", "project", "operator", "read_only", "expires", "sha256"];

/// Most requests that a rate may name; more is no limit.
const MOST_REQUESTS: u32 = 10_000;

/// Reads `[api]`, if it is there.
pub(super) fn api(reader: &mut TomlReader<'_>, top: &DeTable<'_>, directory: &Path) -> ApiSettings {
    let Some(found) = section(reader, top, "api", &API_KEYS) else {
        return ApiSettings::default();
    };
    let listener = listen_keys::read(reader, &found, "[api]", directory);
    let mut rate = RateSettings::default();
    const EXAMPLE: &str = "rate = { per_second = 20, burst = 40 }";
    if let Some(limit) = reader.section(found.value, "rate", EXAMPLE) {
        reader.refuse_unknown(limit.value, "rate", RATE_KEYS, &[]);
        let mut number = |key, default| {
            reader.number_in(limit.value, key, 1..=MOST_REQUESTS, None).unwrap_or(default)
        };
        rate.per_second = number("per_second", rate.per_second);
        rate.burst = number("burst", rate.burst);
    }
    ApiSettings { listener, rate }
}

/// Reads all `[[token]]`.
pub(super) fn tokens(reader: &mut TomlReader<'_>, top: &DeTable<'_>) -> Vec<TokenSettings> {
    let mut names = BTreeMap::new();
    let mut secrets = BTreeMap::new();
    let entries = reader.entries(top, "token");
    let read = entries.iter().filter_map(|entry| {
        let (token, place) = token(reader, entry)?;
        if let Some(first) = names.insert(token.name.clone(), token.line) {
            let message = format!("token {} is already there on line {first}", token.name);
            let hint = "a token's name stands for one secret: choose another name";
            reader.duplicate(&place, message, Some(hint.to_owned()));
        }
        if let Some(first) = secrets.insert(token.sha256, token.line) {
            let message = format!("the token on line {first} has the same secret");
            let hint = "make a secret for each: `ovn-peerctl token create`";
            reader.duplicate(&place, message, Some(hint.to_owned()));
        }
        Some(token)
    });
    read.collect()
}

fn token(
    reader: &mut TomlReader<'_>,
    entry: &Found<&DeTable<'_>>,
) -> Option<(TokenSettings, std::ops::Range<usize>)> {
    const WHAT: &str = "[[token]]";
    reader.refuse_unknown(entry.value, WHAT, TOKEN_KEYS, &[]);
    let name = reader.name(entry, WHAT, "name", "\"ci\"");
    if let Some(found) = name.as_ref().filter(|found| found.value.contains(':')) {
        let hint = "clients send NAME:SECRET: choose a name without a colon".to_owned();
        reader.error(&found.span, "the name of a token has no colon", Some(hint));
    }
    let project = reader.optional_name(entry.value, "project");
    let operator = reader.boolean(entry.value, "operator").unwrap_or(false);
    match (entry.value.contains_key("project"), operator) {
        (true, true) => {
            let hint = "keep `project` for a tenant's token, or `operator` for an operator's";
            reader.error(
                &entry.span,
                "a token has both `project` and `operator`",
                Some(hint.to_owned()),
            );
        }
        (false, false) => reader.missing(
            &entry.span,
            WHAT,
            "project",
            "\"blue\", or operator = true for one that may do all",
        ),
        (true, false) | (false, true) => {}
    }
    let read_only = reader.boolean(entry.value, "read_only").unwrap_or(false);
    let expires = times::instant(reader, entry.value, "expires");
    if !entry.value.contains_key("sha256") {
        let example = "\"...\", as `ovn-peerctl token create` prints it";
        reader.missing(&entry.span, WHAT, "sha256", example);
    }
    let sha256 = reader.string(entry.value, "sha256").and_then(|found| {
        let bytes = digest(found.value);
        if bytes.is_none() {
            let hint = "`ovn-peerctl token create` makes a secret, and prints its digest";
            reader.error(
                &found.span,
                "`sha256` is not a digest: 64 digits from 0 to 9 and a to f",
                Some(hint.to_owned()),
            );
        }
        bytes
    });
    let name = name?;
    let token = TokenSettings {
        line: reader.position(&name.span).line,
        name: name.value.to_owned(),
        project: project.map(|found| found.value.to_owned()),
        read_only,
        expires: expires.map(|found| found.value),
        sha256: sha256?,
    };
    // A token whose rights are in doubt has none.
    (token.project.is_some() != operator).then_some((token, name.span))
}

/// Bytes from their hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * bytes.len())?;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = high << 4 | low;
    }
    Some(bytes)
}
