//! Which tables and columns are wanted, and where each one sits in a row of the replica.
//!
//! Owns the mapping between names and positions, resolved against the schema of the connected
//! server, and the monitor requests that follow from it. May not touch sockets. Invariants: a
//! position is the same for every schema (users hold them as constants); a table or column that the
//! schema lacks keeps its position and reads as the empty set.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::atom::Atom;
use super::row::Row;
use super::schema::{AtomicType, ColumnType, DatabaseSchema};
use super::value::Value;
use super::wanted::{ColumnId, Condition, TableId, Wanted};

/// The wanted list resolved against one schema.
#[derive(Debug, PartialEq)]
pub struct Layout {
    database: Box<str>,
    tables: Box<[TableLayout]>,
}

/// One wanted table, resolved.
#[derive(Debug)]
pub(super) struct TableLayout {
    wanted: Wanted,
    present: bool,
    columns: Box<[Option<ColumnType>]>,
    default: Row,
}

impl PartialEq for TableLayout {
    fn eq(&self, other: &Self) -> bool {
        self.wanted.table == other.wanted.table
            && self.wanted.columns == other.wanted.columns
            && self.present == other.present
            && self.columns == other.columns
    }
}

impl Layout {
    /// Resolves `wanted` against `schema`. Tables and columns beyond 65,536 are not addressable and
    /// are left out.
    pub fn new(wanted: &'static [Wanted], schema: &DatabaseSchema) -> Self {
        Self {
            database: schema.name.clone(),
            tables: wanted.iter().map(|table| TableLayout::new(*table, schema)).collect(),
        }
    }

    /// The database's name.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Every wanted table's position, whether the schema has it or not.
    pub fn table_ids(&self) -> impl Iterator<Item = TableId> + use<> {
        (0..=u16::MAX).take(self.tables.len()).map(TableId)
    }

    /// Whether the schema has this table.
    pub fn has_table(&self, table: TableId) -> bool {
        self.table(table).is_some_and(|table| table.present)
    }

    /// Whether the schema has this column.
    pub fn has_column(&self, table: TableId, column: ColumnId) -> bool {
        self.column_type(table, column).is_some()
    }

    /// The type that the schema gives this column, if it has it.
    pub fn column_type(&self, table: TableId, column: ColumnId) -> Option<&ColumnType> {
        self.table(table)?.column_type(column)
    }

    /// The name of a wanted table.
    pub fn table_name(&self, table: TableId) -> Option<&'static str> {
        Some(self.table(table)?.wanted.table)
    }

    /// The name of a wanted column.
    pub fn column_name(&self, table: TableId, column: ColumnId) -> Option<&'static str> {
        self.table(table)?.wanted.columns.get(usize::from(column.0)).copied()
    }

    /// The position of a wanted table.
    pub fn table_id(&self, name: &str) -> Option<TableId> {
        let position = self.tables.iter().position(|table| table.wanted.table == name)?;
        u16::try_from(position).ok().map(TableId)
    }

    /// The position of a wanted column.
    pub fn column_id(&self, table: TableId, name: &str) -> Option<ColumnId> {
        self.table(table)?.column_id(name, 0)
    }

    /// How many columns a row of this table has in the replica.
    pub fn width(&self, table: TableId) -> usize {
        self.table(table).map_or(0, |table| table.columns.len())
    }

    /// The `<monitor-cond-requests>` (ovsdb-server(7) section 4.1.12), or with `conditions` false
    /// the `<monitor-requests>` (RFC 7047 section 4.1.5), for all wanted tables and columns that
    /// the schema has.
    pub fn monitor_requests(&self, conditions: bool) -> MonitorRequests<'_> {
        let rows = if conditions { Rows::Wanted } else { Rows::All };
        MonitorRequests { layout: self, rows }
    }

    /// The same requests with conditions that no row meets; [`widenings`](Self::widenings) then
    /// asks for the rows.
    pub(super) fn closed_requests(&self) -> MonitorRequests<'_> {
        MonitorRequests { layout: self, rows: Rows::None }
    }

    /// The `<monitor-cond-update-requests>` (ovsdb-server(7) section 4.1.14) that ask for the rows
    /// wanted, one table after the other.
    pub(super) fn widenings(&self) -> impl Iterator<Item = Widening> {
        let tables = self.tables.iter().filter(|table| table.present);
        tables.map(|TableLayout { wanted, .. }| Widening {
            table: wanted.table,
            condition: wanted.condition,
        })
    }

    pub(super) fn table(&self, table: TableId) -> Option<&TableLayout> {
        self.tables.get(usize::from(table.0))
    }
}

impl TableLayout {
    fn new(wanted: Wanted, schema: &DatabaseSchema) -> Self {
        let table = schema.tables.get(wanted.table);
        let columns: Box<[Option<ColumnType>]> = wanted
            .columns
            .iter()
            .map(|column| Some(table?.columns.get(*column)?.type_.clone()))
            .collect();
        let default = columns.iter().map(|type_| default_value(type_.as_ref())).collect();
        // The server would refuse a request with a condition on an unknown column as a whole.
        let is_known = |condition: &Condition| {
            condition.0.iter().all(|clause| {
                clause.column == "_uuid"
                    || table.is_some_and(|table| table.columns.contains_key(clause.column))
            })
        };
        let condition = wanted.condition.filter(is_known);
        let wanted = Wanted { condition, ..wanted };
        Self { wanted, present: table.is_some(), columns, default }
    }

    pub(super) fn column_type(&self, column: ColumnId) -> Option<&ColumnType> {
        self.columns.get(usize::from(column.0))?.as_ref()
    }

    /// The column of this name, searched from position `hint` on. A server sends the columns of
    /// every row in the same order, so the hint is mostly right.
    pub(super) fn column_id(&self, name: &str, hint: usize) -> Option<ColumnId> {
        let names = self.wanted.columns;
        let from_hint = names.iter().enumerate().skip(hint);
        let position = from_hint
            .chain(names.iter().enumerate().take(hint))
            .find_map(|(position, wanted)| (*wanted == name).then_some(position))?;
        u16::try_from(position).ok().map(ColumnId)
    }

    /// The row that the server means when it omits every column.
    pub(super) fn default_row(&self) -> &Row {
        &self.default
    }
}

/// The value of a column that a server omits because it has its default (RFC 7047 section 5.2.1).
fn default_value(type_: Option<&ColumnType>) -> Value {
    let Some(type_) = type_ else { return Value::empty() };
    if type_.min == 0 || type_.value.is_some() {
        return Value::empty();
    }
    Value::from(match type_.key.atomic {
        AtomicType::Integer => Atom::Integer(0),
        AtomicType::Real => Atom::Real(0.0),
        AtomicType::Boolean => Atom::Boolean(false),
        AtomicType::String => Atom::from(""),
        AtomicType::Uuid => Atom::Uuid(uuid::Uuid::nil()),
    })
}

/// Renders the monitor requests of a [`Layout`].
#[derive(Clone, Copy, Debug)]
pub struct MonitorRequests<'a> {
    layout: &'a Layout,
    rows: Rows,
}

/// Which rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    /// All rows; for a server that knows no conditions.
    All,
    /// Those that meet the tables' conditions.
    Wanted,
    /// None yet.
    None,
}

impl Serialize for MonitorRequests<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for table in self.layout.tables.iter().filter(|table| table.present) {
            let request = MonitorRequest { table, rows: self.rows };
            map.serialize_entry(table.wanted.table, &[request])?;
        }
        map.end()
    }
}

struct MonitorRequest<'a> {
    table: &'a TableLayout,
    rows: Rows,
}

/// RFC 7047 section 4.1.5, `<monitor-select>`.
#[derive(Serialize)]
struct Select {
    initial: bool,
}

impl Serialize for MonitorRequest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("columns", &PresentColumns(self.table))?;
        match (self.rows, self.table.wanted.condition) {
            (Rows::Wanted, Some(condition)) => map.serialize_entry("where", condition.0)?,
            (Rows::None, _) => {
                map.serialize_entry("where", &[false])?;
                // Without this the server copies every row before it finds that none is wanted.
                map.serialize_entry("select", &Select { initial: false })?;
            }
            (Rows::Wanted, None) | (Rows::All, _) => {}
        }
        map.end()
    }
}

/// Renders a request for the rows wanted of a table.
#[derive(Debug)]
pub(super) struct Widening {
    table: &'static str,
    condition: Option<Condition>,
}

impl Serialize for Widening {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Request<W> {
            r#where: W,
        }
        let Self { table, condition } = *self;
        let mut map = serializer.serialize_map(Some(1))?;
        match condition {
            Some(condition) => map.serialize_entry(table, &[Request { r#where: condition.0 }])?,
            None => map.serialize_entry(table, &[Request { r#where: [true] }])?,
        }
        map.end()
    }
}

struct PresentColumns<'a>(&'a TableLayout);

impl Serialize for PresentColumns<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for (name, type_) in self.0.wanted.columns.iter().zip(&self.0.columns) {
            if type_.is_some() {
                seq.serialize_element(name)?;
            }
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ovsdb::{Clause, Constant, Function};

    const OTHER: &[Clause] =
        &[Clause { column: "name", function: Function::NotEqual, value: Constant::String("x") }];
    const UNKNOWN: &[Clause] =
        &[Clause { column: "no", function: Function::Equal, value: Constant::Boolean(true) }];

    const WANTED: &[Wanted] = &[
        Wanted {
            table: "Port",
            columns: &["name", "tag", "vanished", "ids"],
            condition: Some(Condition(OTHER)),
        },
        Wanted { table: "Gone", columns: &["a"], condition: None },
        Wanted { table: "Bare", columns: &["ok"], condition: Some(Condition(UNKNOWN)) },
    ];

    fn layout() -> Layout {
        let schema = serde_json::from_str(
            r#"{"name":"D","tables":{
              "Port":{"columns":{"name":{"type":"string"},
                "tag":{"type":{"key":"integer","min":0}},
                "ids":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}}}},
              "Bare":{"columns":{"ok":{"type":"boolean"}}}}}"#,
        )
        .unwrap();
        Layout::new(WANTED, &schema)
    }

    #[test]
    fn positions_do_not_depend_on_the_schema() {
        let layout = layout();
        let port = layout.table_id("Port").unwrap();
        assert_eq!(port, TableId(0));
        assert_eq!(layout.table_id("Bare"), Some(TableId(2)));
        assert_eq!(layout.column_id(port, "ids"), Some(ColumnId(3)));
        assert!(layout.has_table(port) && !layout.has_table(TableId(1)));
        assert!(layout.has_column(port, ColumnId(3)) && !layout.has_column(port, ColumnId(2)));
        assert_eq!(layout.width(port), 4);
    }

    #[test]
    fn omitted_cells_have_the_defaults_of_their_types() {
        let layout = layout();
        let row = layout.table(TableId(0)).unwrap().default_row();
        let defaults = [Value::from(""), Value::empty(), Value::empty(), Value::empty()];
        assert_eq!(*row, defaults.into_iter().collect());
    }

    #[test]
    fn requests_name_only_what_is_there() {
        let requests = serde_json::to_value(layout().monitor_requests(true)).unwrap();
        assert_eq!(
            requests,
            serde_json::json!({
                "Port": [{"columns": ["name", "tag", "ids"], "where": [["name", "!=", "x"]]}],
                "Bare": [{"columns": ["ok"]}],
            })
        );
        let plain = serde_json::to_value(layout().monitor_requests(false)).unwrap();
        assert_eq!(plain["Port"][0].get("where"), None);
        let closed = serde_json::to_value(layout().closed_requests()).unwrap();
        let none =
            serde_json::json!({"columns": ["ok"], "where": [false], "select": {"initial": false}});
        assert_eq!(closed["Bare"][0], none);
        let layout = layout();
        let widenings: Vec<_> = layout.widenings().map(|it| serde_json::json!(it)).collect();
        assert_eq!(
            widenings,
            [
                serde_json::json!({"Port": [{"where": [["name", "!=", "x"]]}]}),
                serde_json::json!({"Bare": [{"where": [true]}]}),
            ]
        );
    }

    #[test]
    fn a_column_is_found_whatever_the_hint() {
        let layout = layout();
        let table = layout.table(TableId(0)).unwrap();
        for hint in 0..6 {
            assert_eq!(table.column_id("tag", hint), Some(ColumnId(1)));
            assert_eq!(table.column_id("other", hint), None);
        }
    }
}
