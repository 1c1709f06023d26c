//! Several hosts on one northbound in memory: each with an engine and files of its own, a lock, and a clock
//! that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ovn_peerd::declare::{
    Directory, FileId, Owner, PolicySettings, ProjectPin, Reading, Settings, SourceFile,
};
use ovn_peerd::engine::{Engine, Event};
use ovn_peerd::northbound::Northbound;
use ovn_peerd::northbound::tables::ROUTER_PORT;
use ovn_peerd::now::Now;
use ovn_peerd::ovsdb::{self, Operation, TransactError, TransactionError};
use ovn_peerd::view::{HalfView, Reason, State};
use uuid::Uuid;

use crate::database::{Database, Rows};
use crate::texts::source;
use crate::world::World;

pub const HOSTS: usize = 3;
/// What is due later than this is not waited for: requests expire, and the clock is looked at.
const SOON: Duration = Duration::from_secs(50);
/// Milliseconds between two looks at everybody.
const STEP: u64 = 50;
pub const NETWORKS: usize = 4;

/// What one host declares: network and target, whether it is enabled.
type Declared = BTreeMap<(usize, usize), bool>;

type Pairs = BTreeSet<(usize, usize)>;

#[derive(Default)]
pub struct Host {
    /// None while it is down.
    pub engine: Option<Engine>,
    told: Rows,
    /// Stopped: it keeps its session, and does nothing.
    pub frozen: bool,
    pub declared: Declared,
    /// Network and whom it rejects.
    pub rejects: Pairs,
    /// When a half was asked for, in milliseconds of this fleet.
    pub requested: BTreeMap<(usize, usize), u64>,
}

impl Host {
    pub fn is_awake(&self) -> bool {
        self.engine.is_some() && !self.frozen
    }
}

pub struct Fleet {
    pub world: World,
    pub hosts: Vec<Host>,
    /// Who holds the lock, then who waits for it.
    pub queue: Vec<usize>,
    pub milliseconds: u64,
    /// Each host binds its share of the networks; else every host binds all.
    shares: bool,
    /// How often a host has taken the lock from another.
    pub takeovers: usize,
    /// The hosts that may declare for a project, where they are named.
    pub named: BTreeMap<usize, BTreeSet<usize>>,
    /// Hosts whose settings name none.
    pub lax: BTreeSet<usize>,
    /// Hosts that have a policy of their own.
    pub policies: BTreeMap<usize, PolicySettings>,
    /// Backups of the northbound, from moments at which nobody had anything to do.
    pub backups: Vec<Rows>,
    /// In which order hosts that act in the same moment reach the server.
    pub order: Vec<usize>,
}

/// The account that owns a project's files.
fn owner(project: usize) -> Owner {
    let uid = 1000 + u32::try_from(project).unwrap();
    Owner { uid, name: Some(format!("alice{project}")) }
}

pub fn moment(milliseconds: u64) -> Timestamp {
    let wall = 1_800_000_000_000 + i64::try_from(milliseconds).unwrap();
    Timestamp::from_millisecond(wall).unwrap()
}

impl Fleet {
    pub fn new() -> Self {
        Self::with(HOSTS, false)
    }

    /// So many hosts; if `shares`, each binds its share of the networks.
    pub fn with(hosts: usize, shares: bool) -> Self {
        let mut world = World::bare(&crate::world::settings());
        for index in 0..NETWORKS {
            world.add_router(index);
            world.toggle_port(index, [0, 1, 4, 5][index]);
        }
        let order = (0..hosts).collect();
        let hosts = (0..hosts).map(|_| Host::default()).collect();
        let queue = Vec::new();
        let mut fleet = Self {
            world,
            hosts,
            queue,
            milliseconds: 0,
            shares,
            takeovers: 0,
            named: BTreeMap::new(),
            lax: BTreeSet::new(),
            policies: BTreeMap::new(),
            backups: Vec::new(),
            order,
        };
        for host in 0..fleet.hosts.len() {
            fleet.start(host);
        }
        fleet
    }

    fn settings(&self, host: usize) -> Settings {
        let mut settings = Settings::defaults(Path::new("/etc/ovn-peerd"));
        let pins = self.named.iter().filter(|_| !self.lax.contains(&host));
        settings.projects = pins
            .map(|(project, hosts)| ProjectPin {
                name: format!("p{project}"),
                owner: owner(*project).uid.to_string(),
                files: Vec::new(),
                hosts: hosts.iter().map(|host| format!("hv{host}")).collect(),
            })
            .collect();
        settings.policy = self.policies.get(&host).cloned().unwrap_or_default();
        settings
    }

    /// All hosts that are awake read their settings again, and then their files.
    pub fn configure(&mut self) {
        for host in 0..self.hosts.len() {
            let settings = self.settings(host);
            if let Some(engine) = self.hosts[host].engine.as_mut() {
                engine.configure(&settings);
            }
            if self.hosts[host].is_awake() {
                self.read(host);
            }
        }
    }

    /// The hosts whose word on a project counts.
    fn speakers(&self, project: usize) -> impl Iterator<Item = &Host> {
        let named = self.named.get(&project);
        let hosts = self.hosts.iter().enumerate();
        hosts.filter(move |(host, _)| named.is_none_or(|hosts| hosts.contains(host))).map(|it| it.1)
    }

    fn now(&self) -> Now {
        let since_start = Duration::from_millis(self.milliseconds);
        Now { wall: moment(self.milliseconds), since_start }
    }

    fn handle(&mut self, host: usize, event: Event) {
        let now = self.now();
        if let Some(engine) = &mut self.hosts[host].engine {
            engine.handle(event, now);
            while engine.is_deciding() {
                engine.handle(Event::Tick, now);
            }
        }
    }

    fn client(&mut self, host: usize, event: ovsdb::Event<Northbound>) {
        self.handle(host, Event::Northbound(event));
    }

    /// Any host may declare halves of any network.
    fn reading(&self, host: usize) -> Reading {
        let networks = (0..NETWORKS).filter(|network| self.binds(host, *network)).map(|network| {
            let text = format!(
                "[[network]]\nproject = \"p{network}\"\nname = \"n\"\nrouter = \"r{network}\"\n"
            );
            source(Directory::Networks, network, text)
        });
        let rejections = (0..NETWORKS).map(|network| {
            let mut text = format!("project = \"p{network}\"\n");
            for (_, from) in self.hosts[host].rejects.iter().filter(|(by, _)| *by == network) {
                text += &format!(
                    "[[rejection]]\nnetwork = \"n\"\nfrom_project = \"p{from}\"\nfrom_network = \"n\"\n"
                );
            }
            // In a file of its own: across files a half outweighs a rejection.
            let name = format!("p{network}-no.toml");
            let file = source(Directory::Peerings, network, text);
            let owner = Some(owner(network));
            SourceFile { id: FileId::peerings(&name), path: name.into(), owner, ..file }
        });
        let halves = (0..NETWORKS).map(|network| {
            let mut text = format!("project = \"p{network}\"\n");
            let own = self.hosts[host].declared.iter().filter(|((from, _), _)| *from == network);
            for ((from, target), enabled) in own {
                let status = if *enabled { "active" } else { "disabled" };
                text += &format!(
                    "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\ntarget_project = \"p{target}\"\ntarget_network = \"n\"\nconfigured_status = \"{status}\"\n"
                );
                if let Some(at) = self.hosts[host].requested.get(&(*from, *target)) {
                    text += &format!("requested = {}\n", moment(*at));
                }
            }
            let owner = Some(owner(network));
            SourceFile { owner, ..source(Directory::Peerings, network, text) }
        });
        Reading {
            complete: true,
            files: networks.chain(halves).chain(rejections).collect(),
            removed: Vec::new(),
            directories: Directory::ALL.iter().map(|directory| (*directory, Ok(()))).collect(),
        }
    }

    fn binds(&self, host: usize, network: usize) -> bool {
        !self.shares || network % self.hosts.len() == host
    }

    pub fn read(&mut self, host: usize) {
        let reading = self.reading(host);
        self.handle(host, Event::Reading(reading.parse()));
    }

    pub fn start(&mut self, host: usize) {
        if self.hosts[host].engine.is_some() {
            return;
        }
        let settings = self.settings(host);
        self.hosts[host].engine = Some(Engine::new(&settings, format!("hv{host}")));
        self.hosts[host].frozen = false;
        self.read(host);
        let layout = Arc::clone(&self.world.database.layout);
        let schema = Arc::new(
            serde_json::from_str(r#"{"name":"n","version":"1.0.0","tables":{}}"#).unwrap(),
        );
        let remote = "unix:test".to_owned();
        self.hosts[host].told = self.world.database.monitored();
        let rows = self.world.database.dump(&self.hosts[host].told);
        self.client(host, ovsdb::Event::Connected { remote, schema, layout });
        self.client(host, ovsdb::Event::Snapshot { rows: Box::new(rows), last_id: Uuid::nil() });
        self.queue.push(host);
        let held = self.queue[0] == host;
        self.client(host, ovsdb::Event::Lock { held });
    }

    /// The process dies, and with it its session.
    pub fn kill(&mut self, host: usize) {
        self.hosts[host].engine = None;
        let held = self.queue.first() == Some(&host);
        self.queue.retain(|waiting| *waiting != host);
        if let (true, Some(next)) = (held, self.queue.first().copied()) {
            self.client(next, ovsdb::Event::Lock { held: true });
        }
    }

    fn tell(&mut self, host: usize) {
        if self.hosts[host].engine.is_none() || self.hosts[host].frozen {
            return;
        }
        let now = self.world.database.monitored();
        let updates = Database::updates(&self.hosts[host].told, &now);
        if !updates.is_empty() {
            self.hosts[host].told = now;
            self.client(host, ovsdb::Event::Update { updates, last_id: Uuid::nil() });
        }
    }

    /// All that live act at the same time: each decides before any sees what the others do.
    pub fn step(&mut self) -> usize {
        let now = self.now();
        let mut submissions = Vec::new();
        for host in 0..self.hosts.len() {
            self.tell(host);
        }
        for host in self.order.clone() {
            let frozen = self.hosts[host].frozen;
            let Some(engine) = self.hosts[host].engine.as_mut().filter(|_| !frozen) else {
                continue;
            };
            submissions.extend(engine.poll(now).map(|submission| (host, submission)));
        }
        let count = submissions.len();
        for (host, submission) in submissions {
            let asserts =
                submission.operations.iter().any(|it| matches!(it, Operation::Assert { .. }));
            let result = if asserts && self.queue.first() != Some(&host) {
                Err("not owner".to_owned())
            } else {
                self.world.database.transact(&submission.operations)
            };
            self.tell(host);
            let result = result.map(|()| Vec::new()).map_err(|error| {
                let expected = ["not owner", "timed out", "constraint violation"];
                assert!(expected.contains(&error.as_str()), "{error}");
                TransactError::Rejected(TransactionError { index: None, error, details: None })
            });
            self.client(host, ovsdb::Event::Transacted { id: submission.id, result });
        }
        count
    }

    /// Until nobody has anything to do; a silent holder loses the lock meanwhile.
    pub fn settle(&mut self) -> usize {
        let mut transactions = 0;
        for _ in 0..400 {
            self.milliseconds += STEP;
            for host in 0..self.hosts.len() {
                let frozen = self.hosts[host].frozen;
                if !frozen {
                    self.handle(host, Event::Tick);
                }
                let engine = self.hosts[host].engine.as_mut().filter(|_| !frozen);
                if engine.is_some_and(Engine::wants_lock) {
                    self.steal(host);
                }
            }
            let count = self.step();
            transactions += count;
            if count != 0 {
                continue;
            }
            // ovn-northd does not let anybody wait.
            if self.world.northd() {
                continue;
            }
            let soon = Duration::from_millis(self.milliseconds) + SOON;
            let awake = self.hosts.iter().filter(|host| !host.frozen);
            let due = awake.filter_map(|host| host.engine.as_ref()?.deadline()).map(|it| it.at);
            let Some(due) = due.min().filter(|due| *due < soon) else { return transactions };
            let due = u64::try_from(due.as_millis()).unwrap();
            self.milliseconds = self.milliseconds.max(due.saturating_sub(STEP));
        }
        panic!("the hosts do not come to rest");
    }

    /// Somebody restores one of the backups under the running server.
    pub fn restore(&mut self, choice: usize) {
        let Some(backup) = self.backups.get(choice % self.backups.len().max(1)) else { return };
        self.world.database.rows.clone_from(backup);
    }

    /// A host takes the lock from its holder.
    pub fn steal(&mut self, host: usize) {
        self.takeovers += 1;
        let holder = self.queue[0];
        self.queue.retain(|waiting| *waiting != host);
        self.queue.insert(0, host);
        if holder != host {
            self.client(holder, ovsdb::Event::Lock { held: false });
        }
        self.client(host, ovsdb::Event::Lock { held: true });
    }

    pub fn list(&mut self, host: usize) -> Vec<HalfView> {
        self.hosts[host].engine.as_ref().map(Engine::list).unwrap_or_default()
    }

    /// Pairs of which all hosts agree that they shall be linked, and those of which hosts differ.
    fn expected(&self) -> (Pairs, Pairs) {
        let (mut linked, mut disputed) = (BTreeSet::new(), BTreeSet::new());
        for (a, b) in (0..NETWORKS).flat_map(|a| (a + 1..NETWORKS).map(move |b| (a, b))) {
            let said = |from: usize, to: usize| -> BTreeSet<bool> {
                let speakers = self.speakers(from);
                speakers.filter_map(|host| host.declared.get(&(from, to)).copied()).collect()
            };
            let (one, other) = (said(a, b), said(b, a));
            if one.len() > 1 || other.len() > 1 {
                disputed.insert((a, b));
            } else if one.contains(&true) && other.contains(&true) {
                linked.insert((a, b));
            }
        }
        (linked, disputed)
    }

    pub fn linked(&self) -> usize {
        let own = self.world.own_rows();
        own.iter().filter(|(table, _)| *table == ROUTER_PORT).count()
    }

    pub fn check(&mut self) {
        if !self.hosts.iter().any(Host::is_awake) {
            return;
        }
        self.settle();
        self.world.northd();
        self.settle();
        assert_eq!(self.settle(), 0, "nothing changed, nothing written");
        self.backups.push(self.world.database.rows.clone());
        let (linked, disputed) = self.expected();
        let ports = self.linked();
        assert!(ports >= 2 * linked.len() && ports <= 2 * (linked.len() + disputed.len()));
        let awake = (0..self.hosts.len()).filter(|host| self.hosts[*host].is_awake());
        let mut lists: Vec<Vec<HalfView>> =
            awake.collect::<Vec<_>>().into_iter().map(|host| self.list(host)).collect();
        // A host that may not declare registers nothing: it alone shows what its files say, and
        // others that it was withdrawn, if they knew of it.
        let key = |half: &HalfView| (half.project.clone(), half.name.clone());
        let all = lists.iter().flatten();
        let untrusted = all.filter(|half| half.reason == Some(Reason::UntrustedHost));
        let untrusted: BTreeSet<_> = untrusted.map(key).collect();
        for list in &mut lists {
            list.retain(|half| !untrusted.contains(&key(half)));
        }
        for list in &lists {
            assert_eq!(list, &lists[0], "all hosts tell the same");
        }
        for half in &lists[0] {
            let number = |project: &str| project[1..].parse::<usize>().unwrap();
            let (a, b) = (number(&half.project), number(&half.target_project));
            let pair = (a.min(b), a.max(b));
            if linked.contains(&pair) {
                assert_eq!(half.state, State::Active, "{half:?}");
            } else if !disputed.contains(&pair) {
                assert_ne!(half.state, State::Active, "{half:?}");
            }
            let said = |from, to| {
                let mut hosts = self.speakers(from);
                hosts.find_map(|host| host.declared.get(&(from, to)).copied())
            };
            if said(a, b) == Some(true) && said(b, a).is_none() && !disputed.contains(&pair) {
                // Whoever says no, it is no as long as one of them does.
                let rejected = self.speakers(b).any(|host| host.rejects.contains(&(b, a)));
                assert_eq!(half.state == State::Rejected, rejected, "{half:?}");
            }
        }
    }
}
