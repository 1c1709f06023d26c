//! One transaction: sending it, the limit for its reply, and the meaning of the reply.
//!
//! May not touch the order of the user's events: the session owns it.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::connection::Limit;
use super::error::{SessionError, TRANSACTION};
use super::event::TransactError;
use super::rpc::{RequestError, Rpc};
use crate::ovsdb::OperationResult;
use crate::ovsdb::operation::Operation;
use crate::ovsdb::outcome::{Expected, OutcomeError, TransactionError};

/// A transaction's end, with the stamp of its reply.
pub(super) struct Finished {
    pub(super) id: u64,
    pub(super) stamp: u64,
    pub(super) end: End,
}

pub(super) enum End {
    /// The server has answered.
    Answered(Outcome),
    /// The engine has ended before the reply; the wire will say why.
    Lost,
    /// The server has not answered in time, or not as specified.
    Fatal(SessionError),
}

pub(super) type Outcome = Result<Vec<OperationResult>, TransactError>;

/// The parameters of `transact`: the database, then the operations.
struct Transact {
    database: &'static str,
    operations: Vec<Operation>,
}

impl Serialize for Transact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.operations.len() + 1))?;
        seq.serialize_element(self.database)?;
        for operation in &self.operations {
            seq.serialize_element(operation)?;
        }
        seq.end()
    }
}

/// Sends a transaction and waits for its end.
pub(super) async fn transact(
    rpc: Arc<Rpc>,
    database: &'static str,
    limit: Limit,
    id: u64,
    operations: Vec<Operation>,
) -> Finished {
    let expected = Expected::of(&operations);
    let request = rpc.request("transact", Transact { database, operations });
    let finished = |stamp, end| Finished { id, stamp, end };
    let stamped = match limit.within(&rpc, request).await {
        Ok(Ok(stamped)) => stamped,
        Ok(Err(RequestError::Refused(failure))) => {
            let error =
                TransactionError { index: None, error: failure.error, details: failure.details };
            return finished(0, End::Answered(Err(error.into())));
        }
        Ok(Err(RequestError::Malformed(source))) => {
            return finished(0, End::Fatal(SessionError::Reply { method: "transact", source }));
        }
        Ok(Err(RequestError::Ended(_))) => return finished(0, End::Lost),
        Err(limit) => {
            return finished(0, End::Fatal(SessionError::Timeout { what: TRANSACTION, limit }));
        }
    };
    let end = match expected.decode(stamped.result.get().as_bytes()) {
        Ok(results) => End::Answered(Ok(results)),
        Err(OutcomeError::Refused(error)) => End::Answered(Err(error.into())),
        Err(OutcomeError::Malformed { what, source }) => {
            End::Fatal(SessionError::malformed(what, source))
        }
    };
    finished(stamped.stamp, end)
}
