//! Several hosts on one northbound in memory: each with an engine and files of its own, a lock, and a clock
//! that they share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ovn_peerd::declare::{
    Directory, FileId, Owner, PolicySettings, ProjectPin, Reading, Settings, SourceFile,
};
use ovn_peerd::engine::{Engine, Event, Submission};
use ovn_peerd::northbound::Northbound;
use ovn_peerd::now::Now;
use ovn_peerd::ovsdb::{self, Operation, TransactError, TransactionError};
use ovn_peerd::view::HalfView;
use uuid::Uuid;

use crate::clients::{Clients, Fault, Wish, half_text, is_of_store, name, stored};
use crate::database::{Database, Rows};
use crate::texts::source;
use crate::world::World;

pub const HOSTS: usize = 3;
/// What is due later than this is not waited for: requests expire, and the clock is looked at.
const SOON: Duration = Duration::from_secs(50);
/// The store, where the hosts are named that may declare for a project.
pub const STORE: usize = usize::MAX;
/// Milliseconds between two looks at everybody.
const STEP: u64 = 50;
pub const NETWORKS: usize = 4;

/// What one host declares: network and target, whether it is enabled.
type Declared = BTreeMap<(usize, usize), bool>;

pub type Pairs = BTreeSet<(usize, usize)>;

#[derive(Default)]
pub struct Host {
    /// None while it is down.
    pub engine: Option<Engine>,
    told: Rows,
    /// Stopped: it keeps its session, and does nothing.
    pub frozen: bool,
    pub declared: Declared,
    /// The lists of halves, where there are some.
    pub lists: BTreeMap<(usize, usize), usize>,
    /// Network and whom it rejects.
    pub rejects: Pairs,
    /// When a half was asked for, in milliseconds of this fleet.
    pub requested: BTreeMap<(usize, usize), u64>,
    /// What becomes of its next change of the store.
    pub fault: Option<Fault>,
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
    pub clients: Clients,
    /// A change of the store that comes late: whose, its number, and what it does.
    late: Option<(usize, u64, Vec<Operation>)>,
}

/// The account that owns a project's files.
fn owner(project: usize) -> Owner {
    let uid = 1000 + u32::try_from(project).unwrap();
    Owner { uid, name: Some(format!("alice{project}")) }
}

/// The name of a host, or the mark of the store.
fn mark(host: usize) -> String {
    if host == STORE { "@store".to_owned() } else { format!("hv{host}") }
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
            clients: Clients::default(),
            late: None,
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
                hosts: hosts.iter().map(|host| mark(*host)).collect(),
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
    pub fn speakers(&self, project: usize) -> impl Iterator<Item = &Host> {
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
        self.answer(host);
    }

    /// Clients at a host learn what has become of their changes of the store.
    fn answer(&mut self, host: usize) {
        let results = self.hosts[host].engine.as_mut().map(Engine::take_stored);
        for (id, result) in results.into_iter().flatten() {
            self.clients.answered(host, id, result);
        }
    }

    /// Somebody asks a host for a change of the store, as far as it answers at all.
    pub fn ask(&mut self, host: usize, wish: &Wish) {
        let now = self.now();
        let frozen = self.hosts[host].frozen;
        let Some(engine) = self.hosts[host].engine.as_mut().filter(|_| !frozen) else { return };
        let edit = wish.edit(&self.clients.content);
        let id = engine.store(edit.clone(), now);
        let knows_all = self.hosts[host].told == self.world.database.monitored();
        self.clients.asked(host, id, edit, knows_all);
        self.answer(host);
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
                let lists = self.hosts[host].lists.get(&(*from, *target)).copied().unwrap_or(0);
                text += &half_text(&name(*target), *from, (*target, *enabled, lists));
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
        self.begin_session(host);
    }

    fn begin_session(&mut self, host: usize) {
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
        self.clients.lost(host);
        self.late.take_if(|(of, ..)| *of == host);
        self.end_session(host);
    }

    /// The lock of a session that is over is the next one's.
    fn end_session(&mut self, host: usize) {
        let held = self.queue.first() == Some(&host);
        self.queue.retain(|waiting| *waiting != host);
        if let (true, Some(next)) = (held, self.queue.first().copied()) {
            self.client(next, ovsdb::Event::Lock { held: true });
        }
    }

    /// A session ends with a transaction under way, and another one begins.
    fn lose_session(&mut self, host: usize, id: u64) {
        let error = "the server went away".to_owned();
        let result = Err(TransactError::Unknown(error.clone()));
        self.client(host, ovsdb::Event::Transacted { id, result });
        let retry_in = Duration::from_secs(1);
        self.client(host, ovsdb::Event::Disconnected { error, read_only: false, retry_in });
        self.end_session(host);
        self.begin_session(host);
    }

    /// All that are awake learn what has changed.
    pub fn tell_all(&mut self) {
        (0..self.hosts.len()).for_each(|host| self.tell(host));
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
            self.answer(host);
        }
        let count = submissions.len();
        self.land();
        for (host, submission) in submissions {
            self.carry_out(host, submission);
        }
        count
    }

    /// What comes late is there: before whatever else is committed.
    fn land(&mut self) {
        let Some((host, id, operations)) = self.late.take() else { return };
        let open = self.clients.first(host);
        assert_eq!(open, Some(id), "what comes late was answered already");
        drop(self.commit(host, &operations));
    }

    /// A transaction reaches the server, or something else becomes of it.
    fn carry_out(&mut self, host: usize, Submission { id, operations }: Submission) {
        self.land();
        // It may have died in the same moment.
        if self.hosts[host].engine.is_none() {
            return;
        }
        let of_store = is_of_store(&operations);
        let fault = if of_store { self.hosts[host].fault.take() } else { None };
        // What counts for nobody is put back by nobody, nor is what nobody has seen yet.
        if let Some(Fault::Deletes(choice)) = fault
            && !self.has_stored_what_may_not_be()
        {
            self.tell_all();
            self.world.delete_own(choice);
        }
        let asserts = operations.iter().any(|it| matches!(it, Operation::Assert { .. }));
        let result = match fault {
            _ if asserts && self.queue.first() != Some(&host) => Err("not owner".to_owned()),
            Some(Fault::Outrun) => Err("timed out".to_owned()),
            Some(Fault::Lost) => return self.lose_session(host, id),
            Some(Fault::Late) => {
                let edit = self.clients.first(host).unwrap();
                let holds = self.world.database.clone().transact(&operations).is_ok();
                self.lose_session(host, id);
                self.late = holds.then_some((host, edit, operations));
                return;
            }
            Some(Fault::Unanswered) => {
                drop(self.commit(host, &operations));
                return self.lose_session(host, id);
            }
            Some(Fault::Dies) => {
                drop(self.commit(host, &operations));
                return self.kill(host);
            }
            Some(Fault::Deletes(_)) | None => self.commit(host, &operations),
        };
        self.tell(host);
        let result = result.map(|()| Vec::new()).map_err(|error| {
            let expected = ["not owner", "timed out", "constraint violation"];
            assert!(expected.contains(&error.as_str()), "{error}");
            TransactError::Rejected(TransactionError { index: None, error, details: None })
        });
        self.client(host, ovsdb::Event::Transacted { id, result });
    }

    fn commit(&mut self, host: usize, operations: &[Operation]) -> Result<(), String> {
        if self.clients.have_asked_nothing() {
            return self.world.database.transact(operations);
        }
        let before = stored(&self.world.database.rows);
        let result = self.world.database.transact(operations);
        let after = stored(&self.world.database.rows);
        if !is_of_store(operations) {
            self.clients.others_wrote(&before, &after);
        } else if result.is_ok() {
            self.clients.written(host, &before, &after);
        }
        result
    }

    /// A moment later.
    pub fn pass(&mut self) -> usize {
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
        self.step()
    }

    /// What nobody declares any more is forgotten at once, by all hosts.
    pub fn forget_at_once(&mut self) {
        let policy = PolicySettings { history: SignedDuration::ZERO, ..PolicySettings::default() };
        self.policies = (0..self.hosts.len()).map(|host| (host, policy.clone())).collect();
        self.configure();
    }

    /// Until nobody has anything to do; a silent holder loses the lock meanwhile.
    pub fn settle(&mut self) -> usize {
        let mut transactions = 0;
        for _ in 0..400 {
            let count = self.pass();
            transactions += count;
            if count != 0 || self.late.is_some() {
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
}
