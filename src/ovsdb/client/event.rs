//! What a client tells its user, in the order in which it became true.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::backlog::Place;
use crate::ovsdb::layout::Layout;
use crate::ovsdb::outcome::{OperationResult, TransactionError};
use crate::ovsdb::replica::Replica;
use crate::ovsdb::schema::DatabaseSchema;
use crate::ovsdb::update::Updates;

/// What a client tells its user.
///
/// A session is `Connected`, then `Snapshot` or `Resumed`, then `Lock` if one is configured, then any
/// number of `Update`, `Lock` and `Transacted`, then `Disconnected`. An attempt that comes to nothing is
/// `Disconnected` alone.
#[derive(Debug)]
pub enum Event {
    /// A session has begun.
    Connected {
        /// With which remote.
        remote: String,
        /// The database's schema; it may differ from the last session's.
        schema: Arc<DatabaseSchema>,
        /// The wanted list resolved against it; the same `Arc` as before where nothing has changed.
        layout: Arc<Layout>,
    },
    /// All rows, which replace those of before ([`Replica::adopt`]).
    Snapshot {
        /// The rows.
        replica: Replica,
        /// The last transaction contained.
        last_id: Uuid,
    },
    /// The server continues where the last session ended; what was missed follows as `Update`.
    Resumed,
    /// Incremental ([`Replica::apply`]).
    Update {
        /// Changes to rows.
        updates: Updates,
        /// The last transaction contained.
        last_id: Uuid,
    },
    /// The configured lock is held, or is not (queued for, or stolen). A session that has ended holds
    /// no lock.
    Lock {
        /// Whether it is held.
        held: bool,
    },
    /// The lock that says who this client is (`Config::identity`) came or went, likewise; told before the other one.
    Identity {
        /// Whether it is held.
        held: bool,
    },
    /// A transaction submitted has ended. Its own changes to wanted rows came before.
    Transacted {
        /// As submitted.
        id: u64,
        /// A result for each operation, or why not.
        result: Result<Vec<OperationResult>, TransactError>,
    },
    /// Of an `ssl:` remote: after each `Connected`, and when something of it has changed.
    Certificates(Certificates),
    /// There is no session: it has ended, or could not be begun. What was submitted and has not ended
    /// has an unknown outcome, and was reported so before this.
    Disconnected {
        /// Why, with all causes, and what to do about it.
        error: String,
        /// When the next attempt follows.
        retry_in: Duration,
    },
}

/// An event on its way to the user, and the place of its message in the backlog.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) event: Event,
    pub(super) place: Option<Place>,
}

impl Delivery {
    /// The user has it.
    pub(super) fn taken(self) -> Event {
        drop(self.place);
        self.event
    }
}

impl From<Event> for Delivery {
    fn from(event: Event) -> Self {
        Self { event, place: None }
    }
}

/// What is known of the certificates of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Until when this client's is valid.
    pub expires: Option<jiff::Timestamp>,
    /// Until when the server's is valid.
    pub server_expires: Option<jiff::Timestamp>,
    /// Why those that are in the files now are not used.
    pub problem: Option<String>,
}

/// Why a transaction has no results.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactError {
    /// The server refused it; nothing of it was done.
    #[error(transparent)]
    Rejected(#[from] TransactionError),
    /// It was sent and not answered: done or not, the rows of the next session will tell.
    #[error("whether the transaction was done is not known: {0}")]
    Unknown(String),
    /// It was not sent, as there is no session; nothing of it was done.
    #[error("the transaction was not sent: there is no connection to the database")]
    NotConnected,
    /// It was done, and has changed nothing, though something was to change: to do it again would help nothing.
    #[error(
        "the server has committed the transaction, and nothing has changed by it: please report it with the rows in question"
    )]
    WithoutEffect,
    /// It was not sent, as the server would have closed the connection; nothing of it was done.
    #[error("the transaction was not sent: a string in it contains a NUL, which OVSDB cannot hold")]
    Nul,
}

impl TransactError {
    /// Whether the server lets this client write nothing of the kind
    /// ([`TransactionError::is_forbidden`]).
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Rejected(error) if error.is_forbidden())
    }

    /// Whether the server is not to be blamed: rows or the lock have changed meanwhile
    /// ([`TransactionError::is_outrun`]), or the connection has.
    pub fn is_outrun(&self) -> bool {
        match self {
            Self::Rejected(error) => error.is_outrun(),
            Self::Unknown(_) | Self::NotConnected => true,
            Self::Nul | Self::WithoutEffect => false,
        }
    }

    /// Whether a transaction made afresh from the rows of that time may succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Rejected(error) => error.is_retryable(),
            Self::Unknown(_) | Self::NotConnected => true,
            Self::Nul | Self::WithoutEffect => false,
        }
    }
}
