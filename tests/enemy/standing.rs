//! A standalone northbound that goes away, forgets all, or goes back in time.

use std::fs;

use crate::ground::{Ground, foreign, own, seed};
use crate::lab::command::{poll, require_root_and_tools};
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::server::{Server, nbctl};

/// A server with networks, and a daemon whose three peerings stand.
fn peered(scope: &Scope) -> (Server, Ground) {
    require_root_and_tools();
    let server = Server::standalone(scope.dir(), &[]);
    seed(&server.remote());
    let settings = format!("remotes = [{:?}]\n", server.remote());
    let ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (1, 2), (3, 4)]);
    ground.converge(&server.remote(), "the start");
    (server, ground)
}

#[test]
fn a_restart_is_followed_without_a_write() {
    let scope = Scope::new();
    let (server, ground) = peered(&scope);
    let before = Dump::read(&server.remote());
    for _ in 0..3 {
        let connected = ground.daemon.log().matches("connected to the northbound").count();
        server.crash();
        poll("a new session", crate::ground::DEADLINE, || {
            let now = ground.daemon.log().matches("connected to the northbound").count();
            if now > connected { ground.is_settled() } else { Err("the old session".to_owned()) }
        });
    }
    // Row by row, version by version.
    Dump::read(&server.remote()).assert_same_as(&before);
}

/// An empty database, then the same networks made anew, with other identities.
#[test]
fn a_wiped_northbound_is_filled_as_soon_as_its_routers_are_back() {
    let scope = Scope::new();
    let (server, ground) = peered(&scope);
    let before = Dump::read(&server.remote());
    server.kill();
    server.create();
    server.start();
    // Nothing to be peered: no half is lost, each says what is missing.
    let halves = ground.daemon.wait_until("every half fails for want of its router", |halves| {
        let failed = halves.iter().filter(|half| half["state"] == "failed").count();
        if failed == 6 && halves.len() == 6 { Ok(halves) } else { Err(format!("{halves:?}")) }
    });
    for half in &halves {
        let text = half["explanation"].as_str().expect("an explanation");
        assert!(text.contains("Logical_Router"), "{half}");
    }
    seed(&server.remote());
    let took = ground.converge(&server.remote(), "routers that are back");
    println!("filled again {took:?} after the routers were back");
    let after = Dump::read(&server.remote());
    assert_eq!(foreign(&before), foreign(&after));
    let ports = |dump: &Dump| {
        own(dump)
            .iter()
            .filter(|row| row.starts_with("Logical_Router_P"))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(ports(&before).len(), ports(&after).len());
}

/// The backup knows a peering that has been withdrawn since, and does not know one that has been declared since; the
/// daemon runs on, or starts only then.
#[test]
fn an_older_backup_is_brought_to_what_is_declared_now() {
    let scope = Scope::new();
    let (server, mut ground) = peered(&scope);
    let (file, backup) = (server.file(), scope.dir().join("backup"));
    fs::copy(&file, &backup).expect("a copy");
    ground.toggle((0, 1));
    ground.toggle((2, 5));
    // Somebody else changes something as well, which the backup takes back.
    nbctl(&server.remote(), &["lr-route-add", "r3", "192.0.2.0/24", "10.3.0.9"]);
    ground.converge(&server.remote(), "changes after the backup");
    for restarted in [false, true] {
        if restarted {
            ground.daemon.kill9();
        }
        server.kill();
        fs::copy(&backup, &file).expect("a copy");
        let restored = || foreign(&Dump::read(&server.remote()));
        server.start();
        let foreign_rows = restored();
        if restarted {
            ground.daemon.start_again();
        }
        // The old session must be over before anything is judged.
        let took = ground.converge(&server.remote(), "an older backup");
        println!(
            "brought from the backup to what is declared in {took:?} (daemon restarted: {restarted})"
        );
        assert_eq!(restored(), foreign_rows);
        let (a, b) = (ground.daemon.half("p0", "n", "to-1"), ground.daemon.half("p2", "n", "to-5"));
        assert!(a.is_none() && b.is_some(), "{a:?} {b:?}");
    }
}
