//! A user of the client: keeps a replica by its events and checks what must hold for any sequence of
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ovn_peerd::ovsdb::client::{Client, Config, Event, Remote, TransactError, connect};
use ovn_peerd::ovsdb::{
    ColumnId, DatabaseSchema, Layout, Operation, OperationResult, Replica, RowChange, TableId,
    Wanted,
};
use tokio::time::{Instant, timeout_at};

use crate::server::{DATABASE, PATIENCE};

pub(crate) const SWITCH: TableId = TableId(0);
pub(crate) const PORT: TableId = TableId(1);
pub(crate) const SET: TableId = TableId(2);

/// Scalars, optionals, sets, maps, references; a table and a column that no schema has.
pub(crate) const WANTED: &[Wanted] = &[
    Wanted {
        table: "Logical_Switch",
        columns: &["name", "ports", "external_ids", "no_such_column", "other_config"],
        condition: None,
    },
    Wanted {
        table: "Logical_Switch_Port",
        columns: &["name", "addresses", "tag", "enabled", "options", "dynamic_addresses", "type"],
        condition: None,
    },
    Wanted {
        table: "Address_Set",
        columns: &["name", "addresses", "external_ids"],
        condition: None,
    },
    Wanted { table: "No_Such_Table", columns: &["name"], condition: None },
];

pub(crate) type Outcome = Result<Vec<OperationResult>, TransactError>;

/// What happened, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Connected(String),
    Snapshot,
    Resumed,
    Update,
    Lock(bool),
    Identity(bool),
    Transacted(u64),
    Disconnected(String),
}

pub(crate) struct Follower {
    pub(crate) client: Client,
    pub(crate) replica: Option<Replica>,
    pub(crate) schema: Option<Arc<DatabaseSchema>>,
    pub(crate) connected: bool,
    pub(crate) lock: Option<bool>,
    pub(crate) outcomes: BTreeMap<u64, Outcome>,
    pub(crate) seen: Vec<Seen>,
    /// The differences that the last snapshot or update made.
    pub(crate) changes: Vec<RowChange>,
    layout: Option<Arc<Layout>>,
}

/// A configuration for one remote of a test.
pub(crate) fn config(remote: Remote) -> Config {
    Config::new(vec![remote], DATABASE, WANTED)
}

impl Follower {
    pub(crate) fn new(config: Config) -> Self {
        let client = connect(config).expect("a thread can be had");
        Self {
            client,
            replica: None,
            schema: None,
            connected: false,
            lock: None,
            outcomes: BTreeMap::new(),
            seen: Vec::new(),
            changes: Vec::new(),
            layout: None,
        }
    }

    /// Connects and waits for the first dump.
    pub(crate) async fn start(config: Config) -> Self {
        let mut follower = Self::new(config);
        follower.until("a first dump", |f| f.replica.is_some()).await;
        follower
    }

    pub(crate) fn replica(&self) -> &Replica {
        self.replica.as_ref().unwrap()
    }

    /// Takes one event.
    pub(crate) async fn step(&mut self) {
        let event = timeout_at(Instant::now() + PATIENCE, self.client.next()).await;
        let event = event.unwrap_or_else(|_| panic!("no event; seen: {:?}", self.seen));
        self.take(event.expect("the client lives"));
    }

    /// Takes events until something is true.
    pub(crate) async fn until(&mut self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_true(self) {
            match timeout_at(deadline, self.client.next()).await {
                Ok(event) => self.take(event.expect("the client lives")),
                Err(_) => panic!("waited in vain for {what}; seen: {:?}", self.seen),
            }
        }
    }

    /// Waits for the reason of the next disconnection.
    pub(crate) async fn reason(&mut self) -> String {
        let from = self.seen.len();
        let reason = |f: &Self| {
            f.seen[from..].iter().find_map(|seen| match seen {
                Seen::Disconnected(reason) => Some(reason.clone()),
                _ => None,
            })
        };
        self.until("a disconnection", |f| reason(f).is_some()).await;
        reason(self).unwrap()
    }

    /// Waits until the last step taken is a session's first dump after what was seen so far.
    pub(crate) async fn reconnected(&mut self) {
        let from = self.seen.len();
        self.until("another session", |f| {
            f.seen[from..].iter().any(|seen| matches!(seen, Seen::Snapshot | Seen::Resumed))
        })
        .await;
    }

    /// A transaction, to its end.
    pub(crate) async fn transact(&mut self, id: u64, operations: Vec<Operation>) -> Outcome {
        self.outcomes.remove(&id);
        self.client.submit(id, operations).unwrap();
        self.until("the end of a transaction", |f| f.outcomes.contains_key(&id)).await;
        self.outcomes.remove(&id).unwrap()
    }

    /// The names of a table's rows.
    pub(crate) fn names(&self, table: TableId) -> Vec<String> {
        let mut names: Vec<_> = self
            .replica()
            .rows(table)
            .map(|(_, row)| row.get(ColumnId(0)).string().to_owned())
            .collect();
        names.sort();
        names
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Connected { remote, schema, layout } => {
                assert!(!self.connected, "two sessions at once");
                self.connected = true;
                self.schema = Some(schema);
                self.layout = Some(layout);
                self.seen.push(Seen::Connected(remote));
            }
            Event::Snapshot { rows: fresh, .. } => {
                assert!(self.connected && Some(fresh.layout()) == self.layout.as_ref());
                let layout = Arc::clone(fresh.layout());
                let replica = self.replica.get_or_insert_with(|| Replica::new(layout));
                self.changes = replica.adopt(*fresh);
                self.seen.push(Seen::Snapshot);
            }
            Event::Certificates(_) => assert!(self.connected),
            Event::Resumed => {
                assert!(self.connected && self.replica.is_some());
                assert!(Arc::ptr_eq(self.replica().layout(), self.layout.as_ref().unwrap()));
                self.seen.push(Seen::Resumed);
            }
            Event::Update { updates, .. } => {
                assert!(self.connected);
                let replica = self.replica.as_mut().expect("a first dump came before");
                self.changes = replica.apply(updates).expect("updates follow from the replica");
                self.seen.push(Seen::Update);
            }
            Event::Lock { held } => {
                assert!(self.connected);
                self.lock = Some(held);
                self.seen.push(Seen::Lock(held));
            }
            Event::Identity { held } => {
                assert!(self.connected);
                self.seen.push(Seen::Identity(held));
            }
            Event::Transacted { id, result } => {
                self.seen.push(Seen::Transacted(id));
                assert!(self.outcomes.insert(id, result).is_none(), "{id} ended twice");
            }
            Event::Disconnected { error, retry_in, .. } => {
                assert!(retry_in.as_secs() <= 10);
                self.connected = false;
                self.lock = None;
                self.seen.push(Seen::Disconnected(error));
            }
        }
    }
}
