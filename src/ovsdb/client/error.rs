//! Why a session ends, or cannot be begun.
//!
//! Owns the errors of a session, and writes a chain of causes in one line.

use std::error::Error;
use std::time::Duration;

use serde::Deserialize;

use super::rpc::EngineError;
use super::socket::OpenError;
use super::transport::TransportError;
use crate::ovsdb::decode_message::DecodeError;
use crate::ovsdb::outcome::TransactionError;
use crate::ovsdb::replica::Inconsistent;

/// The transaction without an answer, if it was one.
pub(super) const TRANSACTION: &str = "a transaction";

/// Why a session ends, or cannot be begun.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionError {
    /// No remote is configured.
    #[error("no remote is configured: name at least one")]
    NoRemote,
    /// The remote cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Something took too long.
    #[error("no answer to {what} within {} s: the server hangs, is paused, or is no OVSDB server", .limit.as_secs_f32())]
    Timeout {
        /// The request without an answer.
        what: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The connection has ended.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The JSON-RPC engine has ended for a reason of its own, mostly a reply to no request.
    #[error("the server does not keep to JSON-RPC")]
    Engine(#[source] EngineError),
    /// The server refused a request.
    #[error("the server refused {method}: {failure}")]
    Refused {
        /// Which request.
        method: &'static str,
        /// Why.
        failure: Failure,
    },
    /// The server lets this client write nothing.
    #[error(transparent)]
    ReadOnly(TransactionError),
    /// All servers let this client write nothing.
    #[error("none of the {remotes} remotes takes a transaction; the last one: {refusal}")]
    AllReadOnly {
        /// How many there are.
        remotes: usize,
        /// The answer of the last one.
        refusal: TransactionError,
    },
    /// A reply does not conform to its specification.
    #[error("the server's reply to {method} could not be understood")]
    Reply {
        /// To which request.
        method: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Rows are not as specified.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The server has no such database.
    #[error("the server has no database {database} (it has {present}): is this the right remote?")]
    NoDatabase {
        /// The database.
        database: &'static str,
        /// The databases that it has.
        present: String,
    },
    /// The server is a cluster's member, not its leader.
    #[error("the server is not the leader of its cluster: trying the next one")]
    NotLeader,
    /// The server is a cluster's member that has lost the others.
    #[error("the server has no connection to its cluster: trying the next one")]
    NotInCluster,
    /// The schema was converted, or the database removed.
    #[error(
        "the server cancelled the monitor: the database's schema was converted, or it was removed"
    )]
    MonitorCanceled,
    /// The next session is to use other certificates.
    #[error("the certificates were replaced; the next session is begun with the new ones")]
    Renewed,
    /// Rows contradict each other.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
    /// The user asked for it.
    #[error("an update contradicts the rows so far: all rows are read again")]
    Resync,
    /// Nobody listens any more.
    #[error("the client is no longer used")]
    Abandoned,
}

impl SessionError {
    /// The reply to a transaction does not conform to its specification.
    pub(super) fn malformed(what: String, source: Option<serde_json::Error>) -> Self {
        let source = source.unwrap_or_else(|| serde::de::Error::custom(what));
        Self::Reply { method: "transact", source }
    }

    /// Whether the rows so far may be incomplete, so that the next session must not continue from
    /// them.
    pub(super) fn spoils_replica(&self) -> bool {
        matches!(self, Self::Decode(_)) || self.is_inconsistent()
    }

    /// Whether an update contradicted the rows.
    pub(super) fn is_inconsistent(&self) -> bool {
        matches!(self, Self::Inconsistent(_) | Self::Resync)
    }

    /// Whether the server, or each of them, lets this client write nothing.
    pub(super) fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly(_) | Self::AllReadOnly { .. })
    }

    /// Whether other certificates might have succeeded.
    pub(super) fn may_be_the_certificates(&self) -> bool {
        matches!(
            self,
            Self::Open(OpenError::Handshake { .. }) | Self::Transport(TransportError::Read { .. })
        )
    }

    /// Whether a transaction got no answer: the server hangs, has lost it, or needs more time for
    /// its size.
    pub(super) fn is_slow_transaction(&self) -> bool {
        matches!(self, Self::Timeout { what: TRANSACTION, .. })
    }

    /// Whether the server was silent for too long: it hangs, or is only busy.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Timeout { .. } | Self::Transport(TransportError::Silent(_)))
    }
}

/// The error of a reply (RFC 7047 section 4: a string, or an object).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// The error's name.
    pub(super) error: String,
    /// The server's `details`.
    pub(super) details: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)?;
        self.details.as_ref().map_or(Ok(()), |details| write!(f, " ({details})"))
    }
}

impl Failure {
    /// Reads any form of it.
    pub(super) fn read(json: &str) -> Self {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Name(String),
            Object { error: String, details: Option<String> },
        }
        match serde_json::from_str(json) {
            Ok(Form::Name(error)) => Self { error, details: None },
            Ok(Form::Object { error, details }) => Self { error, details },
            Err(_) => Self { error: json.to_owned(), details: None },
        }
    }
}

/// An error and all its causes in one line, without a cause that only repeats the text before it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_read_in_every_form() {
        assert_eq!(Failure::read("\"unknown method\"").to_string(), "unknown method");
        let object = Failure::read(r#"{"error":"e","details":"d","syntax":"s"}"#);
        assert_eq!(object.to_string(), "e (d)");
        assert_eq!(Failure::read("[1]").error, "[1]");
    }

    #[test]
    fn causes_are_reported_once() {
        let source = serde_json::from_str::<u8>("x").unwrap_err();
        let text = chain(&SessionError::Reply { method: "get_schema", source });
        assert_eq!(
            text,
            "the server's reply to get_schema could not be understood: expected value at line 1 column 1"
        );
        let inner = OpenError::NoTlsFiles.to_string();
        assert_eq!(chain(&SessionError::Open(OpenError::NoTlsFiles)), inner);
    }
}
