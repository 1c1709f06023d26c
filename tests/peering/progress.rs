//! `active` is said only when OVN has acted, and does not wait for a chassis that is dead (B1, S2.32).

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Record;
use crate::owned::{link_rows, linked_prefixes};
use crate::tenants::{Tenants, assert_says, half, status};

/// Longer than changes are gathered before ovn-northd is asked about them.
const ASKS_AFTER: Duration = Duration::from_secs(7);

#[test]
fn active_only_when_ovn_has_acted() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    lab.databases().northd().pause();
    tenants.both_declare();
    poll("the rows are committed", Duration::from_secs(10), || {
        match link_rows(&lab.dump()).len() {
            0 => Err("none yet".to_owned()),
            _ => Ok(()),
        }
    });
    let half = tenants.daemon.wait_until("it waits for northd", |halves| {
        let waits = halves.iter().find(|h| h["reason"] == "awaiting-northd");
        waits.cloned().ok_or(format!("{halves:?}"))
    });
    assert_eq!(half["state"], "provisioning");
    assert_says(&half, "awaiting-northd", &["ovn-northd"]);
    tenants.wait_green("provisioning");
    lab.databases().northd().resume();
    tenants.wait_active();
}

/// B1: a peering stands, and then ovn-northd stops: a later change is not acted on, and both halves say so on both
/// hosts until it is. What stood goes on. It is asked once, whatever else changes. Where it runs nothing is late, and
/// where nothing changes, over a restart too, nothing is written.
#[test]
fn a_change_that_northd_does_not_act_on_is_reported() {
    let lab = Lab::single_chassis();
    let (tenants, guests) = Tenants::peered(&lab);
    let standby = Daemon::prepare(&lab, "hv2", "");
    for (project, network, router) in [("blue", "web", "a"), ("green", "db", "b")] {
        standby.bind_network(project, network, router);
    }
    standby.start_again();
    standby.wait_state("blue", "web", "to-db", "active");
    let daemons = [&tenants.daemon, &standby];
    // Of the daemons: tools and ovn-northd, which may not be done with the last sync, sign theirs.
    let written = || {
        let unsigned = |record: &Record| record.comment.is_empty();
        lab.northbound_records().into_iter().filter(unsigned).count()
    };
    let records = written();
    tenants.daemon.restart();
    tenants.wait_active();
    std::thread::sleep(ASKS_AFTER);
    assert_eq!(written(), records, "a restart and an idle daemon write nothing");
    let asks = || lab.northbound_records().iter().filter(|it| it.asks_northd()).count();
    let add = |port: &str, network: &str| {
        lab.nbctl(&["lrp-add", "a", port, &lab.fresh_mac(), &format!("{network}.1/24")]);
        poll("the change is written", Duration::from_secs(5), || {
            let routed = linked_prefixes(&lab.dump(), "b").contains(&format!("{network}.0/24"));
            if routed { Ok(()) } else { Err("not yet".to_owned()) }
        });
    };
    let asked = asks();
    add("a-early", "10.10.0");
    poll("it is asked, and answers", ASKS_AFTER, || match asks() {
        n if n == asked + 1 => Ok(()),
        n => Err(format!("{n} asks, and {asked} before")),
    });
    tenants.wait_active();
    for daemon in daemons {
        assert!(!daemon.log().contains("ovn-northd has not acted"), "{}", daemon.log());
    }
    let stream = guests[0].stream(guests[1].v4(), 20);
    lab.databases().northd().pause();
    let asked = asks();
    let started = Instant::now();
    add("a-more", "10.11.0");
    let waits = |half: &Value| {
        half["state"] == "active" && half["degraded"].to_string().contains("awaiting-northd")
    };
    for daemon in daemons {
        daemon.wait_until("both wait for northd", |halves| {
            if halves.iter().all(waits) { Ok(()) } else { Err(format!("{halves:?}")) }
        });
        let took = started.elapsed();
        println!("reported after {took:?}");
        assert!(took > Duration::from_secs(9), "not before it had time to act: {took:?}");
        assert!(took < Duration::from_secs(15), "and soon after: {took:?}");
        assert!(daemon.log().contains("ovn-northd has not acted"), "{}", daemon.log());
    }
    add("a-again", "10.12.0");
    std::thread::sleep(ASKS_AFTER);
    assert_eq!(asks(), asked + 1, "one that does not answer is asked once");
    let report = stream.finish();
    assert_eq!(report.lost(), 0, "{report:?}");
    lab.databases().northd().resume();
    tenants.wait_active();
    poll("it is asked about what changed meanwhile", Duration::from_secs(5), || match asks() {
        n if n == asked + 2 => Ok(()),
        n => Err(format!("{n} asks, and {asked} before")),
    });
    for daemon in daemons {
        assert!(daemon.log().contains("ovn-northd acts on the northbound again"));
    }
    guests[0].assert_reaches(&guests[1]);
}

#[test]
fn a_dead_chassis_holds_nothing_up() {
    let lab = Lab::two_chassis_and_gateway();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    lab.settle();
    let dead = lab.hypervisor(1).controller();
    dead.pause();
    tenants.peer();
    a1.assert_reaches(&b1);
    a1.assert_tcp(&b1);
    dead.resume();
}

/// Without a northbound every half says so, and nothing is forgotten when it is back.
#[test]
fn a_missing_northbound_is_reported_and_awaited() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.blue_declares();
    tenants.wait_blue("pending-peer");
    lab.databases().nb.kill9();
    poll("it is missed", Duration::from_secs(10), || {
        let now = status(&tenants.daemon);
        if now["northbound"]["synced"] == false { Ok(()) } else { Err(now.to_string()) }
    });
    tenants.green_declares();
    let waiting = tenants.wait_green("provisioning");
    assert_says(&waiting, "northbound-unreachable", &["northbound"]);
    lab.databases().start_nb_again();
    tenants.wait_active();
    assert_eq!(tenants.daemon.ctl(&["plan"]).status.code(), Some(0));
}

/// What is declared together is written together, 16 peerings at a time; what follows from one change is written at once.
#[test]
fn many_changes_are_batched() {
    const SPOKES: usize = 60;
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let (mut rows, mut hub, mut spokes) = (String::new(), String::new(), String::new());
    let mut networks = String::new();
    for n in 0..SPOKES {
        let mac = lab.fresh_mac();
        rows += &format!("lr-add s{n}\nlrp-add s{n} s{n}-p {mac} 10.50.{n}.1/24 fd50:{n}::1/64\n");
        hub += &half(&format!("to-{n}"), "web", &format!("red/n{n}"));
        spokes += &half("to-hub", &format!("n{n}"), "blue/web");
        networks +=
            &format!("[[network]]\nproject = \"red\"\nname = \"n{n}\"\nrouter = \"s{n}\"\n");
    }
    lab.nbctl_batch(&rows);
    tenants.daemon.write("networks.d/red.toml", &networks);
    tenants.daemon.declare("red", &spokes);
    tenants.daemon.wait_state("red", "n59", "to-hub", "pending-peer");
    poll("all are recorded", Duration::from_secs(10), || {
        let plan = tenants.daemon.ctl(&["plan"]);
        if plan.status.code() == Some(0) { Ok(()) } else { Err(format!("{plan:?}")) }
    });
    let count = || tenants.daemon.list().iter().filter(|h| h["state"] == "active").count();
    let written = lab.northbound_transactions();
    let start = Instant::now();
    tenants.daemon.declare("blue", &hub);
    poll("all are active", Duration::from_secs(30), || match count() {
        n if n == 2 * SPOKES => Ok(()),
        n => Err(format!("{n} are")),
    });
    let took = start.elapsed();
    let transactions = lab.northbound_transactions() - written;
    println!("{SPOKES} peerings active after {took:?}, in {transactions} transactions");
    assert_eq!(transactions, SPOKES.div_ceil(16));
    // One subnet of the hub is carried to all in one more.
    let written = lab.northbound_transactions();
    lab.nbctl(&["lrp-add", "a", "a-more", &lab.fresh_mac(), "10.51.0.1/24"]);
    poll("all have the route", Duration::from_secs(30), || {
        let rows = link_rows(&lab.dump());
        match rows.iter().filter(|row| row.text("ip_prefix") == "10.51.0.0/24").count() {
            SPOKES => Ok(()),
            n => Err(format!("{n} have")),
        }
    });
    assert_eq!(lab.northbound_transactions() - written, 2, "the subnet, and all that follows");
}
