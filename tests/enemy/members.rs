//! Members that lose the others, that hang, and that are replaced.

use std::time::Instant;

use crate::ground::{Ground, foreign, seed};
use crate::lab::command::require_root_and_tools;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::leader::peered;

/// The leader loses the others while the daemon reaches it still: it goes where the others are.
#[test]
fn a_member_in_the_minority_is_left() {
    let scope = Scope::new();
    let (cluster, mut ground) = peered(&scope, &[(0, 1), (2, 3)]);
    let before = foreign(&Dump::read(&cluster.leading_remote()));
    let old = cluster.leader();
    let own = cluster.members[old].server.remote();
    ground.status_that("the daemon is with the leader", |status| {
        status["northbound"]["remote"] == own.as_str()
    });
    cluster.isolate(old);
    let begin = Instant::now();
    ground.toggle((1, 4));
    let new = cluster.leader_but(&[old]);
    let remote = cluster.members[new].server.remote();
    ground.converge(&remote, "the majority");
    println!("in the majority, and written, after {:?}", begin.elapsed());
    let log = ground.daemon.log();
    assert!(
        log.contains("has no connection to its cluster") || log.contains("not the leader"),
        "{log}"
    );
    // What was written in the majority stands when the others come back.
    cluster.heal(old);
    ground.toggle((0, 5));
    let remote = cluster.leading_remote();
    ground.converge(&remote, "the whole");
    assert_eq!(foreign(&Dump::read(&cluster.leading_remote())), before);
}

/// Two of three are gone: nobody leads, nothing is written, nothing is lost; then they come back.
#[test]
fn without_a_majority_the_daemon_waits_and_says_why() {
    let scope = Scope::new();
    let (cluster, mut ground) = peered(&scope, &[(0, 1), (2, 3)]);
    let leader = cluster.leader();
    let gone: Vec<_> = (0..3).filter(|index| *index != leader).collect();
    gone.iter().for_each(|index| cluster.members[*index].server.service.pause());
    ground.toggle((1, 4));
    let status = ground.status_that("no connection", |status| {
        status["northbound"]["synced"] == false && status["northbound"]["error"].is_string()
    });
    println!("without a majority: {}", status["northbound"]["error"]);
    let halves = ground.daemon.list();
    assert_eq!(halves.len(), 6, "{halves:?}");
    gone.iter().for_each(|index| cluster.members[*index].server.service.resume());
    let begin = Instant::now();
    let remote = cluster.leading_remote();
    ground.converge(&remote, "the majority is back");
    println!("written {:?} after the majority was back", begin.elapsed());
}

/// The leader's file can grow no more, as on a full disk: whatever becomes of that member, the daemon gets its rows in.
#[test]
fn a_leader_that_cannot_write_its_log() {
    let scope = Scope::new();
    let (cluster, mut ground) = peered(&scope, &[(0, 1), (2, 3)]);
    let before = foreign(&Dump::read(&cluster.leading_remote()));
    let old = cluster.leader();
    cluster.members[old].server.let_grow(false);
    ground.toggle((1, 4));
    let begin = Instant::now();
    let new = cluster.leader_but(&[old]);
    ground.converge(&cluster.members[new].server.remote(), "another leader");
    println!("written by another leader after {:?}", begin.elapsed());
    // A member that has failed so stays out until it is started again.
    let server = &cluster.members[old].server;
    let status = server.appctl(&["cluster/status", crate::server::DATABASE]);
    assert!(status.contains("Status: failed"), "{status}");
    server.crash();
    ground.toggle((1, 4));
    ground.converge(&cluster.leading_remote(), "all three again");
    assert_eq!(foreign(&Dump::read(&cluster.leading_remote())), before);
}

/// Members by TCP; the one that hangs goes on accepting connections (the kernel does), and answers nothing.
#[test]
fn a_member_that_accepts_tcp_and_hangs_costs_seconds() {
    require_root_and_tools();
    let scope = Scope::new();
    let cluster = crate::cluster::Cluster::listening(&scope);
    seed(&cluster.remotes());
    let ground =
        Ground::start(scope.dir(), &cluster.tcp_settings(), Some(cluster.client()), &[(0, 1)]);
    ground.converge(&cluster.leading_remote(), "the start");
    // One that hangs from before the daemon starts: it is met at the start, or it is not.
    let follower = cluster.follower();
    cluster.members[follower].server.service.pause();
    ground.daemon.kill9();
    let begin = Instant::now();
    ground.daemon.start_again();
    ground.converge(&cluster.leading_remote(), "a start beside a member that hangs");
    println!("started beside a follower that hangs in {:?}", begin.elapsed());
    cluster.members[follower].server.service.resume();
    // The one that the daemon is connected to.
    let leader = cluster.leader();
    cluster.members[leader].server.service.pause();
    let begin = Instant::now();
    let new = cluster.leader_but(&[leader]);
    let remote = cluster.members[new].tcp();
    ground.status_that("connected to the new leader", |status| {
        status["northbound"]["remote"] == remote.as_str() && status["northbound"]["active"] == true
    });
    println!("left a leader that hangs after {:?}", begin.elapsed());
    assert!(ground.daemon.log().contains("hangs, is paused or is gone"), "{}", ground.daemon.log());
    ground.converge(&cluster.members[new].server.remote(), "the new leader");
    cluster.members[leader].server.service.resume();
}

/// One by one, until none of the first three is left; each time the daemon's settings name those that are there.
#[test]
fn all_members_are_replaced_one_by_one() {
    let scope = Scope::new();
    let (mut cluster, mut ground) = peered(&scope, &[(0, 1), (2, 3)]);
    let before = foreign(&Dump::read(&cluster.leading_remote()));
    let first: Vec<_> = cluster.members.iter().map(|member| member.server.remote()).collect();
    for round in 0..3 {
        cluster.add(&scope);
        ground.daemon.reconfigure(&cluster.settings(), "hv1");
        ground.daemon.restart();
        // Those that follow as well as the one that leads.
        cluster.remove(0);
        ground.toggle((round, 5));
        let remote = cluster.leading_remote();
        let took = ground.converge(&remote, "a member replaced");
        println!("member {round} replaced; converged in {took:?}");
    }
    assert!(cluster.members.iter().all(|member| !first.contains(&member.server.remote())));
    assert_eq!(foreign(&Dump::read(&cluster.leading_remote())), before);
}
