//! Request bodies: JSON to what it asks for, with a code for each fault.

use std::collections::BTreeMap;

use axum::body::{self, Body};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Map, Value};
use tokio::time;
use uuid::Uuid;

use super::error::{ApiError, ErrorCode};
use super::{BODY_TIME, MAX_BODY_BYTES};
use crate::declare::{ConfiguredStatus, MAX_CONFIG_BYTES, name_fault};
use crate::view::LABEL_PREFIX;

const TOP: &str = "network_peering";
pub(super) const MAX_LABELS: usize = 50;
pub(super) const MIN_KEY_CHARS: usize = 2;
pub(super) const MAX_KEY_CHARS: usize = 32;
pub(super) const MAX_VALUE_CHARS: usize = 255;
/// So much of what a client has written is shown to it again, in characters.
const MOST_SHOWN: usize = 64;

/// The `user.*` keys of `config`.
type Config = BTreeMap<String, String>;

/// What `POST` asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct New {
    pub(super) name: String,
    pub(super) configured_status: ConfiguredStatus,
    pub(super) network: Uuid,
    pub(super) peer_network: Uuid,
    pub(super) config: Config,
}

/// What `PATCH` asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: Option<String>,
    pub(super) configured_status: Option<ConfiguredStatus>,
    pub(super) config: Option<Config>,
}

/// Reads a body of JSON, within limits of size and time.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Value, ApiError> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "the body must be JSON: send `Content-Type: application/json`",
        ));
    }
    let too_large = || {
        let message = format!("the body is larger than {MAX_BODY_BYTES} bytes");
        ApiError::new(ErrorCode::RequestTooLarge, message)
    };
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY_BYTES as u64) {
        return Err(too_large());
    }
    let bytes = time::timeout(BODY_TIME, body::to_bytes(body, MAX_BODY_BYTES)).await;
    let bytes = bytes.map_err(|_| ApiError::invalid("the body has not come in time"))?;
    let bytes = bytes.map_err(|error| match is_too_long(&error) {
        true => too_large(),
        false => ApiError::invalid("the body was cut off"),
    })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::invalid(format!("the body is not JSON: {error}")))
}

fn is_too_long(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}

impl New {
    pub(super) fn parse(body: &Value) -> Result<Self, ApiError> {
        let known = ["name", "configured_status", "network", "peer_network", "labels"];
        let peering = object(body, &known)?;
        let name = name(peering)?;
        let name = name.ok_or_else(|| {
            ApiError::new(ErrorCode::NameInvalid, "`name` is missing: 1 to 255 characters")
        })?;
        let configured_status = configured_status(peering)?.unwrap_or_default();
        let network = network(peering, "network")?;
        let peer_network = self::network(peering, "peer_network")?;
        let config = labels(peering)?.unwrap_or_default();
        if peer_network.is_nil() {
            return Err(ApiError::new(
                ErrorCode::NetworkInvalid,
                "the UUID of `peer_network` is zero: ask its owner for the right one",
            ));
        }
        Ok(Self { name, configured_status, network, peer_network, config })
    }
}

impl Change {
    pub(super) fn parse(body: &Value) -> Result<Self, ApiError> {
        let peering = object(body, &["name", "configured_status", "labels"])?;
        Ok(Self {
            name: name(peering)?,
            configured_status: configured_status(peering)?,
            config: labels(peering)?,
        })
    }
}

/// The beginning of what a client has written.
fn shown(text: &str) -> String {
    let mut characters = text.escape_debug();
    let mut shown: String = characters.by_ref().take(MOST_SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

fn known_only(object: &Map<String, Value>, what: &str, known: &[&str]) -> Result<(), ApiError> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ApiError::new(
            ErrorCode::UnknownAttribute,
            format!("{what} has no attribute `{}`; it has {}", shown(key), known.join(", ")),
        )),
    }
}

/// The object that is named `network_peering`.
fn object<'v>(body: &'v Value, known: &[&str]) -> Result<&'v Map<String, Value>, ApiError> {
    let wanted =
        || ApiError::invalid(format!("the body must be an object with an object `{TOP}` in it"));
    let top = body.as_object().ok_or_else(wanted)?;
    known_only(top, "the body", &[TOP])?;
    let peering = top.get(TOP).and_then(Value::as_object).ok_or_else(wanted)?;
    known_only(peering, &format!("`{TOP}`"), known)?;
    Ok(peering)
}

fn name(peering: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let Some(value) = peering.get("name") else { return Ok(None) };
    let invalid = |fault: String| ApiError::new(ErrorCode::NameInvalid, fault);
    let name = value.as_str().ok_or_else(|| invalid("`name` must be a string".to_owned()))?;
    match name_fault(name) {
        None => Ok(Some(name.to_owned())),
        Some((fault, hint)) => {
            let hint = hint.map(|hint| format!(": {hint}")).unwrap_or_default();
            Err(invalid(format!("`name` {fault}{hint}")))
        }
    }
}

fn configured_status(peering: &Map<String, Value>) -> Result<Option<ConfiguredStatus>, ApiError> {
    match peering.get("configured_status").map(Value::as_str) {
        None => Ok(None),
        Some(Some("active")) => Ok(Some(ConfiguredStatus::Active)),
        Some(Some("disabled")) => Ok(Some(ConfiguredStatus::Disabled)),
        Some(_) => Err(ApiError::new(
            ErrorCode::ConfiguredStatusInvalid,
            "`configured_status` must be \"active\" or \"disabled\"",
        )),
    }
}

fn network(peering: &Map<String, Value>, key: &str) -> Result<Uuid, ApiError> {
    let invalid = || {
        let message = format!("`{key}` must be an object with the network's `uuid`");
        ApiError::new(ErrorCode::NetworkInvalid, message)
    };
    let network = peering.get(key).and_then(Value::as_object).ok_or_else(invalid)?;
    known_only(network, &format!("`{key}`"), &["uuid"])?;
    network.get("uuid").and_then(Value::as_str).and_then(uuid).ok_or_else(invalid)
}

/// A UUID in the form that it is shown in.
pub(super) fn uuid(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text).ok().filter(|_| text.len() == 36)
}

/// Of two labels with one key the last one counts, as of two members of an object.
fn labels(peering: &Map<String, Value>) -> Result<Option<Config>, ApiError> {
    let Some(value) = peering.get("labels") else { return Ok(None) };
    let wanted =
        || ApiError::invalid("`labels` must be an array of objects with `key` and `value`");
    let labels = value.as_array().ok_or_else(wanted)?;
    if labels.len() > MAX_LABELS {
        let message =
            format!("there are {} labels; at most {MAX_LABELS} are allowed", labels.len());
        return Err(ApiError::invalid(message));
    }
    let mut config = Config::new();
    for label in labels {
        let label = label.as_object().ok_or_else(wanted)?;
        known_only(label, "a label", &["key", "value"])?;
        let key = label.get("key").and_then(Value::as_str).filter(|key| is_label_key(key));
        let key = key.ok_or_else(|| {
            ApiError::new(
                ErrorCode::InvalidLabelKey,
                format!(
                    "the `key` of a label has {MIN_KEY_CHARS} to {MAX_KEY_CHARS} visible characters of \
                     ASCII, of which the first is no underscore"
                ),
            )
        })?;
        let value = label.get("value").and_then(Value::as_str).filter(|text| is_label_value(text));
        let value = value.ok_or_else(|| {
            let message = format!(
                "the `value` of a label is a string of at most {MAX_VALUE_CHARS} characters, none of \
                 them a control character"
            );
            ApiError::new(ErrorCode::InvalidLabelValue, message)
        })?;
        config.insert(format!("{LABEL_PREFIX}{key}"), value.to_owned());
    }
    let bytes: usize = config.iter().map(|(key, value)| key.len() + value.len()).sum();
    if bytes > MAX_CONFIG_BYTES {
        let message = format!("all labels have {bytes} bytes; {MAX_CONFIG_BYTES} are allowed");
        return Err(ApiError::new(ErrorCode::InvalidLabelValue, message));
    }
    Ok(Some(config))
}

fn is_label_key(key: &str) -> bool {
    (MIN_KEY_CHARS..=MAX_KEY_CHARS).contains(&key.len())
        && key.bytes().all(|byte| byte.is_ascii_graphic())
        && !key.starts_with('_')
}

fn is_label_value(value: &str) -> bool {
    value.chars().count() <= MAX_VALUE_CHARS && !value.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "03126dc1-a69f-4bc2-8b24-e31c22d64712";
    const B: &str = "03585987-bf7d-4544-8e9b-5a1b4d74a333";

    fn code(body: Value) -> String {
        let error = New::parse(&body).unwrap_err();
        let text = format!("{error:?}");
        text.split("code: ").nth(1).unwrap().split(',').next().unwrap().to_owned()
    }

    fn with(key: &str, value: Value) -> Value {
        let mut body = json!({"network_peering":
            {"name": "x", "network": {"uuid": A}, "peer_network": {"uuid": B}}});
        if value.is_null() {
            body["network_peering"].as_object_mut().unwrap().remove(key);
        } else {
            body["network_peering"][key] = value;
        }
        body
    }

    #[test]
    fn the_body_of_the_source_is_read_with_its_defaults() {
        let new = New::parse(&with("labels", json!([{"key": "env", "value": "prod"}]))).unwrap();
        assert_eq!(new.configured_status, ConfiguredStatus::Active);
        assert_eq!((new.name.as_str(), new.network.to_string()), ("x", A.to_owned()));
        assert_eq!(new.config, Config::from([("user.env".to_owned(), "prod".to_owned())]));
        let long = "é".repeat(255);
        assert_eq!(New::parse(&with("name", json!(long))).unwrap().name, long);
    }

    #[test]
    fn each_fault_has_its_code() {
        for body in [json!([]), json!({}), json!({"network_peering": 1}), json!(null)] {
            assert_eq!(code(body), "RequestInvalid");
        }
        assert_eq!(code(json!({"network_peering": {}, "more": 1})), "UnknownAttribute");
        assert_eq!(code(with("state", json!("active"))), "UnknownAttribute");
        assert_eq!(code(with("network", json!({"uuid": A, "name": "x"}))), "UnknownAttribute");
        for name in
            [json!(null), json!(1), json!(""), json!(" x"), json!("a\nb"), json!("a\u{200b}")]
        {
            assert_eq!(code(with("name", name)), "NameInvalid");
        }
        assert_eq!(code(with("name", json!("é".repeat(256)))), "NameInvalid");
        for status in [json!("up"), json!(true), json!([])] {
            assert_eq!(code(with("configured_status", status)), "ConfiguredStatusInvalid");
        }
        for key in ["network", "peer_network"] {
            let simple = A.replace('-', "");
            for value in
                [json!(null), json!(A), json!({}), json!({"uuid": "x"}), json!({"uuid": simple})]
            {
                assert_eq!(code(with(key, value)), "NetworkInvalid");
            }
        }
        assert_eq!(code(with("peer_network", json!({"uuid": Uuid::nil()}))), "NetworkInvalid");
        let label =
            |key: Value, value: Value| with("labels", json!([{"key": key, "value": value}]));
        for key in
            [json!("a"), json!("_a"), json!("a b"), json!("é1"), json!("x".repeat(33)), json!(1)]
        {
            assert_eq!(code(label(key, json!("x"))), "InvalidLabelKey");
        }
        for value in [json!(1), json!("x".repeat(256)), json!("a\u{0}b"), json!(null)] {
            assert_eq!(code(label(json!("ab"), value)), "InvalidLabelValue");
        }
        assert_eq!(code(with("labels", json!({"a": "b"}))), "RequestInvalid");
        assert_eq!(code(with("labels", json!(["a"]))), "RequestInvalid");
        let many: Vec<Value> =
            (0..=MAX_LABELS).map(|_| json!({"key": "ab", "value": ""})).collect();
        assert_eq!(code(with("labels", json!(many))), "RequestInvalid");
    }
}
