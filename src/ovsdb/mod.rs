//! OVSDB (RFC 7047): values, schema, updates, the replica and operations, all of them pure. The
//! [`client`] below them does all IO.
//!
//! Owns the protocol's data. May not touch any table's name nor any word of peering: the user
//! passes a list of names ([`Wanted`]), and reads rows by positions in it.

pub mod atom;
pub mod client;
mod decode;
pub mod decode_message;
mod decode_value;
pub mod diff;
mod digits;
pub mod layout;
pub mod operation;
pub mod outcome;
mod packed;
pub mod replica;
pub mod row;
pub mod schema;
pub mod update;
pub mod value;
pub mod wanted;

pub use atom::Atom;
pub use client::{Client, Config, Event, Remote, TlsFiles, TransactError, connect};
pub use decode_message::DecodeError;
pub use layout::{Layout, MonitorRequests};
pub use operation::{Columns, Datum, Mutator, Operation, Until, Where};
pub use outcome::{Expected, OperationResult, OutcomeError, TransactionError};
pub use replica::{Inconsistent, Replica, RowChange, Store};
pub use row::Row;
pub use schema::{AtomicType, BaseType, ColumnSchema, ColumnType, DatabaseSchema, TableSchema};
pub use update::{MonitorMethod, MonitorReply, RowUpdate, TableUpdates, UpdateParams, Updates};
pub use value::{Value, ValueRef};
pub use wanted::{Clause, ColumnId, Condition, Constant, Function, TableId, Wanted};

#[cfg(test)]
mod tests;
