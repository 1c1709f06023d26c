//! The leader goes, in the middle of a transaction: whether it was done is not known, and yet the rows are there once.

use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::ground::{Ground, NETWORKS, Pair, foreign, seed};
use crate::lab::command::{poll, require_root_and_tools};
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::random::Random;

/// Every pair of networks: as large a batch as these networks give.
fn all_pairs() -> Vec<Pair> {
    (0..NETWORKS).flat_map(|b| (0..b).map(move |a| (a, b))).collect()
}

/// A cluster with networks, and a daemon that is to peer these.
pub(crate) fn peered(scope: &Scope, pairs: &[Pair]) -> (Cluster, Ground) {
    require_root_and_tools();
    let cluster = Cluster::start(scope);
    seed(&cluster.remotes());
    let ground = Ground::start(scope.dir(), &cluster.settings(), None, pairs);
    ground.converge(&cluster.leading_remote(), "the start");
    (cluster, ground)
}

fn failed_transactions(ground: &Ground) -> u64 {
    ground.status().expect("the daemon answers")["counters"]["transactions_failed"]
        .as_u64()
        .unwrap()
}

/// The leader stands still with the transaction in its hands, another one is elected, and the old one wakes up.
#[test]
fn a_leader_that_hangs_with_the_transaction_in_its_hands() {
    let scope = Scope::new();
    let (cluster, mut ground) = peered(&scope, &[(0, 1)]);
    let before = foreign(&Dump::read(&cluster.leading_remote()));
    let old = cluster.leader();
    cluster.members[old].server.service.pause();
    let begin = Instant::now();
    all_pairs().into_iter().skip(1).for_each(|pair| ground.toggle(pair));
    let new = cluster.leader_but(&[old]);
    let elected = begin.elapsed();
    let remote = cluster.members[new].server.remote();
    ground.converge(&remote, "another leader");
    println!("another leader after {elected:?}, all rows there after {:?}", begin.elapsed());
    assert!(failed_transactions(&ground) > 0, "no transaction was under way");
    assert!(ground.daemon.log().contains("whether the transaction was done is not known"));
    cluster.members[old].server.service.resume();
    poll("the old leader follows", crate::ground::DEADLINE, || {
        let status =
            cluster.members[old].server.try_appctl(&["cluster/status", crate::server::DATABASE]);
        let status = status.unwrap_or_default();
        if status.contains("Role: follower") { Ok(()) } else { Err(status) }
    });
    ground.converge(&cluster.leading_remote(), "the old leader's return");
    assert_eq!(foreign(&Dump::read(&cluster.leading_remote())), before);
}

/// Killed, frozen or made to hand over at random moments of batches under way.
#[test]
fn leaders_that_go_at_random_moments_of_a_batch() {
    let scope = Scope::new();
    let (cluster, mut ground) = peered(&scope, &[(0, 1)]);
    let before = foreign(&Dump::read(&cluster.leading_remote()));
    let mut random = Random::seeded();
    let mut slowest = Duration::ZERO;
    for round in 0..9 {
        let leader = cluster.leader();
        for _ in 0..4 {
            let pairs = all_pairs();
            ground.toggle(pairs[random.below(pairs.len())]);
        }
        std::thread::sleep(Duration::from_micros(random.next() % 15_000));
        let server = &cluster.members[leader].server;
        match round % 3 {
            0 => server.kill(),
            1 => server.service.pause(),
            _ => drop(server.try_appctl(&["cluster/failure-test", "transfer-leadership"])),
        }
        let gone = if round % 3 == 2 { None } else { Some(leader) };
        let new = cluster.leader_but(gone.as_slice());
        let remote = cluster.members[new].server.remote();
        let took = ground.converge(&remote, &format!("round {round}"));
        println!("round {round}: {took:?}");
        slowest = slowest.max(took);
        match round % 3 {
            0 => server.start(),
            1 => server.service.resume(),
            _ => {}
        }
    }
    ground.converge(&cluster.leading_remote(), "the end");
    println!(
        "9 leaders gone, {} transactions failed, slowest convergence {slowest:?}",
        failed_transactions(&ground)
    );
    // A transaction that is lost in an election is given up within 8 s, not within the 30 s of a single server.
    assert!(slowest < Duration::from_secs(20), "{slowest:?}\n{}", ground.daemon.log());
    assert_eq!(foreign(&Dump::read(&cluster.leading_remote())), before);
}
