//! Several hosts on one northbound: whoever programs, and whichever of them lives, what stands is what
//! all of them declare.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use ovn_peerd::declare::{Directory, HalfKey, NetworkKey, Reading, Settings};
use ovn_peerd::engine::{Engine, Event};
use ovn_peerd::northbound::tables::ROUTER_PORT;
use ovn_peerd::now::Now;
use ovn_peerd::ovsdb::{self, Operation, TransactError, TransactionError};
use ovn_peerd::view::{HalfView, Reason, State};
use proptest::prelude::*;
use uuid::Uuid;

use crate::database::{Database, Rows};
use crate::world::{World, source};

const HOSTS: usize = 3;
/// What is due later than this is not waited for: requests expire, and the clock is looked at.
const SOON: Duration = Duration::from_secs(30);
const NETWORKS: usize = 4;

/// What one host declares: network and target, whether it is enabled.
type Declared = BTreeMap<(usize, usize), bool>;

type Pairs = BTreeSet<(usize, usize)>;

struct Host {
    /// None while it is down.
    engine: Option<Engine>,
    told: Rows,
    /// Stopped: it keeps its session, and does nothing.
    frozen: bool,
    declared: Declared,
}

struct Fleet {
    world: World,
    hosts: Vec<Host>,
    /// Who holds the lock, then who waits for it.
    queue: Vec<usize>,
    milliseconds: u64,
    /// Each host binds a third of the networks; else every host binds all.
    thirds: bool,
}

fn settings() -> Settings {
    Settings::defaults(Path::new("/etc/ovn-peerd"))
}

impl Fleet {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(thirds: bool) -> Self {
        let mut world = World::bare(&crate::world::settings());
        for index in 0..NETWORKS {
            world.add_router(index);
            world.toggle_port(index, [0, 1, 4, 5][index]);
        }
        let host =
            || Host { engine: None, told: Rows::new(), frozen: false, declared: Declared::new() };
        let hosts = (0..HOSTS).map(|_| host()).collect();
        let mut fleet = Self { world, hosts, queue: Vec::new(), milliseconds: 0, thirds };
        for host in 0..HOSTS {
            fleet.start(host);
        }
        fleet
    }

    fn now(&self) -> Now {
        let wall = 1_800_000_000_000 + i64::try_from(self.milliseconds).unwrap();
        Now {
            wall: Timestamp::from_millisecond(wall).unwrap(),
            since_start: Duration::from_millis(self.milliseconds),
        }
    }

    fn handle(&mut self, host: usize, event: Event) {
        let now = self.now();
        if let Some(engine) = &mut self.hosts[host].engine {
            engine.handle(event, now);
        }
    }

    fn client(&mut self, host: usize, event: ovsdb::Event) {
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
        let halves = (0..NETWORKS).map(|network| {
            let mut text = format!("project = \"p{network}\"\n");
            let own = self.hosts[host].declared.iter().filter(|((from, _), _)| *from == network);
            for ((_, target), enabled) in own {
                let status = if *enabled { "active" } else { "disabled" };
                text += &format!(
                    "[[peering]]\nname = \"to-{target}\"\nnetwork = \"n\"\ntarget_project = \"p{target}\"\ntarget_network = \"n\"\nconfigured_status = \"{status}\"\n"
                );
            }
            source(Directory::Peerings, network, text)
        });
        Reading {
            complete: true,
            files: networks.chain(halves).collect(),
            removed: Vec::new(),
            directories: Directory::ALL.iter().map(|directory| (*directory, Ok(()))).collect(),
        }
    }

    fn binds(&self, host: usize, network: usize) -> bool {
        !self.thirds || network % HOSTS == host
    }

    fn read(&mut self, host: usize) {
        let reading = self.reading(host);
        self.handle(host, Event::Reading(reading));
    }

    fn start(&mut self, host: usize) {
        if self.hosts[host].engine.is_some() {
            return;
        }
        self.hosts[host].engine = Some(Engine::new(&settings(), format!("hv{host}")));
        self.hosts[host].frozen = false;
        self.read(host);
        let layout = Arc::clone(&self.world.database.layout);
        let schema = Arc::new(
            serde_json::from_str(r#"{"name":"n","version":"1.0.0","tables":{}}"#).unwrap(),
        );
        let remote = "unix:test".to_owned();
        self.client(host, ovsdb::Event::Connected { remote, schema, layout: Arc::clone(&layout) });
        self.hosts[host].told = self.world.database.monitored();
        let parts = vec![Database::updates(&Rows::new(), &self.hosts[host].told)];
        self.client(host, ovsdb::Event::Snapshot { layout, parts, last_id: Uuid::nil() });
        self.queue.push(host);
        let held = self.queue[0] == host;
        self.client(host, ovsdb::Event::Lock { held });
    }

    /// The process dies, and with it its session.
    fn kill(&mut self, host: usize) {
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
    fn step(&mut self) -> usize {
        let now = self.now();
        let mut submissions = Vec::new();
        for host in 0..HOSTS {
            self.tell(host);
        }
        for host in 0..HOSTS {
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
    fn settle(&mut self) -> usize {
        let mut transactions = 0;
        for _ in 0..400 {
            self.milliseconds += 50;
            for host in 0..HOSTS {
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
            let waits = |host: &Host| {
                let engine = host.engine.as_ref().filter(|_| !host.frozen);
                let soon = Duration::from_millis(self.milliseconds) + SOON;
                engine.and_then(Engine::deadline).is_some_and(|deadline| deadline.at < soon)
            };
            if count == 0 && !self.hosts.iter().any(waits) {
                return transactions;
            }
        }
        panic!("the hosts do not come to rest");
    }

    fn steal(&mut self, host: usize) {
        let holder = self.queue[0];
        self.queue.retain(|waiting| *waiting != host);
        self.queue.insert(0, host);
        if holder != host {
            self.client(holder, ovsdb::Event::Lock { held: false });
        }
        self.client(host, ovsdb::Event::Lock { held: true });
    }

    fn list(&mut self, host: usize) -> Vec<HalfView> {
        self.hosts[host].engine.as_ref().map(Engine::list).unwrap_or_default()
    }

    /// Pairs of which all hosts agree that they shall be linked, and those of which hosts differ.
    fn expected(&self) -> (Pairs, Pairs) {
        let (mut linked, mut disputed) = (BTreeSet::new(), BTreeSet::new());
        for (a, b) in (0..NETWORKS).flat_map(|a| (a + 1..NETWORKS).map(move |b| (a, b))) {
            let said = |from: usize, to: usize| -> BTreeSet<bool> {
                self.hosts
                    .iter()
                    .filter_map(|host| host.declared.get(&(from, to)).copied())
                    .collect()
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

    fn linked(&self) -> usize {
        let own = self.world.own_rows();
        own.iter().filter(|(table, _)| *table == ROUTER_PORT).count()
    }

    fn check(&mut self) {
        if self.hosts.iter().all(|host| host.engine.is_none() || host.frozen) {
            return;
        }
        self.settle();
        self.world.northd();
        self.settle();
        assert_eq!(self.settle(), 0, "nothing changed, nothing written");
        let (linked, disputed) = self.expected();
        let ports = self.linked();
        assert!(ports >= 2 * linked.len() && ports <= 2 * (linked.len() + disputed.len()));
        let awake = (0..HOSTS)
            .filter(|host| self.hosts[*host].engine.is_some() && !self.hosts[*host].frozen);
        let lists: Vec<Vec<HalfView>> =
            awake.collect::<Vec<_>>().into_iter().map(|host| self.list(host)).collect();
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
        }
    }
}

#[derive(Clone, Debug)]
enum Action {
    Declare(usize, usize, usize, bool),
    Withdraw(usize, usize, usize),
    Kill(usize),
    Start(usize),
    Freeze(usize),
    Thaw(usize),
    Delete(usize),
    Alter(usize),
}

fn action() -> impl Strategy<Value = Action> {
    let (host, network) = (0..HOSTS, 0..NETWORKS);
    prop_oneof![
        8 => (host.clone(), network.clone(), network.clone(), prop::bool::weighted(0.9))
            .prop_map(|(h, a, b, on)| Action::Declare(h, a, b, on)),
        3 => (host.clone(), network.clone(), network).prop_map(|(h, a, b)| Action::Withdraw(h, a, b)),
        1 => host.clone().prop_map(Action::Kill),
        3 => host.clone().prop_map(Action::Start),
        1 => host.clone().prop_map(Action::Freeze),
        3 => host.prop_map(Action::Thaw),
        1 => any::<usize>().prop_map(Action::Delete),
        1 => any::<usize>().prop_map(Action::Alter),
    ]
}

fn act(fleet: &mut Fleet, action: &Action) {
    match action {
        // A host that is down or stopped has no files that anybody could edit.
        Action::Declare(host, from, to, _) | Action::Withdraw(host, from, to)
            if from == to || fleet.hosts[*host].engine.is_none() || fleet.hosts[*host].frozen => {}
        Action::Declare(host, from, to, enabled) => {
            fleet.hosts[*host].declared.insert((*from, *to), *enabled);
            fleet.read(*host);
        }
        Action::Withdraw(host, from, to) => {
            fleet.hosts[*host].declared.remove(&(*from, *to));
            fleet.read(*host);
        }
        Action::Kill(host) => fleet.kill(*host),
        Action::Start(host) => fleet.start(*host),
        Action::Freeze(host) => fleet.hosts[*host].frozen = fleet.hosts[*host].engine.is_some(),
        Action::Thaw(host) => fleet.hosts[*host].frozen = false,
        // What nobody awake remembers cannot be put back: that has cases of its own.
        Action::Delete(_)
            if fleet.hosts.iter().any(|host| host.engine.is_none() || host.frozen) => {}
        Action::Delete(choice) => fleet.world.delete_own(*choice),
        Action::Alter(choice) => fleet.world.alter_own(*choice),
    }
}

proptest! {
    #[test]
    fn whoever_lives_what_all_declare_stands(actions in prop::collection::vec(action(), 1..40)) {
        let mut fleet = Fleet::new();
        fleet.settle();
        let foreign = fleet.world.foreign();
        for action in &actions {
            act(&mut fleet, action);
            fleet.check();
        }
        for host in 0..HOSTS {
            fleet.start(host);
            fleet.hosts[host].frozen = false;
        }
        fleet.check();
        prop_assert_eq!(foreign, fleet.world.foreign());
    }
}

fn half(view: &[HalfView], from: usize, to: usize) -> HalfView {
    let found = view
        .iter()
        .find(|half| half.project == format!("p{from}") && half.target_project == format!("p{to}"));
    found.cloned().unwrap()
}

#[test]
fn halves_and_bindings_on_different_hosts_make_a_peering() {
    let mut fleet = Fleet::with(true);
    fleet.settle();
    act(&mut fleet, &Action::Declare(1, 0, 1, true));
    fleet.check();
    assert_eq!(half(&fleet.list(2), 0, 1).state, State::PendingPeer);
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    let shown = half(&fleet.list(0), 0, 1);
    assert_eq!((shown.state, shown.hosts), (State::Active, vec!["hv1".to_owned()]));
    // Both hosts that declare it are down: no reason to cut a network.
    fleet.kill(1);
    fleet.kill(2);
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

#[test]
fn hosts_that_differ_are_not_believed_but_what_stands_goes_on() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(0, 0, 1, true));
    act(&mut fleet, &Action::Declare(0, 1, 0, true));
    fleet.check();
    act(&mut fleet, &Action::Declare(2, 0, 1, false));
    fleet.check();
    let shown = half(&fleet.list(1), 0, 1);
    assert_eq!(shown.state, State::Active);
    assert!(shown.degraded[0].contains("hv0, hv2"), "{:?}", shown.degraded);
    act(&mut fleet, &Action::Declare(0, 2, 3, true));
    act(&mut fleet, &Action::Declare(1, 2, 3, false));
    act(&mut fleet, &Action::Declare(1, 3, 2, true));
    fleet.check();
    let shown = half(&fleet.list(0), 2, 3);
    assert_eq!(shown.reason, Some(Reason::ConflictingDeclarations));
    assert_eq!(half(&fleet.list(0), 3, 2).state, State::PendingPeer);
    act(&mut fleet, &Action::Withdraw(1, 2, 3));
    fleet.check();
    assert_eq!(half(&fleet.list(0), 2, 3).state, State::Active);
}

#[test]
fn a_holder_that_is_silent_loses_the_lock_and_does_no_harm_when_it_wakes() {
    let mut fleet = Fleet::new();
    fleet.settle();
    fleet.hosts[0].frozen = true;
    act(&mut fleet, &Action::Declare(1, 0, 1, true));
    act(&mut fleet, &Action::Declare(1, 1, 0, true));
    let began = fleet.milliseconds;
    fleet.check();
    assert!(fleet.milliseconds - began < 2_000, "it took {} ms", fleet.milliseconds - began);
    assert_eq!(fleet.linked(), 2);
    assert_ne!(fleet.queue[0], 0);
    fleet.hosts[0].frozen = false;
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}

#[test]
fn a_registration_that_is_deleted_comes_back_with_what_dead_hosts_declared() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(2, 0, 1, true));
    act(&mut fleet, &Action::Declare(2, 1, 0, true));
    fleet.check();
    fleet.kill(2);
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.check();
        assert_eq!(fleet.linked(), 2);
    }
    fleet.start(2);
    fleet.check();
    let key = HalfKey { network: NetworkKey::new("p0", "n"), name: "to-1".into() };
    let shown = fleet.hosts[2].engine.as_ref().unwrap().show(&key).unwrap();
    assert_eq!(shown.half.state, State::Active);
}

#[test]
fn a_registration_put_back_by_a_standby_holds_what_a_stopped_host_declared() {
    let mut fleet = Fleet::new();
    act(&mut fleet, &Action::Declare(2, 0, 1, true));
    fleet.check();
    fleet.hosts[2].frozen = true;
    fleet.kill(0);
    fleet.check();
    fleet.start(0);
    fleet.check();
    for choice in 0..fleet.world.own_rows().len() {
        fleet.world.delete_own(choice);
        fleet.check();
    }
    act(&mut fleet, &Action::Declare(0, 1, 0, true));
    fleet.check();
    assert_eq!(fleet.linked(), 2);
}
