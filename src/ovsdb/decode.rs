//! Typed decoding of updates, straight from bytes into rows.
//!
//! Owns the serde seeds of rows and updates; a `Layout` guides them. May not touch the replica.
//! Builds no intermediate JSON tree, because a client spends nearly all of its CPU time here. It
//! skips tables, columns and members that the client did not ask for.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::decode_value::{CellSeed, NameSeed, UuidText};
use super::layout::{Layout, TableLayout};
use super::row::Row;
use super::update::{MonitorMethod, MonitorReply, RowUpdate, TableUpdates, UpdateParams, Updates};
use super::value::{Value, ValueRef};
use super::wanted::{ColumnId, TableId};

/// Decodes all of `bytes` by `seed`.
pub(super) fn whole<'de, S: DeserializeSeed<'de>>(
    seed: S,
    bytes: &'de [u8],
) -> Result<S::Value, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Decodes one member of an object by a seed and skips the others. So the large part of a message
/// is read once, from the message itself.
struct MemberSeed<S>(&'static str, S);

/// Decodes the member `name` of the message in `bytes` by `seed`.
pub(super) fn member<'de, S: DeserializeSeed<'de>>(
    name: &'static str,
    seed: S,
    bytes: &'de [u8],
) -> Result<S::Value, serde_json::Error> {
    whole(MemberSeed(name, seed), bytes)
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for MemberSeed<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for MemberSeed<S> {
    type Value = S::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<S::Value, A::Error> {
        let (name, mut seed, mut value) = (self.0, Some(self.1), None);
        while let Some(wanted) = map.next_key_seed(NameSeed(|key: &str| key == name))? {
            match seed.take_if(|_| wanted) {
                Some(seed) => value = Some(map.next_value_seed(seed)?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        value.ok_or_else(|| A::Error::missing_field(name))
    }
}

/// The `result` of a monitor request.
#[derive(Clone, Copy)]
pub(super) struct ReplySeed<'a> {
    pub(super) layout: &'a Layout,
    pub(super) method: MonitorMethod,
}

impl<'de> DeserializeSeed<'de> for ReplySeed<'_> {
    type Value = MonitorReply;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<MonitorReply, D::Error> {
        if self.method == MonitorMethod::MonitorCondSince {
            return deserializer.deserialize_seq(self);
        }
        let scratch = RefCell::default();
        let (layout, method) = (self.layout, self.method);
        let seed = UpdatesSeed { layout, method, partial: false, scratch: &scratch };
        let updates = seed.deserialize(deserializer)?;
        Ok(MonitorReply { found: false, last_id: Uuid::nil(), updates })
    }
}

impl<'de> Visitor<'de> for ReplySeed<'_> {
    type Value = MonitorReply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[found, last transaction id, table updates]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<MonitorReply, A::Error> {
        let found: bool = seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let last_id =
            seq.next_element_seed(UuidText)?.ok_or_else(|| A::Error::invalid_length(1, &self))?;
        let scratch = RefCell::default();
        let (layout, method) = (self.layout, self.method);
        let seed = UpdatesSeed { layout, method, partial: found, scratch: &scratch };
        let updates =
            seq.next_element_seed(seed)?.ok_or_else(|| A::Error::invalid_length(2, &self))?;
        end_of_seq(seq)?;
        Ok(MonitorReply { found, last_id, updates })
    }
}

/// The `params` of an update notification of any monitor.
#[derive(Clone, Copy)]
pub(super) struct ParamsSeed<'a> {
    /// Finds a monitor's layout by its id as JSON text.
    pub(super) layout_of: &'a dyn Fn(&str) -> Option<&'a Layout>,
    pub(super) method: MonitorMethod,
}

impl<'de> DeserializeSeed<'de> for ParamsSeed<'_> {
    type Value = UpdateParams;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<UpdateParams, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ParamsSeed<'_> {
    type Value = UpdateParams;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[monitor id, table updates], in update3 with the transaction id between")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<UpdateParams, A::Error> {
        let monitor_id: Box<RawValue> =
            seq.next_element()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let last_id = if self.method == MonitorMethod::MonitorCondSince {
            seq.next_element_seed(UuidText)?.ok_or_else(|| A::Error::invalid_length(1, &self))?
        } else {
            Uuid::nil()
        };
        let layout = (self.layout_of)(monitor_id.get())
            .ok_or_else(|| A::Error::custom(format_args!("no monitor has the id {monitor_id}")))?;
        let scratch = RefCell::default();
        let seed = UpdatesSeed { layout, method: self.method, partial: true, scratch: &scratch };
        let updates =
            seq.next_element_seed(seed)?.ok_or_else(|| A::Error::invalid_length(2, &self))?;
        end_of_seq(seq)?;
        Ok(UpdateParams { monitor_id: monitor_id.into(), last_id, updates })
    }
}

fn end_of_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    match seq.next_element::<IgnoredAny>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("more elements than specified")),
    }
}

/// `<table-updates>` or `<table-updates2>`.
#[derive(Clone, Copy)]
struct UpdatesSeed<'a> {
    layout: &'a Layout,
    method: MonitorMethod,
    /// Whether rows may be modified or deleted; a first dump only has rows that are there.
    partial: bool,
    scratch: &'a RefCell<Scratch>,
}

/// The packed cells of the row that is being read, in the order in which they come. One buffer
/// serves a whole message, so that a row costs no allocation but its own.
#[derive(Default)]
struct Scratch {
    text: String,
    cells: Vec<(ColumnId, Range<usize>)>,
    row: String,
}

impl Scratch {
    /// Reads a row's cells; skips those that the client did not ask for.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        table: &TableLayout,
        mut map: A,
    ) -> Result<(), A::Error> {
        self.text.clear();
        self.cells.clear();
        let mut hint = 0;
        while let Some(column) =
            map.next_key_seed(NameSeed(|name: &str| table.column_id(name, hint)))?
        {
            match column.and_then(|column| Some((column, table.column_type(column)?))) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some((column, type_)) => {
                    let start = self.text.len();
                    map.next_value_seed(CellSeed { type_: Some(type_), out: &mut self.text })?;
                    hint = usize::from(column.0) + 1;
                    self.cells.push((column, start..self.text.len()));
                }
            }
        }
        Ok(())
    }

    /// The whole row. A column that the server omits has its default; if a column comes twice, the
    /// last one counts.
    fn row(&mut self, default: &Row) -> Row {
        self.row.clear();
        for (position, default) in default.cells().enumerate() {
            let mut cells = self.cells.iter().rev();
            let found = cells.find(|(column, _)| usize::from(column.0) == position);
            let found = found.and_then(|(_, range)| self.text.get(range.clone()));
            self.row.push_str(found.unwrap_or(default.cell()));
        }
        Row::of_cells(&self.row)
    }

    /// The cells alone.
    fn differences(&self) -> Box<[(ColumnId, Value)]> {
        let cell = |range: &Range<usize>| self.text.get(range.clone()).map(ValueRef::of_cell);
        let cells = self.cells.iter();
        cells.filter_map(|(column, range)| Some((*column, cell(range)?.into()))).collect()
    }
}

impl<'de> DeserializeSeed<'de> for UpdatesSeed<'_> {
    type Value = Updates;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Updates, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for UpdatesSeed<'_> {
    type Value = Updates;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tables")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Updates, A::Error> {
        let mut tables: Vec<TableUpdates> = Vec::new();
        while let Some(id) = map.next_key_seed(NameSeed(|name: &str| self.layout.table_id(name)))? {
            match id.and_then(|id| Some((id, self.layout.table(id)?))) {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some((id, table)) => {
                    if tables.iter().any(|seen| seen.table == id) {
                        return Err(A::Error::custom("a table occurs twice"));
                    }
                    let rows = map.next_value_seed(RowsSeed { updates: self, id, table })?;
                    tables.push(TableUpdates { table: id, rows });
                }
            }
        }
        Ok(Updates { tables })
    }
}

/// The rows of one table.
#[derive(Clone, Copy)]
struct RowsSeed<'a> {
    updates: UpdatesSeed<'a>,
    id: TableId,
    table: &'a TableLayout,
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Vec<(Uuid, RowUpdate)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Vec<(Uuid, RowUpdate)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of rows")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::new();
        while let Some(uuid) = map.next_key_seed(UuidText)? {
            let update = map.next_value_seed(RowUpdateSeed(self)).map_err(|error| {
                let table = self.updates.layout.table_name(self.id).unwrap_or_default();
                A::Error::custom(format_args!("row {uuid} of {table}: {error}"))
            })?;
            rows.push((uuid, update));
        }
        Ok(rows)
    }
}

/// `<row-update>` or `<row-update2>`.
#[derive(Clone, Copy)]
struct RowUpdateSeed<'a>(RowsSeed<'a>);

/// The members of a row update.
#[derive(Clone, Copy)]
enum Member {
    Initial,
    Insert,
    Modify,
    Delete,
    Old,
    New,
}

impl Member {
    fn of(name: &str) -> Option<Self> {
        match name {
            "initial" => Some(Self::Initial),
            "insert" => Some(Self::Insert),
            "modify" => Some(Self::Modify),
            "delete" => Some(Self::Delete),
            "old" => Some(Self::Old),
            "new" => Some(Self::New),
            _ => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for RowUpdateSeed<'_> {
    type Value = RowUpdate;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RowUpdate, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl RowUpdateSeed<'_> {
    /// One member of `<row-update2>`.
    fn second<'de, A: MapAccess<'de>>(
        &self,
        member: Member,
        map: &mut A,
    ) -> Result<RowUpdate, A::Error> {
        match member {
            Member::Initial => map.next_value_seed(RowSeed(self.0)).map(RowUpdate::Initial),
            Member::Insert => map.next_value_seed(RowSeed(self.0)).map(RowUpdate::Insert),
            Member::Modify => map.next_value_seed(DiffSeed(self.0)).map(RowUpdate::Modify),
            Member::Delete => map.next_value::<IgnoredAny>().map(|_| RowUpdate::Delete),
            Member::Old | Member::New => Err(A::Error::custom("`old` or `new` in an update2")),
        }
    }
}

impl<'de> Visitor<'de> for RowUpdateSeed<'_> {
    type Value = RowUpdate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row update")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RowUpdate, A::Error> {
        let (mut old, mut found) = (false, None);
        while let Some(member) = map.next_key_seed(NameSeed(Member::of))? {
            let update = match (member, self.0.updates.method) {
                (None, _) => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
                (Some(Member::Old), MonitorMethod::Monitor) => {
                    map.next_value::<IgnoredAny>()?;
                    old = true;
                    continue;
                }
                (Some(Member::New), MonitorMethod::Monitor) => {
                    RowUpdate::Insert(map.next_value_seed(RowSeed(self.0))?)
                }
                (Some(_), MonitorMethod::Monitor) => {
                    return Err(A::Error::custom("neither `old` nor `new` in an update"));
                }
                (Some(member), MonitorMethod::MonitorCond | MonitorMethod::MonitorCondSince) => {
                    self.second(member, &mut map)?
                }
            };
            if found.replace(update).is_some() {
                return Err(A::Error::custom("a row is updated twice"));
            }
        }
        self.check(found, old).map_err(A::Error::custom)
    }
}

impl RowUpdateSeed<'_> {
    fn check(&self, found: Option<RowUpdate>, old: bool) -> Result<RowUpdate, &'static str> {
        let update = match (found, old) {
            (Some(RowUpdate::Insert(row)), true) => RowUpdate::Replace(row),
            (Some(RowUpdate::Insert(row)), false) if !self.0.updates.partial => {
                RowUpdate::Initial(row)
            }
            (Some(update), _) => update,
            (None, true) => RowUpdate::Delete,
            (None, false) => return Err("an update that says nothing"),
        };
        let whole = matches!(update, RowUpdate::Initial(_));
        if self.0.updates.partial || whole { Ok(update) } else { Err("a change in a first dump") }
    }
}

/// A whole row; columns that the server omits have their defaults.
struct RowSeed<'a>(RowsSeed<'a>);

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Row;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Row, A::Error> {
        let mut scratch = self.0.updates.scratch.borrow_mut();
        scratch.read(self.0.table, map)?;
        Ok(scratch.row(self.0.table.default_row()))
    }
}

/// The columns of a `modify`.
struct DiffSeed<'a>(RowsSeed<'a>);

impl<'de> DeserializeSeed<'de> for DiffSeed<'_> {
    type Value = Box<[(ColumnId, Value)]>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for DiffSeed<'_> {
    type Value = Box<[(ColumnId, Value)]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the differences of a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let mut scratch = self.0.updates.scratch.borrow_mut();
        scratch.read(self.0.table, map)?;
        Ok(scratch.differences())
    }
}
