//! Guests use the load balancers that the other side exports to their network, and nobody else does (S2.15): with packets,
//! before and after, and beside each negative something that is answered.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::Host;
use crate::lab::northbound::{Dump, Row};
use crate::on_every_lab;
use crate::owned::{foreign, is_ours};
use crate::tenants::{Tenants, flaws, half, wait_all_active};

on_every_lab!(guests_reach_what_the_other_side_exports);

/// What a change of the northbound may take until it is followed.
const FOLLOW_LIMIT: Duration = Duration::from_secs(1);
/// What must be written after a declaration.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// Virtual addresses: inside of green's subnets, and outside of all.
const INSIDE: &str = "10.2.0.100";
const INSIDE_6: &str = "fd02::100";
const OUTSIDE: &str = "172.30.0.9";
const WHOLE: &str = "10.2.0.101";

/// Blue's half with more keys.
#[track_caller]
pub(crate) fn blue(tenants: &Tenants, more: &str) {
    tenants.daemon.declare("blue", &format!("{}{more}\n", half("to-db", "web", "green/db")));
}

/// Green's half with more keys, beside what else it declares.
#[track_caller]
pub(crate) fn green(tenants: &Tenants, more: &str, beside: &str) {
    let text = format!("{}{more}\n{beside}", half("to-web", "db", "blue/web"));
    tenants.daemon.declare("green", &text);
}

/// Green may have virtual addresses outside of its subnets.
#[track_caller]
pub(crate) fn permit(tenants: &Tenants, prefixes: &str) {
    let text = format!(
        "[[network]]\nproject = \"green\"\nname = \"db\"\nrouter = \"b\"\nmay_export = {prefixes}\n"
    );
    tenants.daemon.write("networks.d/green-db.toml", &text);
}

/// The copies of load balancers, by their virtual addresses.
pub(crate) fn copies(dump: &Dump) -> Vec<(String, Row)> {
    let rows = dump.table("Load_Balancer").iter();
    let ours = rows.filter(|(_, row)| is_ours("Load_Balancer", row));
    ours.map(|(uuid, row)| (uuid.clone(), row.clone())).collect()
}

/// What the copies say: each virtual address with its protocol and its backends.
pub(crate) fn vips(dump: &Dump) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, row) in copies(dump) {
        let protocol = row["protocol"].as_str().unwrap_or("-");
        for pair in row["vips"][1].as_array().into_iter().flatten() {
            let text = |at: usize| pair[at].as_str().unwrap_or_default();
            found.insert(format!("{protocol} {} -> {}", text(0), text(1)));
        }
    }
    found
}

/// The names of the switches that refer to a row.
pub(crate) fn switches_with(dump: &Dump, uuid: &str) -> BTreeSet<String> {
    let refers = |row: &&Row| row["load_balancer"].to_string().contains(uuid);
    let rows = dump.table("Logical_Switch").values().filter(refers);
    rows.map(|row| row["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Waits until the copies say this; gives the time that it took.
#[track_caller]
pub(crate) fn wait_vips(lab: &Lab, wanted: &[&str], limit: Duration) -> Duration {
    let start = std::time::Instant::now();
    let wanted: BTreeSet<String> = wanted.iter().map(|&it| it.to_owned()).collect();
    poll(&format!("the copies are {wanted:?}"), limit, || {
        let found = vips(&lab.dump());
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
    start.elapsed()
}

/// Waits until a half is active and what is wrong with it is exactly this many times each of these words.
#[track_caller]
pub(crate) fn wait_flaws(
    tenants: &Tenants,
    (project, network, name): (&str, &str, &str),
    wanted: &[&str],
) -> Vec<String> {
    poll(&format!("{project}/{network}/{name} says {wanted:?}"), WRITE_LIMIT, || {
        let half = tenants.daemon.half(project, network, name).ok_or("not there")?;
        let mut said = flaws(&half);
        // While rows are written, that is said, too.
        said.retain(|it| it.split_once(':').is_some_and(|(word, _)| !word.contains(' ')));
        let words = said.iter().filter_map(|it| it.split_once(':')).map(|(word, _)| word);
        if half["state"] == "active" && words.eq(wanted.iter().copied()) {
            Ok(said)
        } else {
            Err(half.to_string())
        }
    })
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The backends of a virtual address, as OVN has them.
fn backends(hosts: &[&Host], six: bool, port: u16) -> String {
    let one = |host: &&Host| {
        if six { format!("[{}]:{port}", host.v6()) } else { format!("{}:{port}", host.v4()) }
    };
    hosts.iter().map(one).collect::<Vec<_>>().join(",")
}

/// S2.15: TCP and UDP, IPv4 and IPv6, inside the other side's subnet and outside, and all traffic to an address. Neither
/// before, nor from a network that it is not exported to or that does not ask, nor afterwards.
fn guests_reach_what_the_other_side_exports(lab: &Lab) {
    let tenants = Tenants::new(lab);
    let third = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    tenants.daemon.bind_network("red", "app", third.router());
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest(&tenants.a, "a2", 1);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let b2 = lab.add_guest(&tenants.b, "b2", 1);
    let c1 = lab.add_guest(&third, "c1", 0);
    let _serving = [b1.answer_at(8080), b2.answer_at(8080)];
    permit(&tenants, "[\"172.30.0.0/24\"]");
    let (v4, v6) = (backends(&[&b1, &b2], false, 8080), backends(&[&b1, &b2], true, 8080));
    lab.nbctl_batch(&format!(
        "lb-add web-lb {INSIDE}:80 {v4} tcp\n\
         lb-add web-lb [{INSIDE_6}]:80 {v6} tcp\n\
         lb-add web-lb {OUTSIDE}:80 {v4} tcp\n\
         lb-add dns-lb {INSIDE}:53 {v4} udp\n\
         lb-add dns-lb [{INSIDE_6}]:53 {v6} udp\n\
         lb-add all-lb {WHOLE} {}\n\
         ls-lb-add b-s0 web-lb\n\
         ls-lb-add b-s0 dns-lb\n\
         ls-lb-add b-s0 all-lb",
        b1.v4()
    ));
    let unanswered = |from: &Host| {
        std::thread::scope(|scope| {
            for (protocol, vip, port) in [
                ("tcp", INSIDE, 80),
                ("tcp", INSIDE_6, 80),
                ("tcp", OUTSIDE, 80),
                ("udp", INSIDE, 53),
                ("udp", INSIDE_6, 53),
                ("tcp", WHOLE, 8080),
            ] {
                scope.spawn(move || from.assert_unanswered(protocol, address(vip), port));
            }
        });
    };
    let beside = half("to-app", "db", "red/app");
    let red = half("to-db", "app", "green/db") + "use_load_balancers = true\n";
    tenants.daemon.declare("red", &red);
    // Both are peered; one exports, the other does not ask yet.
    blue(&tenants, "");
    green(&tenants, "load_balancers = [\"web-lb\", \"dns-lb\", \"all-lb\"]", &beside);
    wait_all_active(&tenants.daemon);
    lab.settle();
    a1.assert_answered("tcp", b1.v4(), 8080, &[&b1]);
    assert_eq!(copies(&lab.dump()), [], "nobody uses them");
    unanswered(&a1);
    let before = foreign(lab);

    blue(&tenants, "use_load_balancers = true");
    poll("the copies are there", WRITE_LIMIT, || {
        let found = copies(&lab.dump()).len();
        if found == 3 { Ok(()) } else { Err(format!("{found} copies")) }
    });
    wait_all_active(&tenants.daemon);
    lab.sync();
    for from in [&a1, &a2] {
        from.assert_answered("tcp", address(INSIDE), 80, &[&b1, &b2]);
        from.assert_answered("tcp", address(INSIDE_6), 80, &[&b1, &b2]);
        from.assert_answered("tcp", address(OUTSIDE), 80, &[&b1, &b2]);
        from.assert_answered("udp", address(INSIDE), 53, &[&b1, &b2]);
        from.assert_answered("udp", address(INSIDE_6), 53, &[&b1, &b2]);
        from.assert_answered("tcp", address(WHOLE), 8080, &[&b1]);
        from.assert_answered("udp", address(WHOLE), 8080, &[&b1]);
        from.assert_reach_all(&[address(WHOLE)]);
    }
    // Red is peered and asks, but green exports nothing to it.
    c1.assert_answered("tcp", b1.v4(), 8080, &[&b1]);
    unanswered(&c1);
    // A port that no balancer has; and the address answers for nothing else.
    a1.assert_unanswered("tcp", address(INSIDE), 81);
    let dump = lab.dump();
    for (uuid, _) in copies(&dump) {
        assert_eq!(switches_with(&dump, &uuid), ["a-s0".to_owned()].into());
    }
    foreign(lab).assert_same_as(&before);
    lab.assert_all_matches_parse();

    // The provider takes one back; then the client all.
    green(&tenants, "load_balancers = [\"dns-lb\"]", &beside);
    wait_vips(
        lab,
        &[&*format!("udp {INSIDE}:53 -> {v4}"), &*format!("udp [{INSIDE_6}]:53 -> {v6}")],
        WRITE_LIMIT,
    );
    lab.sync();
    a1.assert_answered("udp", address(INSIDE), 53, &[&b1, &b2]);
    a1.assert_unanswered("tcp", address(INSIDE), 80);
    a1.assert_unanswered("tcp", address(OUTSIDE), 80);
    a1.assert_unanswered("tcp", address(WHOLE), 8080);
    blue(&tenants, "");
    wait_vips(lab, &[], WRITE_LIMIT);
    lab.sync();
    unanswered(&a1);
    a1.assert_answered("tcp", b1.v4(), 8080, &[&b1]);
    foreign(lab).assert_same_as(&before);
}

/// S2.15: what the provider changes of its balancer is what the guests of the other side use, within a second, and one
/// transaction each.
#[test]
fn the_providers_edits_are_followed_within_a_second() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let b2 = lab.add_guest(&tenants.b, "b2", 0);
    let _serving = [b1.answer_at(8080), b2.answer_at(8080), b2.answer_at(8081)];
    lab.nbctl_batch(&format!("lb-add web-lb {INSIDE}:80 {}:8080\nls-lb-add b-s0 web-lb", b1.v4()));
    blue(&tenants, "use_load_balancers = true");
    green(&tenants, "load_balancers = [\"web-lb\"]", "");
    tenants.wait_active();
    wait_vips(&lab, &[&format!("tcp {INSIDE}:80 -> {}:8080", b1.v4())], WRITE_LIMIT);
    lab.settle();
    a1.assert_answered("tcp", address(INSIDE), 80, &[&b1]);
    let before = copies(&lab.dump());
    let (one, two) = (b1.v4(), b2.v4());
    let vip = format!("\"{INSIDE}:80\"");
    let mut slowest = Duration::ZERO;
    for (edit, wanted, answering) in [
        (
            format!("set Load_Balancer web-lb vips:{vip}=\"{one}:8080,{two}:8080\""),
            vec![format!("tcp {INSIDE}:80 -> {one}:8080,{two}:8080")],
            vec![&b1, &b2],
        ),
        (
            format!("set Load_Balancer web-lb vips:{vip}=\"{two}:8081\""),
            vec![format!("tcp {INSIDE}:80 -> {two}:8081")],
            vec![&b2],
        ),
        (
            format!("set Load_Balancer web-lb vips:\"10.2.0.102:80\"=\"{one}:8080\""),
            vec![
                format!("tcp 10.2.0.102:80 -> {one}:8080"),
                format!("tcp {INSIDE}:80 -> {two}:8081"),
            ],
            vec![&b2],
        ),
        (
            "remove Load_Balancer web-lb vips \"10.2.0.102:80\"".to_owned(),
            vec![format!("tcp {INSIDE}:80 -> {two}:8081")],
            vec![&b2],
        ),
        (
            format!("set Load_Balancer web-lb vips:{vip}=\"{one}:8080\""),
            vec![format!("tcp {INSIDE}:80 -> {one}:8080")],
            vec![&b1],
        ),
    ] {
        let written = lab.northbound_transactions();
        lab.nbctl_batch(&edit);
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        slowest = slowest.max(wait_vips(&lab, &wanted, FOLLOW_LIMIT));
        assert_eq!(lab.northbound_transactions() - written, 2, "the edit, and the copy's: {edit}");
        lab.sync();
        a1.assert_answered("tcp", address(INSIDE), 80, &answering);
    }
    println!("the slowest of five edits was followed after {slowest:?} with looking");
    assert_eq!(copies(&lab.dump()), before, "it is the same row, and says what it said at first");

    // Renamed, it is not the one that is exported; named again, it is.
    lab.nbctl(&["set", "Load_Balancer", "web-lb", "name=other-lb"]);
    wait_vips(&lab, &[], FOLLOW_LIMIT);
    let said = wait_flaws(&tenants, ("green", "db", "to-web"), &["balancer-not-found"]);
    assert!(said[0].contains("web-lb") && said[0].contains("green/db"), "{said:?}");
    lab.sync();
    a1.assert_unanswered("tcp", address(INSIDE), 80);
    lab.nbctl(&["set", "Load_Balancer", "other-lb", "name=web-lb"]);
    wait_vips(&lab, &[&format!("tcp {INSIDE}:80 -> {one}:8080")], FOLLOW_LIMIT);
    tenants.wait_active();
    lab.sync();
    a1.assert_answered("tcp", address(INSIDE), 80, &[&b1]);
    // Taken off the switch, it is no longer the network's own; on its router, it is.
    lab.nbctl(&["ls-lb-del", "b-s0", "web-lb"]);
    wait_vips(&lab, &[], FOLLOW_LIMIT);
    lab.nbctl(&["lr-lb-add", "b", "web-lb"]);
    wait_vips(&lab, &[&format!("tcp {INSIDE}:80 -> {one}:8080")], FOLLOW_LIMIT);
    // Made anew as LXD does it, in one transaction: nothing is to be written.
    let (was, written) = (copies(&lab.dump()), lab.northbound_transactions());
    tenants.hear_of(|| {
        lab.nbctl(&[
            "lb-del",
            "web-lb",
            "--",
            "lb-add",
            "web-lb",
            &format!("{INSIDE}:80"),
            &format!("{one}:8080"),
            "--",
            "lr-lb-add",
            "b",
            "web-lb",
        ])
    });
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions() - written, 1, "only what the other tool did");
    assert_eq!(copies(&lab.dump()), was);
    lab.sync();
    a1.assert_answered("tcp", address(INSIDE), 80, &[&b1]);
}

/// S2.15: a provider that moves its virtual address to a guest of the other side takes nothing: the address is left out,
/// and both are told what concerns them.
#[test]
fn a_virtual_address_in_the_clients_subnet_is_left_out() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest(&tenants.a, "a2", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let _serving = [b1.answer_at(8080), a2.answer_at(8080)];
    let own = |vip: &str| format!("{vip}:8080");
    lab.nbctl_batch(&format!(
        "lb-add web-lb {INSIDE}:8080 {}\nls-lb-add b-s0 web-lb",
        own("10.2.0.10")
    ));
    blue(&tenants, "use_load_balancers = true");
    green(&tenants, "load_balancers = [\"web-lb\"]", "");
    tenants.wait_active();
    let kept = format!("tcp {INSIDE}:8080 -> {}", own("10.2.0.10"));
    wait_vips(&lab, &[&kept], WRITE_LIMIT);
    lab.settle();
    a1.assert_answered("tcp", address(INSIDE), 8080, &[&b1]);
    a1.assert_answered("tcp", a2.v4(), 8080, &[&a2]);
    let moved = format!("set Load_Balancer web-lb vips:\"{}:8080\"=\"10.2.0.10:8080\"", a2.v4());
    lab.nbctl_batch(&moved);
    let said = wait_flaws(&tenants, ("green", "db", "to-web"), &["vip-not-owned"]);
    assert!(said[0].contains("10.1.0.11:8080") && said[0].contains("web-lb"), "{said:?}");
    wait_flaws(&tenants, ("blue", "web", "to-db"), &[]);
    // Even if the operator lets it have any address.
    permit(&tenants, "[\"10.0.0.0/8\"]");
    let said = wait_flaws(&tenants, ("blue", "web", "to-db"), &["vip-in-use"]);
    assert!(said[0].contains("10.1.0.11") && said[0].contains("10.1.0.0/24"), "{said:?}");
    wait_flaws(&tenants, ("green", "db", "to-web"), &[]);
    wait_vips(&lab, &[&kept], WRITE_LIMIT);
    lab.sync();
    a1.assert_answered("tcp", address(INSIDE), 8080, &[&b1]);
    a1.assert_answered("tcp", a2.v4(), 8080, &[&a2]);
    lab.nbctl(&["remove", "Load_Balancer", "web-lb", "vips", "\"10.1.0.11:8080\""]);
    tenants.wait_active();
}

/// S2.15: a backend that does not answer the provider's health check gets nothing from the other side's guests.
#[test]
fn a_dead_backend_leaves_the_copy() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let b2 = lab.add_guest(&tenants.b, "b2", 0);
    let first = b1.answer_at(8080);
    let _second = b2.answer_at(8080);
    let (one, two) = (b1.v4(), b2.v4());
    lab.nbctl_batch(&format!(
        "lb-add web-lb {INSIDE}:80 {one}:8080,{two}:8080\n\
         ls-lb-add b-s0 web-lb\n\
         set Load_Balancer web-lb ip_port_mappings:{one}=b1:10.2.0.254 ip_port_mappings:{two}=b2:10.2.0.254"
    ));
    lab.nbctl(&[
        "--id=@check",
        "create",
        "Load_Balancer_Health_Check",
        &format!("vip=\"{INSIDE}:80\""),
        "options:interval=1",
        "options:timeout=1",
        "options:success_count=1",
        "options:failure_count=2",
        "--",
        "add",
        "Load_Balancer",
        "web-lb",
        "health_check",
        "@check",
    ]);
    blue(&tenants, "use_load_balancers = true");
    green(&tenants, "load_balancers = [\"web-lb\"]", "");
    tenants.wait_active();
    wait_vips(&lab, &[&format!("tcp {INSIDE}:80 -> {one}:8080,{two}:8080")], WRITE_LIMIT);
    lab.settle();
    a1.assert_answered("tcp", address(INSIDE), 80, &[&b1, &b2]);
    let dump = lab.dump();
    let checks = dump.table("Load_Balancer_Health_Check").values();
    assert_eq!(checks.filter(|row| is_ours("Load_Balancer_Health_Check", row)).count(), 1);
    let monitors = lab.sbctl(&["--bare", "--columns=ip", "list", "Service_Monitor"]);
    assert_eq!(monitors.split_whitespace().count(), 2, "the checks are shared: {monitors}");
    drop(first);
    a1.assert_answered("tcp", address(INSIDE), 80, &[&b2]);
    let dead = lab.sbctl(&["--bare", "--columns=ip", "find", "Service_Monitor", "status=offline"]);
    assert_eq!(dead.trim(), one.to_string());
    assert_eq!(vips(&lab.dump()).len(), 1, "the copy is as it was");
    let _again = b1.answer_at(8080);
    a1.assert_answered("tcp", address(INSIDE), 80, &[&b1, &b2]);
    // The check goes from the copy when it goes from the original.
    lab.nbctl(&["clear", "Load_Balancer", "web-lb", "health_check"]);
    poll("our health check is gone", FOLLOW_LIMIT, || {
        let left = lab.dump().table("Load_Balancer_Health_Check").len();
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    });
}
