//! The outcome of a transaction (RFC 7047 section 4.1.3).
//!
//! Owns the typed form of `transact`'s result. May not touch sockets. Invariant: every element of
//! the array is checked; an error in any of them, or in the one that a failing commit appends,
//! makes the whole a failure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::decode_value::CellSeed;
use super::operation::Operation;
use super::value::{Value, ValueRef};

/// The result of one operation.
#[derive(Clone, Debug, PartialEq)]
pub enum OperationResult {
    /// How many rows an update, mutate or delete concerned.
    Count(u64),
    /// The identity of the row inserted.
    Inserted(Uuid),
    /// The rows selected.
    Rows(Vec<BTreeMap<Box<str>, Value>>),
    /// Done; the result has no members: wait, assert, comment.
    Empty,
}

/// The server refused a transaction and did nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionError {
    /// Which operation failed, from 0; `None` if it was the commit, after all operations.
    pub index: Option<usize>,
    /// The error's name (RFC 7047 section 3.1, `<error>`).
    pub error: String,
    /// The server's `details`.
    pub details: Option<String>,
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "the server refused operation {index}: {}", self.error)?,
            None => write!(f, "the server refused the commit: {}", self.error)?,
        }
        if let Some(details) = &self.details {
            write!(f, " ({details})")?;
        }
        self.remedy().map_or(Ok(()), |remedy| write!(f, ": {remedy}"))
    }
}

impl std::error::Error for TransactionError {}

impl TransactionError {
    /// Whether the server forbids this client such writes, independent of the rows (ovsdb-server(7)
    /// 4.1.3 and "Role-Based Access Control").
    pub fn is_forbidden(&self) -> bool {
        matches!(self.error.as_str(), "not allowed" | "permission error")
    }

    /// Whether the server forbids this client all writes: the remote is read-only, or the server is
    /// a backup (ovsdb-server(7) 4.1.3).
    pub fn is_read_only(&self) -> bool {
        self.error == "not allowed"
    }

    /// What the operator of the server can do about it, where the server's own words do not say.
    fn remedy(&self) -> Option<&'static str> {
        match self.error.as_str() {
            "not allowed" => Some(
                "this remote may only read: name one that may write, or remove its row of Connection \
                 and add it without read_only (to change it is not enough); a backup server has to be made the \
                 active one",
            ),
            "permission error" => Some(
                "grant this client's role that table in RBAC_Permission (insert_delete, and the columns in \
                 update; a client without a certificate gets no grant), or name a remote without a role",
            ),
            "I/O error" => Some("look at the disk and the log of the server: is the disk full?"),
            _ => None,
        }
    }

    /// Whether a new transaction from the present rows may succeed: a guard did not hold, a
    /// referenced row is gone, another client has the lock, or the server had a problem of the
    /// moment.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.error.as_str(),
            "timed out"
                | "aborted"
                | "not owner"
                | "referential integrity violation"
                | "resources exhausted"
                | "I/O error"
                | "cluster error"
                | "not leader"
                | "canceled"
        )
    }

    /// Whether the server lacks something, as room on its disk: it refuses whatever is written until
    /// somebody has seen to it.
    pub fn is_exhausted(&self) -> bool {
        matches!(self.error.as_str(), "I/O error" | "resources exhausted")
    }

    /// Whether the server works well, and only rows or the lock have changed meanwhile.
    pub fn is_outrun(&self) -> bool {
        matches!(
            self.error.as_str(),
            "timed out" | "aborted" | "not owner" | "referential integrity violation"
        )
    }
}

/// Why a transaction has no results.
#[derive(Debug, thiserror::Error)]
pub enum OutcomeError {
    /// The server refused it.
    #[error(transparent)]
    Refused(#[from] TransactionError),
    /// The reply does not have the form that RFC 7047 section 4.1.3 gives.
    #[error("the server's reply to a transaction could not be understood: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
        /// Where the JSON is wrong, if it is wrong.
        #[source]
        source: Option<serde_json::Error>,
    },
}

impl OutcomeError {
    fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into(), source: None }
    }
}

impl From<serde_json::Error> for OutcomeError {
    fn from(source: serde_json::Error) -> Self {
        Self::Malformed { what: "not an array of results".into(), source: Some(source) }
    }
}

/// What the operations of a transaction must yield; kept while the transaction is under way, after
/// the operations themselves are sent and dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected(Box<[Form]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Count,
    Inserted,
    Rows,
    Empty,
}

impl Expected {
    /// What `operations` must yield.
    pub fn of(operations: &[Operation]) -> Self {
        let form = |operation: &Operation| match operation {
            Operation::Insert { .. } => Form::Inserted,
            Operation::Update { .. } | Operation::Mutate { .. } | Operation::Delete { .. } => {
                Form::Count
            }
            Operation::Select { .. } => Form::Rows,
            Operation::Wait { .. } | Operation::Assert { .. } | Operation::Comment(_) => {
                Form::Empty
            }
        };
        Self(operations.iter().map(form).collect())
    }

    /// Decodes the `result` of a `transact` reply.
    ///
    /// # Errors
    /// If the server refused the transaction, or the reply is not as specified.
    pub fn decode(&self, result: &[u8]) -> Result<Vec<OperationResult>, OutcomeError> {
        let elements: Vec<Option<Element<'_>>> = serde_json::from_slice(result)?;
        for (position, element) in elements.iter().enumerate() {
            if let Some(Element { error: Some(error), details, .. }) = element {
                return Err(TransactionError {
                    index: (position < self.0.len()).then_some(position),
                    error: error.clone(),
                    details: details.clone(),
                }
                .into());
            }
        }
        if elements.len() != self.0.len() {
            return Err(OutcomeError::malformed(format!(
                "{} results for {} operations",
                elements.len(),
                self.0.len()
            )));
        }
        let results = self.0.iter().zip(elements).enumerate();
        results.map(|(position, (form, element))| form.read(position, element)).collect()
    }
}

#[derive(Deserialize)]
struct Element<'a> {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    details: Option<String>,
    #[serde(default)]
    count: Option<u64>,
    #[serde(default)]
    uuid: Option<Cell>,
    #[serde(default, borrow)]
    rows: Option<&'a RawValue>,
}

/// A value of no known column.
struct Cell(Value);

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut cell = String::new();
        CellSeed { type_: None, out: &mut cell }.deserialize(deserializer)?;
        Ok(Self(ValueRef::of_cell(&cell).into()))
    }
}

impl Form {
    fn read(
        self,
        position: usize,
        element: Option<Element<'_>>,
    ) -> Result<OperationResult, OutcomeError> {
        let wrong =
            || OutcomeError::malformed(format!("result {position} is not of its operation"));
        let element = element.ok_or_else(wrong)?;
        match self {
            Self::Empty => Ok(OperationResult::Empty),
            Self::Count => element.count.map(OperationResult::Count).ok_or_else(wrong),
            Self::Inserted => {
                let uuid = element.uuid.and_then(|cell| cell.0.view().uuid());
                uuid.map(OperationResult::Inserted).ok_or_else(wrong)
            }
            Self::Rows => {
                let rows: Vec<BTreeMap<Box<str>, Cell>> =
                    serde_json::from_str(element.rows.ok_or_else(wrong)?.get())?;
                let plain = |row: BTreeMap<Box<str>, Cell>| {
                    row.into_iter().map(|(column, cell)| (column, cell.0)).collect()
                };
                Ok(OperationResult::Rows(rows.into_iter().map(plain).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::operation::Where;

    fn expected() -> Expected {
        Expected::of(&[
            Operation::Insert { table: "T", uuid_name: None, row: vec![] },
            Operation::Delete { table: "T", row_uuid: Uuid::nil() },
            Operation::Select { table: "T", selection: Where::All, columns: vec![] },
            Operation::Comment(String::new()),
        ])
    }

    const DONE: &str = r#"[{"uuid":["uuid","00000000-0000-0000-0000-000000000007"]},{"count":2},
        {"rows":[{"n":"x","s":["set",[2,1]]}]},{}]"#;

    fn refused(result: &str) -> TransactionError {
        match expected().decode(result.as_bytes()) {
            Err(OutcomeError::Refused(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_result_has_its_operations_form() {
        let results = expected().decode(DONE.as_bytes()).unwrap();
        let row = BTreeMap::from([
            ("n".into(), "x".into()),
            ("s".into(), Value::set(vec![1.into(), 2.into()])),
        ]);
        assert_eq!(
            results,
            [
                OperationResult::Inserted(Uuid::from_u128(7)),
                OperationResult::Count(2),
                OperationResult::Rows(vec![row]),
                OperationResult::Empty,
            ]
        );
    }

    #[test]
    fn an_error_in_any_element_counts() {
        let error = refused(r#"[{},{"error":"timed out","details":"d"},null,null]"#);
        assert_eq!(error.index, Some(1));
        assert_eq!(error.details.as_deref(), Some("d"));
        assert!(error.is_retryable() && error.error == "timed out");
    }

    #[test]
    fn an_error_of_the_commit_is_one_element_more() {
        let error = refused(r#"[{},{},{},{},{"error":"constraint violation"}]"#);
        assert_eq!(error.index, None);
        assert!(!error.is_retryable());
        assert_eq!(error.to_string(), "the server refused the commit: constraint violation");
    }

    #[test]
    fn anything_else_is_malformed() {
        for result in
            ["[]", "{}", "[{},{},{},{}]", "[null,null,null,null]", r#"[{},{"count":-1},{},{}]"#]
        {
            let outcome = expected().decode(result.as_bytes());
            assert!(
                matches!(outcome, Err(OutcomeError::Malformed { .. })),
                "{result}: {outcome:?}"
            );
        }
    }
}
