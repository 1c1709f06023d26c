//! A northbound in memory: the part of RFC 7047 that the core's transactions use, with garbage
//! collection of unreferenced rows and the index on names, so that thousands of random steps run
//! in seconds. The same runs on a real server are in `tests/peering`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ovn_peerd::northbound::counters::COUNTERS_NAME;
use ovn_peerd::northbound::owner::OWNER_KEY;
use ovn_peerd::northbound::tables::{
    ACL, ADDRESS_SET, BALANCER_GROUP, DNS, HEALTH_CHECK, LOAD_BALANCER, LOGICAL_ROUTER,
    LOGICAL_SWITCH, NAT, NB_GLOBAL, PORT_GROUP, ROUTER_POLICY, ROUTER_PORT, STATIC_ROUTE,
    SWITCH_PORT, WANTED, address_set, balancer_group, load_balancer, logical_router,
    logical_switch, nat, nb_global, port_group, router_port, switch_port,
};
use ovn_peerd::northbound::{Northbound, tags_of};
use ovn_peerd::ovsdb::update::{RowUpdate, TableUpdates};
use ovn_peerd::ovsdb::{
    Atom, ColumnId, DatabaseSchema, Datum, Layout, Mutator, Operation, Row, Store, TableId, Until,
    Updates, Value, ValueRef, Where,
};
use uuid::Uuid;

pub type Rows = BTreeMap<(TableId, Uuid), Row>;

/// The database.
#[derive(Clone, Debug)]
pub struct Database {
    pub layout: Arc<Layout>,
    pub rows: Rows,
    next: u128,
    pub transactions: u64,
    /// Rows that nobody may remove.
    pub kept: BTreeSet<(TableId, Uuid)>,
}

const MAPS: &[&str] =
    &["options", "external_ids", "ipv6_ra_configs", "vips", "ip_port_mappings", "records"];
const SETS: &[&str] = &[
    "ports",
    "static_routes",
    "policies",
    "networks",
    "gateway_chassis",
    "ha_chassis_group",
    "peer",
    "enabled",
    "output_port",
    "bfd",
    "nexthops",
    "addresses",
    "nat",
    "allowed_ext_ips",
    "exempted_ext_ips",
    "bfd_sessions",
    "dhcp_relay",
    "health_checks",
    "mirror_rules",
    "port_security",
    "selection_fields",
    "load_balancer",
    "load_balancer_group",
    "health_check",
    "dns_records",
    "acls",
    "protocol",
];
const INTEGERS: &[&str] = &["nb_cfg", "sb_cfg", "priority"];

/// Strong references: the parents' table, its column, the children's table.
pub const LISTS: &[(TableId, ColumnId, TableId)] = &[
    (LOGICAL_ROUTER, logical_router::PORTS, ROUTER_PORT),
    (LOGICAL_ROUTER, logical_router::STATIC_ROUTES, STATIC_ROUTE),
    (LOGICAL_ROUTER, logical_router::POLICIES, ROUTER_POLICY),
    (LOGICAL_ROUTER, logical_router::NAT, NAT),
    (LOGICAL_SWITCH, logical_switch::PORTS, SWITCH_PORT),
    (LOAD_BALANCER, load_balancer::HEALTH_CHECK, HEALTH_CHECK),
    (PORT_GROUP, port_group::ACLS, ACL),
];

/// Weak references: the tables with them, their columns, and the tables referred to.
const WEAK: &[(TableId, ColumnId, TableId)] = &[
    (LOGICAL_ROUTER, logical_router::LOAD_BALANCER, LOAD_BALANCER),
    (LOGICAL_SWITCH, logical_switch::LOAD_BALANCER, LOAD_BALANCER),
    (LOGICAL_SWITCH, logical_switch::DNS_RECORDS, DNS),
    (BALANCER_GROUP, balancer_group::LOAD_BALANCER, LOAD_BALANCER),
];

/// The columns that are read, with their kinds as in ovn-nb(5).
fn schema() -> DatabaseSchema {
    let mut tables = serde_json::Map::new();
    for wanted in WANTED {
        let column = |name: &str| {
            let kind = if MAPS.contains(&name) {
                serde_json::json!({"key": "string", "value": "string", "min": 0, "max": "unlimited"})
            } else if SETS.contains(&name) {
                serde_json::json!({"key": "string", "min": 0, "max": "unlimited"})
            } else if INTEGERS.contains(&name) {
                serde_json::json!({"key": "integer"})
            } else {
                serde_json::json!({"key": "string"})
            };
            serde_json::json!({ "type": kind })
        };
        let columns: serde_json::Map<_, _> =
            wanted.columns.iter().map(|name| ((*name).to_owned(), column(name))).collect();
        tables.insert(wanted.table.to_owned(), serde_json::json!({ "columns": columns }));
    }
    let schema =
        serde_json::json!({"name": "OVN_Northbound", "version": "7.0.0", "tables": tables});
    serde_json::from_value(schema).expect("a schema")
}

impl Database {
    pub fn new() -> Self {
        let layout = Arc::new(Layout::new(WANTED, &schema()));
        let (rows, kept) = (Rows::new(), BTreeSet::new());
        let mut database = Self { layout, rows, next: 1, transactions: 0, kept };
        database.insert(NB_GLOBAL, &[(ColumnId(0), 0.into()), (ColumnId(1), 0.into())]);
        database
    }

    pub fn uuid(&mut self) -> Uuid {
        self.next += 1;
        // Spread, so that the order of identities is not the order of insertion.
        Uuid::from_u128(self.next.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
    }

    pub fn insert(&mut self, table: TableId, cells: &[(ColumnId, Atom)]) -> Uuid {
        let uuid = self.uuid();
        let mut row: Vec<Value> = vec![Value::empty(); self.layout.width(table)];
        for (column, atom) in cells {
            row[usize::from(column.0)] = Value::from(atom.clone());
        }
        self.rows.insert((table, uuid), row.into_iter().collect());
        uuid
    }

    pub fn cell(&self, table: TableId, uuid: Uuid, column: ColumnId) -> ValueRef<'_> {
        self.rows[&(table, uuid)].get(column)
    }

    pub fn set(&mut self, table: TableId, uuid: Uuid, column: ColumnId, value: Value) {
        if let Some(row) = self.rows.get_mut(&(table, uuid)) {
            *row = row.with(column, value.view());
        }
    }

    /// Adds a child to, or takes it from, a router's list.
    pub fn refer(&mut self, router: Uuid, column: ColumnId, child: Uuid, there: bool) {
        let mut members: Vec<Atom> =
            self.cell(LOGICAL_ROUTER, router, column).uuids().map(Atom::from).collect();
        members.retain(|member| *member != Atom::from(child));
        if there {
            members.push(child.into());
        }
        self.set(LOGICAL_ROUTER, router, column, Value::set(members));
    }

    pub fn global(&self) -> (Uuid, i64, i64) {
        let ((_, uuid), row) =
            self.rows.iter().find(|((table, _), _)| *table == NB_GLOBAL).unwrap();
        (
            *uuid,
            row.get(nb_global::NB_CFG).integer().unwrap_or(0),
            row.get(nb_global::SB_CFG).integer().unwrap_or(0),
        )
    }

    /// The rows that meet the monitor's conditions: of Address_Sets, those with our tag, and the
    /// counters; of switch
    /// ports, all but VMs', and those with our tag; of NAT, what translates sources.
    pub fn monitored(&self) -> Rows {
        let mut rows = self.rows.clone();
        rows.retain(|(table, _), row| {
            let text = |column: ColumnId| row.get(column).string();
            let tagged = tags_of(*table).is_some_and(|tags| row.get(tags).get(OWNER_KEY).is_some());
            match *table {
                ADDRESS_SET => tagged || text(address_set::NAME) == COUNTERS_NAME,
                SWITCH_PORT => tagged || !text(switch_port::TYPE).is_empty(),
                NAT => text(nat::TYPE) != "dnat",
                _ => true,
            }
        });
        rows
    }

    /// What a monitor would send for the way from `before` to `now`.
    pub fn updates(before: &Rows, now: &Rows) -> Updates {
        let mut tables: BTreeMap<TableId, Vec<(Uuid, RowUpdate)>> = BTreeMap::new();
        for ((table, uuid), row) in now {
            let update = match before.get(&(*table, *uuid)) {
                None => RowUpdate::Insert(row.clone()),
                Some(old) if old != row => RowUpdate::Replace(row.clone()),
                Some(_) => continue,
            };
            tables.entry(*table).or_default().push((*uuid, update));
        }
        for (table, uuid) in before.keys().filter(|key| !now.contains_key(key)) {
            tables.entry(*table).or_default().push((*uuid, RowUpdate::Delete));
        }
        let tables = tables.into_iter().map(|(table, rows)| TableUpdates { table, rows });
        Updates { tables: tables.collect() }
    }

    /// All of `told` as a first dump: as the client reads it, a table at a time.
    pub fn dump(&self, told: &Rows) -> Northbound {
        let mut northbound = Northbound::empty(Arc::clone(&self.layout));
        for table in Self::updates(&Rows::new(), told).tables {
            northbound.extend(Updates { tables: vec![table] }).expect("each row comes once");
        }
        northbound
    }

    /// Removes what nothing refers to, as strong references of non-root tables demand.
    pub fn collect(&mut self) {
        let mut held: BTreeSet<(TableId, Uuid)> = BTreeSet::new();
        for ((of, _), row) in &self.rows {
            for (_, column, table) in LISTS.iter().filter(|(parent, _, _)| parent == of) {
                held.extend(row.get(*column).uuids().map(|uuid| (*table, uuid)));
            }
        }
        let is_child = |key: &(TableId, Uuid)| LISTS.iter().any(|(_, _, child)| *child == key.0);
        self.rows.retain(|key, _| !is_child(key) || held.contains(key));
        // A weak reference goes with what it refers to.
        for (table, column, referred) in WEAK {
            let holders: Vec<Uuid> =
                self.rows.keys().filter(|(of, _)| of == table).map(|(_, uuid)| *uuid).collect();
            for holder in holders {
                let old: Vec<Uuid> = self.cell(*table, holder, *column).uuids().collect();
                let there = |uuid: &&Uuid| self.rows.contains_key(&(*referred, **uuid));
                let left: Vec<Atom> = old.iter().filter(there).map(|it| Atom::from(*it)).collect();
                if left.len() < old.len() {
                    self.set(*table, holder, *column, Value::set(left));
                }
            }
        }
    }

    /// Commits a transaction whole, or says what is wrong with it.
    pub fn transact(&mut self, operations: &[Operation]) -> Result<(), String> {
        let mut draft = self.clone();
        let mut names: HashMap<String, Uuid> = HashMap::new();
        for operation in operations {
            if let Operation::Insert { uuid_name: Some(name), .. } = operation {
                names.insert(name.clone(), draft.uuid());
            }
        }
        for operation in operations {
            draft.execute(operation, &names)?;
        }
        draft.collect();
        draft.check()?;
        draft.transactions += 1;
        *self = draft;
        Ok(())
    }

    fn execute(
        &mut self,
        operation: &Operation,
        names: &HashMap<String, Uuid>,
    ) -> Result<(), String> {
        match operation {
            Operation::Assert { .. } | Operation::Comment(_) => {}
            Operation::Insert { table, uuid_name, row } => {
                let table = self.layout.table_id(table).unwrap();
                let uuid = match uuid_name {
                    Some(name) => names[name],
                    None => self.uuid(),
                };
                let empty: Vec<Value> = vec![Value::empty(); self.layout.width(table)];
                self.rows.insert((table, uuid), empty.into_iter().collect());
                for (column, datum) in row {
                    let column = self.layout.column_id(table, column).unwrap();
                    self.set(table, uuid, column, value(datum, names));
                }
            }
            Operation::Update { table, row_uuid, row } => {
                let table = self.layout.table_id(table).unwrap();
                // A condition that finds no row is no error.
                if !self.rows.contains_key(&(table, *row_uuid)) {
                    return Ok(());
                }
                for (column, datum) in row {
                    let column = self.layout.column_id(table, column).unwrap();
                    self.set(table, *row_uuid, column, value(datum, names));
                }
            }
            Operation::Delete { table, row_uuid } => {
                let table = self.layout.table_id(table).unwrap();
                self.rows.remove(&(table, *row_uuid));
            }
            Operation::Mutate { table, selection, mutations } => {
                let table = self.layout.table_id(table).unwrap();
                for uuid in self.select(table, selection, names) {
                    for (column, mutator, datum) in mutations {
                        let column = self.layout.column_id(table, column).unwrap();
                        let old = self.cell(table, uuid, column);
                        let new = mutated(old, *mutator, datum, names);
                        self.set(table, uuid, column, new);
                    }
                }
            }
            Operation::Wait { table, selection, columns, until, rows } => {
                let table = self.layout.table_id(table).unwrap();
                let found: Vec<Vec<Value>> = self
                    .select(table, selection, names)
                    .into_iter()
                    .map(|uuid| {
                        let cell = |column: &&str| {
                            let column = self.layout.column_id(table, column).unwrap();
                            self.cell(table, uuid, column).into()
                        };
                        columns.iter().map(cell).collect()
                    })
                    .collect();
                let wanted: Vec<Vec<Value>> = rows
                    .iter()
                    .map(|row| row.iter().map(|(_, datum)| value(datum, names)).collect())
                    .collect();
                if (found == wanted) != (*until == Until::Equal) {
                    return Err("timed out".into());
                }
            }
            Operation::Select { .. } => return Err("not used by the core".into()),
        }
        Ok(())
    }

    fn select(
        &self,
        table: TableId,
        selection: &Where,
        names: &HashMap<String, Uuid>,
    ) -> Vec<Uuid> {
        let all = self.rows.keys().filter(|(of, _)| *of == table).map(|(_, uuid)| *uuid);
        match selection {
            Where::All => all.collect(),
            Where::Uuid(uuid) => all.filter(|other| other == uuid).collect(),
            Where::Equal(columns) => {
                let same = |uuid: &Uuid| {
                    columns.iter().all(|(column, datum)| {
                        if *column == "_uuid" {
                            return value(datum, names).view().uuid() == Some(*uuid);
                        }
                        let column = self.layout.column_id(table, column).unwrap();
                        self.cell(table, *uuid, column) == value(datum, names)
                    })
                };
                all.filter(same).collect()
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.kept.iter().any(|row| !self.rows.contains_key(row)) {
            return Err("constraint violation".into());
        }
        for (table, column) in [
            (ROUTER_PORT, router_port::NAME),
            (SWITCH_PORT, switch_port::NAME),
            (ADDRESS_SET, address_set::NAME),
        ] {
            let mut names = BTreeSet::new();
            for ((_, uuid), _) in self.rows.iter().filter(|((of, _), _)| *of == table) {
                let name = self.cell(table, *uuid, column).string();
                if !name.is_empty() && !names.insert(name.to_owned()) {
                    return Err("constraint violation".into());
                }
            }
        }
        for ((_, uuid), row) in self.rows.iter().filter(|((of, _), _)| *of == ROUTER_PORT) {
            if row.get(router_port::NETWORKS).is_empty() {
                return Err(format!("port {uuid} has no network"));
            }
        }
        for (_, row) in self.rows.iter().filter(|((of, _), _)| *of == NAT) {
            let set = row.get(nat::EXEMPTED_EXT_IPS).uuid();
            if set.is_some_and(|set| !self.rows.contains_key(&(ADDRESS_SET, set))) {
                return Err("referential integrity violation".into());
            }
        }
        Ok(())
    }
}

fn atoms(datum: &Datum, names: &HashMap<String, Uuid>) -> Vec<Atom> {
    match datum {
        Datum::Integer(integer) => vec![(*integer).into()],
        Datum::Boolean(boolean) => vec![(*boolean).into()],
        Datum::String(text) => vec![text.as_str().into()],
        Datum::Uuid(uuid) => vec![(*uuid).into()],
        Datum::NamedUuid(name) => vec![names[name].into()],
        Datum::Set(members) => members.iter().flat_map(|member| atoms(member, names)).collect(),
        Datum::Map(_) => panic!("a map has no atoms"),
    }
}

fn value(datum: &Datum, names: &HashMap<String, Uuid>) -> Value {
    match datum {
        Datum::Map(pairs) => Value::map(
            pairs.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect(),
        ),
        other => Value::set(atoms(other, names)),
    }
}

fn mutated(
    old: ValueRef<'_>,
    mutator: Mutator,
    datum: &Datum,
    names: &HashMap<String, Uuid>,
) -> Value {
    match (mutator, datum) {
        (Mutator::Add, Datum::Integer(by)) => Value::from(old.integer().unwrap_or(0) + by),
        (Mutator::Insert, Datum::Map(pairs)) => {
            let mut map: BTreeMap<String, String> =
                old.entries().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            for (key, value) in pairs {
                map.entry(key.clone()).or_insert_with(|| value.clone());
            }
            value(&Datum::Map(map.into_iter().collect()), names)
        }
        (Mutator::Delete, Datum::Set(_)) if old.pairs().next().is_some() => {
            let keys = atoms(datum, names);
            let pairs = old.pairs().map(|(key, value)| (key.owned(), value.owned()));
            Value::map(pairs.filter(|(key, _)| !keys.contains(key)).collect())
        }
        (Mutator::Delete, Datum::Map(gone)) => {
            let is_gone =
                |key: &str, value: &str| gone.iter().any(|it| it.0 == key && it.1 == value);
            let map = old.entries().filter(|(key, value)| !is_gone(key, value));
            let map = map.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            value(&Datum::Map(map), names)
        }
        (Mutator::Insert, _) => {
            Value::set(old.atoms().map(Atom::owned).chain(atoms(datum, names)).collect())
        }
        (Mutator::Delete, _) => {
            let gone = atoms(datum, names);
            Value::set(old.atoms().map(Atom::owned).filter(|atom| !gone.contains(atom)).collect())
        }
        (other, _) => panic!("{other:?} is not used by the core"),
    }
}
