//! Faults of chance, one after the other; after each all is as a full recompute wants it, nothing of others has changed and
//! no peering is lost, and the daemon grows no larger. `ENEMY_FAULTS=1000` for the long form, `ENEMY_SEED` to repeat one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::ground::{Ground, NETWORKS, foreign, seed};
use crate::hand::{alter_own_row, change_foreign_row, delete_own_row};
use crate::lab::command::require_root_and_tools;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::leader::peered;
use crate::random::Random;
use crate::server::Server;

/// How many peerings there are at the most: fewer halves than a reload may withdraw unasked.
const MOST_PAIRS: usize = 5;

fn faults(usually: usize) -> usize {
    std::env::var("ENEMY_FAULTS").ok().and_then(|count| count.parse().ok()).unwrap_or(usually)
}

/// What was done and how long it took to be right again.
#[derive(Default)]
struct Tally(BTreeMap<&'static str, (usize, Duration, Duration)>);

impl Tally {
    fn add(&mut self, fault: &'static str, took: Duration) {
        let (count, sum, slowest) = self.0.entry(fault).or_default();
        (*count, *sum, *slowest) = (*count + 1, *sum + took, (*slowest).max(took));
    }

    fn print(&self) {
        for (fault, (count, sum, slowest)) in &self.0 {
            let mean = *sum / u32::try_from(*count).expect("few");
            println!("{count:5} x {fault:42} mean {mean:>12?}  slowest {slowest:>12?}");
        }
    }
}

/// The memory of the daemon that lives through the second half, in which none is killed: when that begins, and at the end.
/// In KiB.
struct Memory {
    early: u64,
    last: u64,
}

impl Memory {
    fn judge(&self, faults: usize) {
        let Memory { early, last } = self;
        println!(
            "{faults} faults; the daemon had {early} KiB after half of them, {last} KiB at the end"
        );
        // What is used once is not much; what leaks with each fault is.
        assert!(*last < early + early / 4 + 2048, "the daemon grows");
    }
}

/// Another set of peerings, or the same in other words.
fn change_declarations(ground: &mut Ground, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let (a, b) = (random.below(NETWORKS), random.below(NETWORKS));
        let pair = (a.min(b), a.max(b));
        let some = ground.pairs.iter().nth(random.below(ground.pairs.len().max(1))).copied();
        match some {
            Some(one) if ground.pairs.len() >= MOST_PAIRS && !ground.pairs.contains(&pair) => {
                ground.toggle(one);
            }
            _ if a == b || (ground.pairs.len() == 1 && ground.pairs.contains(&pair)) => {}
            _ => ground.toggle(pair),
        }
    }
}

fn pause(limit: Duration, random: &mut Random) {
    let limit = u64::try_from(limit.as_micros()).expect("short");
    std::thread::sleep(Duration::from_micros(random.next() % limit));
}

/// A standalone server with what is known of it.
struct Standalone {
    server: Server,
    backup: PathBuf,
    /// What others have, now, when all was new, and in the backup.
    foreign: Vec<String>,
    seeded: Vec<String>,
    in_backup: Vec<String>,
}

impl Standalone {
    /// One fault, all of which is over when this returns.
    /// The daemon is one that is killed only while it `may_die`.
    fn strike(&mut self, ground: &mut Ground, random: &mut Random, may_die: bool) -> &'static str {
        let remote = self.server.remote();
        match random.below(14) {
            6 | 7 if !may_die => {
                self.server.crash();
                change_declarations(ground, random);
                "the server is killed before a change"
            }
            0 => {
                self.server.crash();
                "the server is killed"
            }
            1 => {
                self.server.service.stop();
                pause(Duration::from_millis(200), random);
                self.server.start();
                "the server is stopped for a while"
            }
            2 => {
                self.server.service.pause();
                change_declarations(ground, random);
                pause(Duration::from_millis(400), random);
                self.server.service.resume();
                "the server hangs for a while"
            }
            3 => {
                self.server.kill();
                self.server.create();
                self.server.start();
                pause(Duration::from_millis(300), random);
                seed(&remote);
                self.foreign.clone_from(&self.seeded);
                "everything is wiped and made anew"
            }
            4 => {
                self.server.kill();
                std::fs::copy(&self.backup, self.server.file()).expect("a backup");
                self.server.start();
                self.foreign.clone_from(&self.in_backup);
                "an older backup is restored"
            }
            5 => {
                std::fs::copy(self.server.file(), &self.backup).expect("a backup");
                self.in_backup.clone_from(&self.foreign);
                change_declarations(ground, random);
                "a backup is taken, declarations change"
            }
            6 => {
                pause(Duration::from_millis(10), random);
                ground.daemon.kill9();
                ground.daemon.start_again();
                "the daemon is killed"
            }
            7 => {
                change_declarations(ground, random);
                pause(Duration::from_millis(12), random);
                ground.daemon.kill9();
                self.server.crash();
                ground.daemon.start_again();
                "both are killed amid a change"
            }
            8 => {
                change_declarations(ground, random);
                pause(Duration::from_millis(12), random);
                self.server.crash();
                "the server is killed amid a change"
            }
            9 | 10 => {
                delete_own_row(&remote, random);
                "a row of ours is deleted"
            }
            11 => {
                alter_own_row(&remote, random);
                "a row of ours is altered"
            }
            12 => {
                change_foreign_row(&remote, random);
                self.foreign = foreign(&Dump::read(&remote));
                "somebody changes what is theirs"
            }
            _ => {
                change_declarations(ground, random);
                "declarations change"
            }
        }
    }
}

#[test]
fn a_standalone_northbound_under_random_faults() {
    require_root_and_tools();
    let (scope, mut random, count) = (Scope::new(), Random::seeded(), faults(25));
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let backup = scope.dir().join("backup");
    std::fs::copy(server.file(), &backup).expect("a backup");
    let seeded = foreign(&Dump::read(&server.remote()));
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (1, 2), (3, 4)]);
    ground.converge(&server.remote(), "the start");
    let (foreign_rows, in_backup) = (seeded.clone(), seeded.clone());
    let mut enemy = Standalone { server, backup, foreign: foreign_rows, seeded, in_backup };
    let (mut tally, mut early) = (Tally::default(), 0);
    for number in 0..count {
        let fault = enemy.strike(&mut ground, &mut random, number < count / 2);
        let took = ground.converge(&enemy.server.remote(), &format!("fault {number}, {fault}"));
        tally.add(fault, took);
        let now = foreign(&Dump::read(&enemy.server.remote()));
        assert_eq!(now, enemy.foreign, "fault {number}, {fault}: what others have has changed");
        if number == count / 2 {
            early = ground.memory();
        }
    }
    tally.print();
    Memory { early, last: ground.memory() }.judge(count);
}

/// A member that is out of it, and what brings it back.
type Gone = (usize, fn(&Cluster, usize));

/// One fault of a cluster; gives the member that is to be brought back once the others have gone on.
fn strike_cluster(
    cluster: &Cluster,
    ground: &mut Ground,
    random: &mut Random,
    may_die: bool,
) -> (&'static str, Option<Gone>) {
    let leader = cluster.leader();
    let follower = (leader + 1 + random.below(2)) % 3;
    let server = |index: usize| &cluster.members[index].server;
    let start: fn(&Cluster, usize) = |cluster, index| cluster.members[index].server.start();
    let resume: fn(&Cluster, usize) =
        |cluster, index| cluster.members[index].server.service.resume();
    let heal: fn(&Cluster, usize) = |cluster, index| cluster.heal(index);
    match random.below(10) {
        0 => {
            change_declarations(ground, random);
            pause(Duration::from_millis(12), random);
            server(leader).kill();
            ("the leader is killed amid a change", Some((leader, start)))
        }
        1 => {
            change_declarations(ground, random);
            pause(Duration::from_millis(12), random);
            server(leader).service.pause();
            ("the leader hangs amid a change", Some((leader, resume)))
        }
        2 => {
            cluster.isolate(leader);
            change_declarations(ground, random);
            ("the leader is alone", Some((leader, heal)))
        }
        3 => {
            server(follower).kill();
            change_declarations(ground, random);
            ("a follower is killed", Some((follower, start)))
        }
        4 => {
            change_declarations(ground, random);
            pause(Duration::from_millis(12), random);
            server(leader).appctl(&["cluster/failure-test", "transfer-leadership"]);
            ("the leader hands over amid a change", None)
        }
        5 => {
            for member in &cluster.members {
                // Refused where nothing has changed since the last snapshot, as a peering may have come and gone.
                member.server.try_appctl(&["ovsdb-server/compact", crate::server::DATABASE]);
            }
            change_declarations(ground, random);
            ("all members are compacted", None)
        }
        6 if may_die => {
            change_declarations(ground, random);
            pause(Duration::from_millis(12), random);
            ground.daemon.kill9();
            ground.daemon.start_again();
            ("the daemon is killed amid a change", None)
        }
        7 => {
            delete_own_row(&server(leader).remote(), random);
            ("a row of ours is deleted", None)
        }
        8 => {
            alter_own_row(&server(leader).remote(), random);
            ("a row of ours is altered", None)
        }
        _ => {
            change_declarations(ground, random);
            ("declarations change", None)
        }
    }
}

#[test]
fn a_cluster_under_random_faults() {
    let (scope, mut random, count) = (Scope::new(), Random::seeded(), faults(10));
    let (cluster, mut ground) = peered(&scope, &[(0, 1), (1, 2), (3, 4)]);
    let before = foreign(&Dump::read(&cluster.leading_remote()));
    let (mut tally, mut early) = (Tally::default(), 0);
    for number in 0..count {
        let begin = Instant::now();
        let (fault, gone) = strike_cluster(&cluster, &mut ground, &mut random, number < count / 2);
        let hidden: Vec<_> = gone.iter().map(|(index, _)| *index).collect();
        let what = format!("fault {number}, {fault}");
        let new = cluster.leader_but(&hidden);
        ground.converge(&cluster.members[new].server.remote(), &what);
        tally.add(fault, begin.elapsed());
        if let Some((index, back)) = gone {
            back(&cluster, index);
        }
        let remote = cluster.leading_remote();
        ground.converge(&remote, &format!("{what}, and back"));
        assert_eq!(foreign(&Dump::read(&remote)), before, "{what}: what others have has changed");
        if number == count / 2 {
            early = ground.memory();
        }
    }
    tally.print();
    Memory { early, last: ground.memory() }.judge(count);
}
