//! Messages of JSON-RPC 1.0, the form that OVSDB uses (RFC 7047 section 4).
//!
//! Owns the kinds of messages, and the replies to the server's requests. May not touch sockets, nor
//! the meaning of results and parameters. Invariant: parses nothing below the members of the
//! outermost object.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// The id of this client's own probes; requests have numbers.
pub(super) const PROBE_ID: &str = "\"probe\"";

/// A probe (RFC 7047 section 4.1.11).
pub(super) const PROBE: &str = r#"{"method":"echo","params":[],"id":"probe"}"#;

/// Frames of fewer bytes are always parsed: a shortcut would save nothing.
const SMALL: usize = 4096;

/// The kind of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Inbound<'a> {
    /// A request of the server's.
    Request {
        /// Its id, as JSON text.
        id: &'a str,
        /// Its method.
        method: Cow<'a, str>,
        /// Its parameters, as JSON text.
        params: &'a str,
    },
    /// A notification.
    Notification {
        /// Its method.
        method: Cow<'a, str>,
    },
    /// The reply to a probe.
    Probe,
    /// A reply with a result; the result is `None` if the frame was too large to search for its
    /// end.
    Success {
        /// The request that it replies to.
        id: u64,
        /// The result, as JSON text.
        result: Option<&'a str>,
    },
    /// A reply with an error.
    Failure {
        /// The request that it replies to.
        id: u64,
        /// The error, as JSON text.
        error: &'a str,
    },
}

/// The outermost object of any message.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// Says what `frame` is.
///
/// # Errors
/// If it is not JSON, or neither request, notification nor reply.
pub(super) fn classify(frame: &[u8]) -> Result<Inbound<'_>, serde_json::Error> {
    if frame.len() >= SMALL
        && let Some(inbound) = by_its_head(frame)
    {
        return Ok(inbound);
    }
    parse(frame)
}

/// Recognises a large message by its beginning: ovsdb-server has always written the kind before the
/// large part. `None` for anything else, which is parsed as a whole.
fn by_its_head(frame: &[u8]) -> Option<Inbound<'_>> {
    let rest = frame.strip_prefix(b"{\"id\":")?;
    if let Some(rest) = rest.strip_prefix(b"null,\"method\":\"") {
        let name = rest.split(|byte| *byte == b'"').next()?;
        rest.get(name.len()..)?.strip_prefix(b"\",\"params\":[")?;
        let plain = name.iter().all(u8::is_ascii_alphanumeric);
        let method = std::str::from_utf8(name).ok().filter(|_| plain)?;
        return Some(Inbound::Notification { method: Cow::Borrowed(method) });
    }
    let digits = rest.split(|byte| *byte == b',').next()?;
    let rest = rest.get(digits.len()..)?.strip_prefix(b",\"result\":")?;
    let id = std::str::from_utf8(digits).ok()?.parse().ok()?;
    matches!(rest.first()?, b'[' | b'{').then_some(Inbound::Success { id, result: None })
}

fn parse(frame: &[u8]) -> Result<Inbound<'_>, serde_json::Error> {
    let wrong = |what: String| serde::de::Error::custom(what);
    let envelope: Envelope<'_> = serde_json::from_slice(frame)?;
    let id = envelope.id.map(RawValue::get);
    match (envelope.method, id) {
        (Some(method), None) => Ok(Inbound::Notification { method }),
        (Some(method), Some(id)) => {
            Ok(Inbound::Request { id, method, params: envelope.params.map_or("[]", RawValue::get) })
        }
        (None, Some(PROBE_ID)) => Ok(Inbound::Probe),
        (None, Some(id)) => {
            let id = id.parse().map_err(|_| {
                wrong(format!("a reply to request {id}, which this client did not send"))
            })?;
            Ok(match envelope.error {
                Some(error) => Inbound::Failure { id, error: error.get() },
                None => Inbound::Success {
                    id,
                    result: Some(envelope.result.map_or("null", RawValue::get)),
                },
            })
        }
        (None, None) => Err(wrong("neither a request nor a reply".to_owned())),
    }
}

/// The `result` of a reply that was too large for [`classify`] to parse as a whole.
///
/// # Errors
/// If the frame is not JSON.
pub(super) fn result_of(frame: &[u8]) -> Result<&str, serde_json::Error> {
    let envelope: Envelope<'_> = serde_json::from_slice(frame)?;
    Ok(envelope.result.map_or("null", RawValue::get))
}

/// The reply to an echo request.
pub(super) fn echo_reply(id: &str, params: &str) -> String {
    format!(r#"{{"id":{id},"result":{params},"error":null}}"#)
}

/// The reply to any other request.
pub(super) fn unknown_method(id: &str) -> String {
    format!(r#"{{"id":{id},"result":null,"error":{{"error":"unknown method"}}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_distinguished() {
        let cases = [
            (
                r#"{"id":"echo","method":"echo","params":[1]}"#,
                Inbound::Request { id: "\"echo\"", method: "echo".into(), params: "[1]" },
            ),
            (
                r#"{"id":null,"method":"update3","params":[]}"#,
                Inbound::Notification { method: "update3".into() },
            ),
            (r#"{"id":"probe","result":[],"error":null}"#, Inbound::Probe),
            (
                r#"{"error":null,"result":[1],"id":7}"#,
                Inbound::Success { id: 7, result: Some("[1]") },
            ),
            (
                r#"{"id":7,"result":null,"error":null}"#,
                Inbound::Success { id: 7, result: Some("null") },
            ),
            (
                r#"{"id":3,"error":"unknown method"}"#,
                Inbound::Failure { id: 3, error: "\"unknown method\"" },
            ),
            (r#"{"id":3,"result":null,"error":{}}"#, Inbound::Failure { id: 3, error: "{}" }),
        ];
        for (frame, expected) in cases {
            assert_eq!(classify(frame.as_bytes()).unwrap(), expected, "{frame}");
        }
        for frame in ["{}", "{", r#"{"id":-1,"result":1}"#, r#"{"id":"x","result":1}"#] {
            assert!(classify(frame.as_bytes()).is_err(), "{frame}");
        }
    }

    #[test]
    fn large_messages_are_known_by_their_heads() {
        let long = format!("[\"{}\"]", "x".repeat(SMALL));
        let reply = format!(r#"{{"id":12,"result":{long},"error":null}}"#);
        assert_eq!(classify(reply.as_bytes()).unwrap(), Inbound::Success { id: 12, result: None });
        assert_eq!(result_of(reply.as_bytes()).unwrap(), long);
        let update = format!(r#"{{"id":null,"method":"update3","params":{long}}}"#);
        assert_eq!(
            classify(update.as_bytes()).unwrap(),
            Inbound::Notification { method: "update3".into() }
        );
        // Any other order works as well, only slower.
        let reply = format!(r#"{{"error":null,"result":{long},"id":12}}"#);
        assert_eq!(
            classify(reply.as_bytes()).unwrap(),
            Inbound::Success { id: 12, result: Some(&long) }
        );
        let error = format!(r#"{{"id":12,"result":null,"error":{long}}}"#);
        assert_eq!(classify(error.as_bytes()).unwrap(), Inbound::Failure { id: 12, error: &long });
    }

    #[test]
    fn replies_are_json() {
        for text in [echo_reply("1", "[]"), unknown_method("\"x\""), PROBE.to_owned()] {
            assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object());
        }
    }
}
