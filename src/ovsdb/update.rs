//! What a server sends about rows: replies to the three monitor methods and the updates after them.
//!
//! Owns the typed form of updates. May not touch the replica. Invariants: nothing here borrows from
//! the bytes it was decoded from; a decoded row is always as wide as its table's layout.

use uuid::Uuid;

use super::row::Row;
use super::value::Value;
use super::wanted::{ColumnId, TableId};

/// How a client asks for rows; each server knows the older methods as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonitorMethod {
    /// `monitor`, RFC 7047 section 4.1.5; updates come as `update`.
    Monitor,
    /// `monitor_cond`, ovsdb-server(7) section 4.1.12; updates come as `update2`.
    MonitorCond,
    /// `monitor_cond_since`, ovsdb-server(7) section 4.1.15; updates come as `update3`.
    MonitorCondSince,
}

impl MonitorMethod {
    /// The method's name in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monitor => "monitor",
            Self::MonitorCond => "monitor_cond",
            Self::MonitorCondSince => "monitor_cond_since",
        }
    }

    /// The method to try when a server does not know this one.
    pub fn older(self) -> Option<Self> {
        match self {
            Self::Monitor => None,
            Self::MonitorCond => Some(Self::Monitor),
            Self::MonitorCondSince => Some(Self::MonitorCond),
        }
    }

    /// The method whose updates arrive as notifications of this name.
    pub fn of_notification(name: &str) -> Option<Self> {
        match name {
            "update" => Some(Self::Monitor),
            "update2" => Some(Self::MonitorCond),
            "update3" => Some(Self::MonitorCondSince),
            _ => None,
        }
    }
}

/// Changes to rows, in the order in which the server sent them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Updates {
    /// Changes by table; a table occurs once at most.
    pub tables: Vec<TableUpdates>,
}

/// Changes to the rows of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableUpdates {
    /// The table.
    pub table: TableId,
    /// Changes by row.
    pub rows: Vec<(Uuid, RowUpdate)>,
}

/// How a row changed.
#[derive(Clone, Debug, PartialEq)]
pub enum RowUpdate {
    /// It was there when the monitor began.
    Initial(Row),
    /// It was inserted, or began to meet the condition.
    Insert(Row),
    /// Differences of the columns that changed, for `apply_diff`.
    Modify(Box<[(ColumnId, Value)]>),
    /// It changed; this is all of it afterwards (only after [`MonitorMethod::Monitor`]).
    Replace(Row),
    /// It was deleted, or ceased to meet the condition.
    Delete,
}

impl Updates {
    /// How many rows it concerns.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.rows.len()).sum()
    }

    /// Whether it concerns no row.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(|table| table.rows.is_empty())
    }
}

/// The reply to a monitor request.
#[derive(Clone, Debug, PartialEq)]
pub struct MonitorReply {
    /// Whether `updates` continue from the transaction that the client named. If not, they are all
    /// rows.
    pub found: bool,
    /// The last transaction contained; nil from a server that keeps no history.
    pub last_id: Uuid,
    /// The rows.
    pub updates: Updates,
}

/// The parameters of an `update`, `update2` or `update3`.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateParams {
    /// The monitor that this belongs to, as JSON text.
    pub monitor_id: Box<str>,
    /// The last transaction contained; nil from a server that keeps no history.
    pub last_id: Uuid,
    /// The rows.
    pub updates: Updates,
}
