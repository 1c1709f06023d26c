//! The obvious reference: a table of ordered sets and maps, and what a server says of it, written
//! as RFC 7047 section 4.1.6 and ovsdb-server(7) sections 4.1.13 to 4.1.16 have it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::update::MonitorMethod;

/// The rows of table `A`.
pub(crate) type Model = BTreeMap<Uuid, Cells>;

/// A row's true contents.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cells {
    pub(crate) name: String,
    pub(crate) optional: Option<i64>,
    pub(crate) set: BTreeSet<String>,
    pub(crate) map: BTreeMap<String, String>,
    pub(crate) real: f64,
    pub(crate) refs: BTreeSet<Uuid>,
}

/// Changes one row as three bytes of input decide: which, and what it is afterwards.
pub(crate) fn change(model: &mut Model, step: &[u8]) {
    let &[row, choice, detail] = step else { return };
    let uuid = Uuid::from_u128(u128::from(row % 5));
    if row & 0x80 == 0 {
        model.insert(uuid, Cells::of(choice, detail));
    } else {
        model.remove(&uuid);
    }
}

/// The reply to a monitor request.
pub(crate) fn dump(method: MonitorMethod, model: &Model) -> Json {
    let form = if method == MonitorMethod::Monitor { "new" } else { "initial" };
    let row = |(uuid, cells): (&Uuid, &Cells)| (uuid.to_string(), json!({form: cells.row()}));
    let tables = json!({"A": model.iter().map(row).collect::<Map<_, _>>()});
    if method == MonitorMethod::MonitorCondSince { json!([false, id(), tables]) } else { tables }
}

/// The parameters of the update that leads from `old` to `new`.
pub(crate) fn update(method: MonitorMethod, old: &Model, new: &Model) -> Json {
    let mut rows = Map::new();
    for uuid in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let form = match (method, old.get(uuid), new.get(uuid)) {
            (_, None, None) => continue,
            (_, Some(old), Some(new)) if old == new => continue,
            (MonitorMethod::Monitor, None, Some(new)) => json!({"new": new.row()}),
            (MonitorMethod::Monitor, Some(old), Some(new)) => {
                json!({"old": old.unlike(new), "new": new.row()})
            }
            (MonitorMethod::Monitor, Some(old), None) => json!({"old": old.row()}),
            (_, None, Some(new)) => json!({"insert": new.row()}),
            (_, Some(old), Some(new)) => json!({"modify": old.diff(new)}),
            (_, Some(_), None) => json!({"delete": null}),
        };
        rows.insert(uuid.to_string(), form);
    }
    let tables = if rows.is_empty() { json!({}) } else { json!({"A": rows}) };
    if method == MonitorMethod::MonitorCondSince {
        json!(["m", id(), tables])
    } else {
        json!(["m", tables])
    }
}

/// The identity of a transaction.
fn id() -> String {
    Uuid::from_u128(9).to_string()
}

impl Cells {
    /// Each bit decides a little.
    fn of(choice: u8, detail: u8) -> Self {
        // Some are short, some hold a hexadecimal number that is kept in pieces.
        let word = |bit: u8| {
            format!(
                "{}\"\u{e9}{}",
                char::from(b'a' + bit),
                "c0ffee00".repeat(usize::from(detail >> 6))
            )
        };
        let bits = (0..4).filter(|bit| (choice >> bit) & 1 == 1);
        Self {
            name: word(choice >> 6),
            optional: (choice & 0x20 != 0).then_some(i64::from(detail) - 128),
            set: bits.clone().map(word).collect(),
            map: bits.clone().map(|bit| (word(bit & 1), word((detail >> bit) & 3))).collect(),
            real: f64::from(detail & 0x1f) / 4.0,
            refs: bits.map(|bit| Uuid::from_u128(u128::from(bit ^ (detail & 1)))).collect(),
        }
    }

    fn columns(&self) -> [(&'static str, Json); 6] {
        [
            ("name", json!(self.name)),
            ("optional", set(self.optional.iter().map(|optional| json!(optional)))),
            ("set", strings(self.set.iter())),
            ("map", map(self.map.iter())),
            ("real", json!(self.real)),
            ("refs", uuids(self.refs.iter())),
        ]
    }

    /// All columns but for those that have their type's default, which update2 leaves out.
    fn row(&self) -> Map<String, Json> {
        let is_default =
            |value: &Json| *value == json!(["set", []]) || *value == json!(["map", []]);
        let columns = self.columns().into_iter().filter(|(_, value)| !is_default(value));
        columns.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The columns that `other` has otherwise.
    fn unlike(&self, other: &Self) -> Map<String, Json> {
        let columns = self.columns().into_iter().zip(other.columns());
        let differs = columns.filter(|(column, other)| column != other);
        differs.map(|((name, value), _)| (name.to_owned(), value)).collect()
    }

    /// What takes this to `new`: of sets and maps the difference, of others the new value.
    fn diff(&self, new: &Self) -> Map<String, Json> {
        let mut columns = new.unlike(self);
        let gone = self.map.iter().filter(|(key, _)| !new.map.contains_key(*key));
        let here = new.map.iter().filter(|(key, value)| self.map.get(*key) != Some(*value));
        for (name, difference) in [
            ("set", strings(self.set.symmetric_difference(&new.set))),
            ("map", map(gone.chain(here))),
            ("refs", uuids(self.refs.symmetric_difference(&new.refs))),
        ] {
            if let Some(column) = columns.get_mut(name) {
                *column = difference;
            }
        }
        columns
    }
}

/// One atom is written bare.
fn set(atoms: impl Iterator<Item = Json>) -> Json {
    let atoms: Vec<_> = atoms.collect();
    if let [atom] = &atoms[..] { atom.clone() } else { json!(["set", atoms]) }
}

fn strings<'a>(atoms: impl Iterator<Item = &'a String>) -> Json {
    set(atoms.map(|atom| json!(atom)))
}

fn uuids<'a>(atoms: impl Iterator<Item = &'a Uuid>) -> Json {
    set(atoms.map(|atom| json!(["uuid", atom.to_string()])))
}

fn map<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> Json {
    json!(["map", pairs.collect::<Vec<_>>()])
}
