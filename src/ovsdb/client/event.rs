//! What a client reports to its user, in the order of the events.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::backlog::Share;
use crate::ovsdb::layout::Layout;
use crate::ovsdb::outcome::{OperationResult, TransactionError};
use crate::ovsdb::replica::Replica;
use crate::ovsdb::schema::DatabaseSchema;
use crate::ovsdb::update::Updates;

/// What a client reports to its user.
///
/// A session is `Connected`, then `Snapshot` or `Resumed`, then `Lock` if one is configured, then
/// any number of `Update`, `Lock` and `Transacted`, then `Disconnected`. A failed attempt is
/// `Disconnected` alone.
#[derive(Debug)]
pub enum Event<S = Replica> {
    /// A session has begun.
    Connected {
        /// With which remote.
        remote: String,
        /// The database's schema; it may differ from the last session's.
        schema: Arc<DatabaseSchema>,
        /// The wanted list resolved against it; the same `Arc` as before if nothing has changed.
        layout: Arc<Layout>,
    },
    /// All rows; they replace the previous ones ([`Replica::adopt`]).
    Snapshot {
        /// The rows.
        rows: Box<S>,
        /// The last transaction contained.
        last_id: Uuid,
    },
    /// The server continues where the last session ended; the missed changes follow as `Update`.
    Resumed,
    /// Incremental ([`Replica::apply`]).
    Update {
        /// Changes to rows.
        updates: Updates,
        /// The last transaction contained.
        last_id: Uuid,
    },
    /// This client holds the configured lock, or does not (it waits for the lock, or another client
    /// stole it). A session that has ended holds no lock.
    Lock {
        /// Whether it is held.
        held: bool,
    },
    /// The same for the lock that identifies this client (`Config::identity`); comes before `Lock`.
    Identity {
        /// Whether it is held.
        held: bool,
    },
    /// A submitted transaction has ended. The updates with its own changes came before.
    Transacted {
        /// As submitted.
        id: u64,
        /// A result for each operation, or why not.
        result: Result<Vec<OperationResult>, TransactError>,
    },
    /// Of an `ssl:` remote: after each `Connected`, and whenever something of it changes.
    Certificates(Certificates),
    /// There is no session: it has ended, or could not begin. Submitted transactions without an
    /// answer have an unknown outcome; their events came before this one.
    Disconnected {
        /// Why, with all causes, and what an operator can do about it.
        error: String,
        /// Whether the server, or each of them, lets this client write nothing.
        read_only: bool,
        /// When the next attempt follows.
        retry_in: Duration,
    },
}

/// An event on its way to the user, with the backlog share of its message.
#[derive(Debug)]
pub(super) struct Delivery<S> {
    pub(super) event: Event<S>,
    pub(super) share: Option<Share>,
}

impl<S> Delivery<S> {
    /// The event for the user; releases the share of its message.
    pub(super) fn into_event(self) -> Event<S> {
        drop(self.share);
        self.event
    }
}

impl<S> From<Event<S>> for Delivery<S> {
    fn from(event: Event<S>) -> Self {
        Self { event, share: None }
    }
}

/// The certificates of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Until when this client's is valid.
    pub expires: Option<jiff::Timestamp>,
    /// Until when the server's is valid.
    pub server_expires: Option<jiff::Timestamp>,
    /// Why the client does not use the certificates that the files contain now.
    pub problem: Option<String>,
}

/// Why a transaction has no results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactError {
    /// The server refused it and did nothing of it.
    #[error(transparent)]
    Rejected(#[from] TransactionError),
    /// It was sent and has no answer; the rows of the next session will show whether it was done.
    #[error("whether the transaction was done is not known: {0}")]
    Unknown(String),
    /// It was not sent, because there is no session.
    #[error("the transaction was not sent: there is no connection to the database")]
    NotConnected,
    /// The server committed it, but no row changed although one should have: a repetition would not
    /// help.
    #[error(
        "the server has committed the transaction, and nothing has changed by it: please report it with the rows in question"
    )]
    WithoutEffect,
    /// It was not sent, because the server would have closed the connection.
    #[error("the transaction was not sent: a string in it contains a NUL, which OVSDB cannot hold")]
    Nul,
}

impl TransactError {
    /// Whether the server forbids this client such writes ([`TransactionError::is_forbidden`]).
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.is_forbidden())
    }

    /// Whether the server forbids this client all writes ([`TransactionError::is_read_only`]).
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.is_read_only())
    }

    /// Whether the server is not at fault: rows or the lock have changed meanwhile
    /// ([`TransactionError::is_outrun`]), or the connection was lost.
    pub fn is_outrun(&self) -> bool {
        match self {
            Self::Rejected(error) => error.is_outrun(),
            Self::Unknown(_) | Self::NotConnected => true,
            Self::Nul | Self::WithoutEffect => false,
        }
    }

    /// Whether the server lacks something ([`TransactionError::is_exhausted`]).
    pub fn is_exhausted(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.is_exhausted())
    }

    /// Whether a new transaction from the rows of that time may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected(error) => error.is_retryable(),
            Self::Unknown(_) | Self::NotConnected => true,
            Self::Nul | Self::WithoutEffect => false,
        }
    }
}
