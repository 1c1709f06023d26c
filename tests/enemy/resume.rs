//! After a reconnect, only what was missed comes: the session resumes by the id of the last transaction.

use crate::cluster::Cluster;
use crate::ground::{DEADLINE, Ground, seed};
use crate::lab::command::{poll, require_root_and_tools};
use crate::lab::netns::run_inside;
use crate::lab::scope::Scope;
use crate::server::nbctl;

fn row_changes(ground: &Ground) -> u64 {
    ground.status().expect("the daemon answers")["counters"]["row_changes"].as_u64().unwrap()
}

/// How many bytes have come to the daemon in its present session, as the kernel counts them (ss(8)).
fn bytes_received(cluster: &Cluster) -> u64 {
    let text = run_inside(cluster.client(), &["ss", "-tinH", "state", "established"]);
    let counts = text.split_whitespace().filter_map(|word| word.strip_prefix("bytes_received:"));
    counts.map(|count| count.parse::<u64>().expect("a number")).max().expect("a connection")
}

/// The leader hands over, members write a snapshot and forget the log before it, and the daemon reads what it missed.
#[test]
fn a_new_leader_sends_what_was_missed_and_no_dump() {
    require_root_and_tools();
    let scope = Scope::new();
    let cluster = Cluster::listening(&scope);
    seed(&cluster.remotes());
    let pairs = [(0, 1), (2, 3)];
    let ground =
        Ground::start(scope.dir(), &cluster.tcp_settings(), Some(cluster.client()), &pairs);
    // As large as a northbound is, beside what is missed: rows that the daemon reads.
    let remote = cluster.leading_remote();
    let mut words = vec!["init".to_owned()];
    for index in 0..2000 {
        words.extend(["--".to_owned(), "lr-add".to_owned(), format!("more{index}")]);
    }
    nbctl(&remote, &words.iter().map(String::as_str).collect::<Vec<_>>());
    ground.converge(&remote, "many routers");
    ground.daemon.kill9();
    ground.daemon.start_again();
    ground.converge(&cluster.leading_remote(), "a dump");
    let dump = bytes_received(&cluster);
    for compacted in [false, true] {
        let old = cluster.leader();
        if compacted {
            for member in &cluster.members {
                member.server.appctl(&["ovsdb-server/compact", crate::server::DATABASE]);
            }
        }
        let connected =
            |ground: &Ground| ground.daemon.log().matches("connected to the northbound").count();
        let (sessions, changes) = (connected(&ground), row_changes(&ground));
        cluster.members[old].server.appctl(&["cluster/failure-test", "transfer-leadership"]);
        let new = cluster.leader_but(&[old]);
        let remote = cluster.members[new].server.remote();
        nbctl(&remote, &["set", "Logical_Router", "r4", "options:missed=yes"]);
        poll("another session", DEADLINE, || {
            if connected(&ground) > sessions {
                ground.is_settled()
            } else {
                Err("the old one".to_owned())
            }
        });
        ground.converge(&remote, "another leader");
        let (read, changes) = (bytes_received(&cluster), row_changes(&ground) - changes);
        println!(
            "compacted: {compacted}: {read} bytes and {changes} rows, where a start reads {dump} bytes"
        );
        assert!(read < dump / 3, "everything was sent again: {read} of {dump} bytes");
    }
}
