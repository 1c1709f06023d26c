//! Gateway routers: a switch between the routers, and addresses that nobody translates on the way (B11).

use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::Host;
use crate::lab::topology::{Nat, Network};
use crate::on_every_lab;
use crate::owned::{contents, foreign, link_rows, owned};
use crate::tenants::{Tenants, flaws, half, wait_all_active};

/// How long the daemon may take to write, or to put right, one thing.
const WRITE_LIMIT: Duration = Duration::from_secs(5);

/// Pins a network's router to the lab's gateway chassis, and has it translate both families.
fn make_gateway(lab: &Lab, network: &Network, number: u32) {
    let (router, chassis) = (&network.name, lab.gateway().name());
    let mut lines = format!("set Logical_Router {router} options:chassis={chassis}\n");
    for prefix in network.prefixes() {
        let outside = if prefix.addr().is_ipv4() { "172.31.0." } else { "fd31::" };
        lines += &format!("lr-nat-add {router} snat {outside}{number} {prefix}\n");
    }
    lab.nbctl_batch(&lines);
}

/// The peering's switches.
fn transits(lab: &Lab) -> usize {
    owned(&lab.dump()).iter().filter(|row| row.table == "Logical_Switch").count()
}

/// What a NAT row of a network exempts: the addresses of its sets, whoever's they are.
fn exempted(lab: &Lab) -> Vec<String> {
    let dump = lab.dump();
    let sets = dump.table("NAT").values().filter_map(|row| row["exempted_ext_ips"][1].as_str());
    let mut all: Vec<String> =
        sets.map(|set| dump.table("Address_Set")[set]["addresses"].to_string()).collect();
    all.sort();
    all
}

#[track_caller]
fn wait_exempted(lab: &Lab, wanted: &[&str]) {
    poll("what is exempted", WRITE_LIMIT, || {
        let found = exempted(lab);
        if found.iter().map(|text| text.trim_matches('"')).eq(wanted.iter().copied()) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

fn nat_rows(lab: &Lab) -> Vec<String> {
    lab.dump().table("NAT").keys().cloned().collect()
}

/// Both ways, both families, by ping and TCP, and each sees the other's own addresses.
#[track_caller]
fn assert_peered(lab: &Lab, one: &Host, other: &Host) {
    lab.sync();
    for (from, to) in [(one, other), (other, one)] {
        from.assert_reaches(to);
        for address in [from.v4(), from.v6()] {
            let seen = to.capture(&format!("tcp and src {address}"));
            from.assert_tcp(to);
            let what = format!("{} sees {address} of {}", to.name, from.name);
            assert!(seen.sees_something(Duration::from_secs(5)), "{what}");
        }
    }
}

on_every_lab!(
    a_gateway_router_peers_with_a_distributed_one,
    two_gateway_routers_peer,
    a_hub_that_is_a_gateway_router_peers_with_distributed_spokes,
    a_distributed_hub_peers_with_spokes_that_are_gateway_routers,
);

/// With what its owner may do to the NAT row meanwhile; and afterwards that row is as it was.
fn a_gateway_router_peers_with_a_distributed_one(lab: &Lab) {
    let tenants = Tenants::new(lab);
    make_gateway(lab, &tenants.b, 2);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    let apart = || {
        lab.sync();
        a1.assert_reach_all(&tenants.a.router_addresses());
        b1.assert_reach_all(&tenants.b.router_addresses());
        Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    };
    apart();
    tenants.peer();
    assert_eq!(transits(lab), 1);
    assert_peered(lab, &a1, &b1);
    assert_eq!(a1.trace(b1.v4(), 5).len(), 3, "both routers, one hop each");
    lab.assert_all_matches_parse();
    // Without the exemption: so it is this that heals it.
    tenants.daemon.kill9();
    for row in nat_rows(lab) {
        lab.nbctl(&["clear", "NAT", &row, "exempted_ext_ips"]);
    }
    lab.sync();
    b1.assert_no_tcp(&a1);
    tenants.daemon.start_again();
    wait_exempted(lab, &["10.1.0.0/24", "fd01::/64"]);
    assert_peered(lab, &a1, &b1);
    // The owner writes the rows anew, as he knows them.
    for prefix in tenants.b.prefixes() {
        let outside = if prefix.addr().is_ipv4() { "172.31.0.3" } else { "fd31::3" };
        let prefix = prefix.to_string();
        lab.nbctl(&["lr-nat-del", "b", "snat", &prefix]);
        lab.nbctl(&["lr-nat-add", "b", "snat", outside, &prefix]);
    }
    wait_exempted(lab, &["10.1.0.0/24", "fd01::/64"]);
    assert_peered(lab, &a1, &b1);
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    apart();
    assert_eq!(exempted(lab), Vec::<String>::new());
    assert_eq!(transits(lab), 0);
}

/// On the same chassis, which OVN could link directly; then one of them on another chassis, if there is one.
fn two_gateway_routers_peer(lab: &Lab) {
    let tenants = Tenants::new(lab);
    make_gateway(lab, &tenants.a, 1);
    make_gateway(lab, &tenants.b, 2);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    tenants.peer();
    assert_peered(lab, &a1, &b1);
    let written = lab.northbound_transactions();
    let other = format!("options:chassis={}", lab.hypervisor(0).name());
    lab.nbctl(&["set", "Logical_Router", "a", &other]);
    lab.sync();
    assert!(lab.northbound_transactions() <= written + 2, "a move and a sync, nothing else");
    assert_peered(lab, &a1, &b1);
    // One becomes distributed, then the other: the switch goes with the last gateway router.
    lab.nbctl(&["remove", "Logical_Router", "a", "options", "chassis"]);
    tenants.wait_active();
    wait_exempted(lab, &["10.1.0.0/24", "fd01::/64"]);
    assert_eq!(transits(lab), 1);
    assert_peered(lab, &a1, &b1);
    lab.nbctl(&["remove", "Logical_Router", "b", "options", "chassis"]);
    poll("no switch", WRITE_LIMIT, || match transits(lab) {
        0 => Ok(()),
        n => Err(format!("{n} switches")),
    });
    wait_exempted(lab, &[]);
    tenants.wait_active();
    assert_peered(lab, &a1, &b1);
    let gateway = format!("options:chassis={}", lab.gateway().name());
    lab.nbctl(&["set", "Logical_Router", "a", &gateway]);
    wait_exempted(lab, &["10.2.0.0/24", "fd02::/64"]);
    tenants.wait_active();
    assert_peered(lab, &a1, &b1);
    tenants.daemon.withdraw("blue");
    tenants.wait_green("disconnected");
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
}

fn a_hub_that_is_a_gateway_router_peers_with_distributed_spokes(lab: &Lab) {
    hub_and_spokes(lab, true);
}

fn a_distributed_hub_peers_with_spokes_that_are_gateway_routers(lab: &Lab) {
    hub_and_spokes(lab, false);
}

/// Two spokes of the other kind than the hub, which do not reach each other.
fn hub_and_spokes(lab: &Lab, hub_is_gateway: bool) {
    let tenants = Tenants::new(lab);
    let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    tenants.daemon.bind_network("red", "copy", "c");
    if hub_is_gateway {
        make_gateway(lab, &tenants.a, 1);
    } else {
        make_gateway(lab, &tenants.b, 2);
        make_gateway(lab, &c, 3);
    }
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 1);
    let c1 = lab.add_guest(&c, "c1", 0);
    lab.settle();
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&a1, &c1), (&c1, &a1)]);
    let hub = half("to-db", "web", "green/db") + &half("to-copy", "web", "red/copy");
    tenants.daemon.declare("blue", &hub);
    tenants.green_declares();
    tenants.daemon.declare("red", &half("to-web", "copy", "blue/web"));
    tenants.daemon.wait_state("red", "copy", "to-web", "active");
    tenants.daemon.wait_state("green", "db", "to-web", "active");
    assert_peered(lab, &a1, &b1);
    assert_peered(lab, &a1, &c1);
    Host::assert_all_isolated(&[(&b1, &c1), (&c1, &b1)]);
    // A spoke goes; the other stays.
    tenants.daemon.withdraw("red");
    tenants.daemon.wait_state("blue", "web", "to-copy", "disconnected");
    assert_peered(lab, &a1, &b1);
    Host::assert_all_isolated(&[(&a1, &c1), (&c1, &a1)]);
    tenants.daemon.withdraw("blue");
    tenants.wait_green("disconnected");
    wait_exempted(lab, &[]);
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
}

/// A floating address does not make a guest a stranger to its peers, and a NAT row is as it was when the peering goes.
#[test]
fn a_field_of_a_nat_row_is_borrowed_and_given_back() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    lab.nbctl_batch(
        "set Logical_Router b options:chassis=hv1\n\
         lr-nat-add b snat 172.31.0.2 10.2.0.0/24\n\
         lr-nat-add b dnat_and_snat 172.31.0.9 10.2.0.9\n\
         lr-nat-add b dnat 172.31.0.8 10.2.0.8\n\
         lr-nat-add a snat 172.31.0.1 10.1.0.0/24\n\
         create Address_Set name=theirs addresses=192.0.2.0/24",
    );
    let before = lab.dump().table("NAT").clone();
    let theirs = foreign(&lab);
    let written = lab.northbound_transactions();
    tenants.peer();
    assert_eq!(exempted(&lab), ["\"10.1.0.0/24\""; 2], "what translates sources, and nothing else");
    foreign(&lab).assert_same_as(&theirs);
    assert!(lab.northbound_transactions() > written);
    let snat = before.iter().find(|(_, row)| row["logical_ip"] == "10.2.0.0/24").expect("a row").0;
    // A set of the owner's own is left alone, and told; until he takes it away again.
    lab.nbctl(&["set", "NAT", snat, &format!("exempted_ext_ips={}", set_named(&lab, "theirs"))]);
    let flawed = |what: &str, wanted: bool| {
        tenants.daemon.wait_until(what, |halves| {
            let green = halves.iter().find(|h| h["project"] == "green").ok_or("no half")?;
            let told = flaws(green).iter().any(|flaw| flaw.contains("of its own"));
            if told == wanted { Ok(()) } else { Err(green.to_string()) }
        });
    };
    flawed("it is told", true);
    assert_eq!(exempted(&lab), ["\"10.1.0.0/24\"", "\"192.0.2.0/24\""]);
    // What the owner changes meanwhile beside it stays.
    lab.nbctl(&["set", "NAT", snat, "external_ids:theirs=yes", "exempted_ext_ips=[]"]);
    wait_exempted(&lab, &["10.1.0.0/24", "10.1.0.0/24"]);
    flawed("it is well again", false);
    // An allowed set excludes an exempted one.
    let allowed = format!("allowed_ext_ips={}", set_named(&lab, "theirs"));
    lab.nbctl(&["set", "NAT", snat, &allowed]);
    wait_exempted(&lab, &["10.1.0.0/24"]);
    flawed("that is told, too", true);
    lab.nbctl(&["clear", "NAT", snat, "allowed_ext_ips"]);
    wait_exempted(&lab, &["10.1.0.0/24", "10.1.0.0/24"]);
    // The other side's space is followed.
    lab.nbctl(&["lrp-add", "a", "a-more", "0a:00:00:00:00:77", "10.9.0.1/24"]);
    poll("both prefixes", WRITE_LIMIT, || match exempted(&lab).as_slice() {
        [one, two] if one.contains("10.9.0.0/24") && two.contains("10.9.0.0/24") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    lab.nbctl(&["lrp-del", "a-more"]);
    // Given back while the daemon is down.
    lab.nbctl(&["remove", "NAT", snat, "external_ids", "theirs"]);
    tenants.wait_active();
    tenants.daemon.kill9();
    tenants.daemon.withdraw("blue");
    tenants.daemon.withdraw("green");
    tenants.daemon.start_again();
    poll("the rows are as before", WRITE_LIMIT, || match lab.dump().table("NAT") {
        rows if *rows == before => Ok(()),
        rows => Err(format!("{rows:?}")),
    });
    foreign(&lab).assert_same_as(&theirs);
}

fn set_named(lab: &Lab, name: &str) -> String {
    let sets = lab.dump().table("Address_Set").clone();
    let mut named = sets.into_iter().filter(|(_, row)| row["name"] == name);
    named.next().expect("the set").0
}

/// A distributed router translates at its gateway port only: the far guest sees the source's own address.
#[test]
fn distributed_routers_with_gateway_ports_translate_nothing_between_peers() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    for network in [&tenants.a, &tenants.b] {
        lab.add_uplink(network, Nat::Source);
    }
    lab.settle();
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    let nats = lab.dump().table("NAT").clone();
    tenants.peer();
    assert_peered(&lab, &a1, &b1);
    a1.assert_tcp(&lab.outside());
    assert_eq!(*lab.dump().table("NAT"), nats, "no NAT row is touched");
}

/// Somebody copies the switch of a link with its ports: they have two parents then, and the copy loses them.
#[test]
fn what_a_copied_switch_refers_to_of_ours_is_taken_out() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    lab.nbctl(&["set", "Logical_Router", "b", "options:chassis=hv1"]);
    tenants.peer();
    let wanted = contents(&lab.dump());
    let ports = owned(&lab.dump()).into_iter().filter(|row| row.table == "Logical_Switch_Port");
    let ports: Vec<String> = ports.map(|row| row.uuid).collect();
    assert_eq!(ports.len(), 2);
    let set = format!("ports={}", ports.join(","));
    lab.nbctl(&["create", "Logical_Switch", "name=copy", &set]);
    poll("the copy has none of ours", Duration::from_secs(5), || {
        let columns = ["--bare", "--columns=ports", "find", "Logical_Switch", "name=copy"];
        let left = lab.nbctl(&columns);
        if left.trim().is_empty() { Ok(()) } else { Err(left) }
    });
    assert_eq!(contents(&lab.dump()), wanted);
}

/// Every row of a link switch, and the set that NAT rows refer to, deleted and altered by hand.
#[test]
fn a_deleted_link_switch_is_back_within_a_second() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    lab.nbctl_batch(
        "set Logical_Router b options:chassis=hv1\nlr-nat-add b snat 172.31.0.2 10.2.0.0/24",
    );
    tenants.peer();
    let (wanted, theirs) = (contents(&lab.dump()), foreign(&lab));
    let is_remotes = |name: &Value| name.as_str().is_some_and(|name| name.contains("_remotes_"));
    let mut rows = owned(&lab.dump());
    rows.retain(|row| {
        row.table.starts_with("Logical_Switch") || row.row.get("name").is_some_and(is_remotes)
    });
    assert_eq!(rows.len(), 4, "a switch, its two ports, a set: {rows:?}");
    assert_eq!(link_rows(&lab.dump()).len(), 2 + 4 + 6);
    for row in rows {
        let ways: &[&str] = match row.table.as_str() {
            "Logical_Switch" => {
                &["deleted", "set name=x", "set external_ids:ovn-peerd-label=x", "clear ports"]
            }
            "Logical_Switch_Port" => &[
                "deleted",
                "set type=\"\"",
                "set type=localnet",
                "set options:router-port=b-r0",
                "clear options",
                "set addresses=unknown",
                "set enabled=false",
                "set name=x",
                "clear external_ids",
            ],
            _ => &["deleted", "set addresses=192.0.2.0/24", "clear addresses"],
        };
        for way in ways {
            let now = owned(&lab.dump()).into_iter().find(|now| now.same_as(&row));
            let now = now.expect("put back");
            match way.split_once(' ') {
                Some((verb, rest)) => {
                    lab.nbctl(&[verb, &now.table, &now.uuid, rest]);
                }
                None => now.delete(&lab),
            }
            poll(&format!("{way}: {}", row.table), Duration::from_secs(1), || {
                let found = contents(&lab.dump());
                if found == wanted && exempted(&lab) == ["\"10.1.0.0/24\""] {
                    return Ok(());
                }
                Err(format!("{:#?}", found.symmetric_difference(&wanted).collect::<Vec<_>>()))
            });
        }
    }
    wait_all_active(&tenants.daemon);
    foreign(&lab).assert_same_as(&theirs);
}

/// B11: the links of a router that is pinned to a chassis, or no longer, are converted in one transaction. What the router
/// itself answers shows what of a gap is OVN's own work on its ports.
#[test]
fn a_conversion_interrupts_for_some_milliseconds_at_most() {
    const EVERY: Duration = Duration::from_millis(5);
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let [a1, b1] = [(&tenants.a, "a1"), (&tenants.b, "b1")]
        .map(|(network, name)| lab.add_guest(network, name, 0));
    lab.settle();
    tenants.peer();
    lab.sync();
    a1.assert_reaches(&b1);
    let own = tenants.b.router_addresses()[0];
    let per_second = u32::try_from(Duration::from_secs(1).as_millis() / EVERY.as_millis()).unwrap();
    for turn in 0..10 {
        let pinned = turn % 2 == 0;
        let streams = [(&a1, b1.v4()), (&b1, a1.v4()), (&b1, own)]
            .map(|(from, to)| from.stream(to, per_second));
        let chassis = lab.gateway().name();
        if pinned {
            lab.nbctl(&["set", "Logical_Router", "b", &format!("options:chassis={chassis}")]);
        } else {
            lab.nbctl(&["remove", "Logical_Router", "b", "options", "chassis"]);
        }
        poll("the link is converted", WRITE_LIMIT, || {
            let found = transits(&lab);
            if found == usize::from(pinned) { Ok(()) } else { Err(found.to_string()) }
        });
        lab.sync();
        let reports = streams.map(|stream| stream.finish());
        let gaps = reports
            .each_ref()
            .map(|report| report.longest_gap * u32::try_from(EVERY.as_millis()).unwrap());
        println!("pinned {pinned}: gaps of {gaps:?} ms; the last one is to the router itself");
        for report in &reports[..2] {
            assert!(
                report.longest_gap * u32::try_from(EVERY.as_millis()).unwrap() <= 100,
                "{report:?}"
            );
        }
        a1.assert_reaches(&b1);
        b1.assert_reaches(&a1);
    }
}
