//! A deployment in memory: routers, other people's rows, files, and an engine that looks after it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use ovn_peerd::declare::{Reading, Settings};
use ovn_peerd::engine::{Engine, Event};
use ovn_peerd::northbound::counters::COUNTERS_NAME;
use ovn_peerd::northbound::owner::UNIT_KEY;
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, LOGICAL_SWITCH, NB_GLOBAL, ROUTER_PORT, address_set,
    logical_router, logical_switch, nb_global, router_port,
};
use ovn_peerd::northbound::{Northbound, tags_of};
use ovn_peerd::now::Now;
use ovn_peerd::ovsdb::{self, Row, TableId, TransactError, TransactionError, Value};
use proptest::prelude::*;
use uuid::Uuid;

use crate::database::{Database, Rows};
use crate::guests::Leases;
use crate::late::{Late, asks_northd};
use crate::meddling::Meddling;
use crate::terms::Terms;

/// Prefixes of which many overlap.
pub const PREFIXES: &[&str] = &[
    "10.0.0.0/24",
    "10.0.1.0/24",
    "10.0.0.0/23",
    "10.0.1.128/25",
    "10.2.0.0/24",
    "10.3.0.0/24",
    "fd00::/64",
    "fd01::/64",
];
pub const NETWORKS: usize = 5;

/// A router of somebody's.
#[derive(Clone, Debug, Default)]
pub struct Router {
    pub uuid: Uuid,
    pub ports: BTreeMap<usize, Uuid>,
    pub routes: BTreeMap<usize, Uuid>,
    /// Routes to guests, with the guest's address.
    pub guests: BTreeMap<usize, (Uuid, IpAddr)>,
    /// Prefix -> the row that translates it.
    pub nats: BTreeMap<usize, Uuid>,
}

/// What one project declares: for each target, whether it is enabled.
pub type Halves = BTreeMap<usize, bool>;

/// What a project stores: for each of a few targets, whether it is enabled.
pub fn halves() -> impl Strategy<Value = Halves> {
    prop::collection::btree_map(0..NETWORKS, prop::bool::weighted(0.9), 0..4)
}

/// The deployment.
pub struct World {
    pub database: Database,
    pub told: Rows,
    pub engine: Engine,
    pub routers: BTreeMap<usize, Router>,
    /// Network -> router.
    pub bindings: BTreeMap<usize, usize>,
    pub halves: BTreeMap<usize, Halves>,
    /// Halves, by network and target, that name their target by its UUID.
    pub by_uuid: BTreeSet<(usize, usize)>,
    pub broken: BTreeSet<usize>,
    /// What crosses a half, by network and target.
    pub terms: BTreeMap<usize, BTreeMap<usize, Terms>>,
    /// Further keys of a half, by network and target.
    pub more: BTreeMap<(usize, usize), String>,
    /// What a network may announce beyond its subnets.
    pub may_export: BTreeMap<usize, BTreeSet<usize>>,
    /// When a half was asked for, by network and target; in seconds of this world.
    pub requested: BTreeMap<usize, BTreeMap<usize, i64>>,
    /// Whom each network rejects.
    pub rejects: BTreeMap<usize, BTreeSet<usize>>,
    /// What is stored by command: halves, and whom each network rejects.
    pub stored: BTreeMap<usize, Halves>,
    pub stored_rejects: BTreeMap<usize, BTreeSet<usize>>,
    pub settings: Settings,
    /// The wall clock, which may jump.
    pub seconds: i64,
    /// Networks whose guests are told of routes.
    pub tells: BTreeSet<usize>,
    /// Rows of DHCP_Options, and what others have in maps of which keys may be lent.
    pub leases: Leases,
    /// The other clock, which does not.
    pub steps: u64,
    /// Errors of the database that are no fault of the engine's.
    pub expected_errors: Vec<&'static str>,
    pub meddling: Meddling,
    /// A row that somebody strips of our tag whenever it has one.
    pub refuse_tagging_of: Option<Uuid>,
    /// What the server says to whatever is to be written.
    pub refuse_all: Option<String>,
    /// A server that takes its time.
    pub late: Option<Late>,
    /// How often ovn-northd was asked whether it has acted, and nothing else.
    pub asked: usize,
}

pub fn prefix(index: usize) -> IpNet {
    PREFIXES[index].parse().unwrap()
}

pub fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn settings() -> Settings {
    Settings::defaults(Path::new("/etc/ovn-peerd"))
}

impl World {
    pub fn new() -> Self {
        Self::with(settings())
    }

    pub fn with(settings: Settings) -> Self {
        Self::on(None, settings)
    }

    /// On a server that takes its time, if there is one.
    pub fn on(late: Option<Late>, settings: Settings) -> Self {
        let mut world = Self {
            database: Database::new(),
            told: Rows::new(),
            engine: Engine::new(&settings, "hv1".into()),
            requested: BTreeMap::new(),
            terms: BTreeMap::new(),
            more: BTreeMap::new(),
            may_export: BTreeMap::new(),
            rejects: BTreeMap::new(),
            stored: BTreeMap::new(),
            stored_rejects: BTreeMap::new(),
            settings,
            steps: 0,
            routers: BTreeMap::new(),
            bindings: BTreeMap::new(),
            halves: BTreeMap::new(),
            by_uuid: BTreeSet::new(),
            broken: BTreeSet::new(),
            seconds: 0,
            tells: BTreeSet::new(),
            leases: Leases::default(),
            expected_errors: Vec::new(),
            meddling: Meddling::default(),
            refuse_tagging_of: None,
            refuse_all: None,
            late,
            asked: 0,
        };
        world.begin();
        world.connect();
        world
    }

    /// Without any file read, and not connected yet.
    pub fn bare(settings: &Settings) -> Self {
        Self { engine: Engine::new(settings, "hv1".into()), ..Self::with(settings.clone()) }
    }

    pub fn read_reading(&mut self, reading: Reading) {
        self.handle(Event::Reading(reading.parse()));
    }

    pub fn now(&self) -> Now {
        Now { wall: moment(self.seconds), since_start: Duration::from_secs(self.steps) }
    }

    pub fn handle(&mut self, event: Event) {
        let now = self.now();
        self.engine.handle(event, now);
        // Where the server takes its time, other events come between.
        if self.late.is_none() {
            self.decide();
        }
    }

    /// The engine decides what is left to be decided.
    pub fn decide(&mut self) {
        while self.engine.is_deciding() {
            let now = self.now();
            self.engine.handle(Event::Tick, now);
        }
    }

    /// Time goes on, or jumps.
    pub fn pass(&mut self, seconds: i64) {
        self.seconds += seconds;
        self.steps += 1;
        self.handle(Event::Tick);
    }

    /// Another policy.
    pub fn configure(&mut self) {
        self.engine.configure(&self.settings);
        self.read_all();
    }

    pub fn client(&mut self, event: ovsdb::Event<Northbound>) {
        self.handle(Event::Northbound(event));
    }

    /// Another process on the same host, with the same files.
    pub fn restart(&mut self) {
        if self.late.is_some() {
            self.abandon();
        }
        self.engine = Engine::new(&self.settings, "hv1".into());
        self.begin();
        self.connect();
    }

    fn begin(&mut self) {
        if let Some(late) = &self.late {
            self.engine.fill_transactions_with(late.groups);
            self.engine.decide_at_once(1);
        }
        self.read_all();
    }

    /// A new session, which reads everything.
    pub fn connect(&mut self) {
        if self.late.is_some() && self.resume() {
            return;
        }
        self.told = self.database.monitored();
        let rows = self.told.iter().filter(|((table, _), row)| !is_of_counters(*table, row));
        if rows.count().is_multiple_of(3) {
            // The first attempt comes to nothing.
            let (error, retry_in) = ("the server went away".to_owned(), Duration::from_secs(1));
            self.client(ovsdb::Event::Disconnected { error, read_only: false, retry_in });
        }
        let rows = self.database.dump(&self.told);
        self.greet();
        self.client(ovsdb::Event::Snapshot { rows: Box::new(rows), last_id: Uuid::nil() });
        self.client(ovsdb::Event::Lock { held: true });
        if let Some(late) = &mut self.late {
            late.heard.clone_from(&self.told);
        }
    }

    /// The engine learns what has changed, and does nothing yet.
    pub fn hear(&mut self) {
        self.tell();
    }

    fn tell(&mut self) {
        let now = self.database.monitored();
        let updates = Database::updates(&self.told, &now);
        if !updates.is_empty() {
            self.told = now;
            self.client(ovsdb::Event::Update { updates, last_id: Uuid::nil() });
        }
    }

    /// Lets the engine do all it wants; returns how many transactions that took, not counting when
    /// ovn-northd is asked whether it has acted.
    pub fn settle(&mut self) -> usize {
        if self.late.is_some() {
            return self.settle_late();
        }
        self.tell();
        let mut count = 0;
        for _ in 0..64 {
            let now = self.now();
            let Some(submission) = self.engine.poll(now) else {
                if self.waits_for_damped() {
                    continue;
                }
                return count;
            };
            let asks = asks_northd(&submission.operations);
            self.asked += usize::from(asks);
            count += usize::from(!asks);
            let result = match self.refuse_all.clone() {
                None => self.database.transact(&submission.operations),
                Some(error) => Err(error),
            };
            if let Some(row) = self.refuse_tagging_of {
                self.database.set(ADDRESS_SET, row, address_set::EXTERNAL_IDS, Value::empty());
            }
            self.tell();
            let result = match result {
                Ok(()) => Ok(Vec::new()),
                Err(error) => {
                    let expected = self.refuse_all.as_ref() == Some(&error)
                        || self.expected_errors.contains(&error.as_str());
                    assert!(expected, "{error}");
                    let error = TransactionError { index: None, error, details: None };
                    Err(TransactError::Rejected(error))
                }
            };
            self.client(ovsdb::Event::Transacted { id: submission.id, result });
        }
        panic!("the engine does not come to rest");
    }

    /// Lets time pass for units that wait as they were written again and again.
    fn waits_for_damped(&mut self) -> bool {
        let waits = !self.engine.status().damped.is_empty();
        if waits {
            self.steps += 46;
            self.handle(Event::Tick);
        }
        waits
    }

    /// The engine's next transaction is committed, and the process dies before it learns of it.
    pub fn crash(&mut self) {
        if self.late.is_some() {
            return self.restart();
        }
        self.tell();
        let now = self.now();
        if let Some(submission) = self.engine.poll(now) {
            self.database.transact(&submission.operations).unwrap();
        }
        self.restart();
    }

    /// All is written, ovn-northd acts on it, and the engine on that: how many transactions that took at last.
    pub fn rest(&mut self) -> usize {
        self.settle();
        self.northd();
        self.settle()
    }

    /// ovn-northd acts on everything; whether there was something.
    pub fn northd(&mut self) -> bool {
        let (uuid, nb_cfg, sb_cfg) = self.database.global();
        self.database.set(NB_GLOBAL, uuid, nb_global::SB_CFG, Value::from(nb_cfg));
        sb_cfg < nb_cfg
    }

    pub fn add_router(&mut self, index: usize) {
        let name = format!("r{index}");
        let uuid =
            self.database.insert(LOGICAL_ROUTER, &[(logical_router::NAME, name.as_str().into())]);
        self.routers.insert(index, Router { uuid, ..Router::default() });
        if self.late.is_some() {
            self.add_uplink(index);
        }
    }

    /// Binds networks to routers of the same number, each with a port on a subnet.
    pub fn add_networks(&mut self, networks: &[(usize, usize)]) {
        for (network, subnet) in networks {
            self.add_router(*network);
            self.toggle_port(*network, *subnet);
            self.bindings.insert(*network, *network);
            let file = self.network_file(*network);
            self.read(file);
        }
    }

    pub fn remove_router(&mut self, index: usize) {
        let router = self.routers.remove(&index).unwrap();
        self.database.rows.remove(&(LOGICAL_ROUTER, router.uuid));
        self.database.collect();
    }

    pub fn toggle_port(&mut self, index: usize, subnet: usize) {
        let uuid = self.routers[&index].uuid;
        if let Some(port) = self.routers.get_mut(&index).unwrap().ports.remove(&subnet) {
            self.database.refer(uuid, logical_router::PORTS, port, false);
            self.database.collect();
            return;
        }
        let net = prefix(subnet);
        let gateway = net.hosts().next().unwrap();
        let (name, text) =
            (format!("r{index}-{subnet}"), format!("{gateway}/{}", net.prefix_len()));
        let cells = [
            (router_port::NAME, name.as_str().into()),
            (router_port::NETWORKS, text.as_str().into()),
        ];
        let port = self.database.insert(ROUTER_PORT, &cells);
        self.database.refer(uuid, logical_router::PORTS, port, true);
        self.routers.get_mut(&index).unwrap().ports.insert(subnet, port);
    }

    /// Rows of ours, in a fixed order.
    pub fn own_rows(&self) -> Vec<(TableId, Uuid)> {
        self.database.rows.keys().copied().filter(|key| self.is_own(*key)).collect()
    }

    fn is_own(&self, (table, uuid): (TableId, Uuid)) -> bool {
        tags_of(table)
            .is_some_and(|column| self.database.cell(table, uuid, column).get(UNIT_KEY).is_some())
    }

    /// Rows of others: what must never change by our doing, but for references to what is ours.
    pub fn foreign(&self) -> Rows {
        let own: BTreeSet<Uuid> = self.own_rows().into_iter().map(|(_, uuid)| uuid).collect();
        let mut rows = self.database.rows.clone();
        rows.retain(|(table, uuid), row| {
            *table != NB_GLOBAL && !own.contains(uuid) && !is_of_counters(*table, row)
        });
        self.leases.without_borrowed(&mut rows);
        for row in rows.values_mut() {
            *row = without(row, |uuid| own.contains(&uuid));
        }
        rows
    }

    /// What stands of ours, without identities: comparable between deployments.
    pub fn own_content(&self) -> BTreeSet<String> {
        let router = |uuid: Uuid| {
            self.routers.iter().find(|(_, router)| {
                [logical_router::PORTS, logical_router::STATIC_ROUTES, logical_router::POLICIES]
                    .iter()
                    .any(|column| {
                        let cell = self.database.cell(LOGICAL_ROUTER, router.uuid, *column);
                        cell.uuids().any(|member| member == uuid)
                    })
            })
        };
        let content = |(table, uuid): (TableId, Uuid)| {
            let index = router(uuid).map(|(index, _)| *index);
            let mut row = self.database.rows[&(table, uuid)].clone();
            if table == LOGICAL_SWITCH {
                let ports = row.get(logical_switch::PORTS).len();
                let ports = Value::from(i64::try_from(ports).unwrap());
                row = row.with(logical_switch::PORTS, ports.view());
            }
            format!("{index:?} {table:?} {row:?}")
        };
        self.own_rows().into_iter().map(content).collect()
    }
}

/// Whether it is the row with the counters of hosts, which belongs to no unit.
pub fn is_of_counters(table: TableId, row: &Row) -> bool {
    table == ADDRESS_SET && row.get(address_set::NAME).is_string(COUNTERS_NAME)
}

/// A row whose references to these rows are gone.
pub fn without(row: &Row, gone: impl Fn(Uuid) -> bool) -> Row {
    let cells = row.cells().map(|cell| match cell.uuids().next() {
        Some(_) => Value::set(cell.uuids().filter(|uuid| !gone(*uuid)).map(Into::into).collect()),
        None => cell.into(),
    });
    cells.collect()
}
