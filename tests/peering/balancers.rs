//! Guests use the load balancers that the other side exports to their network, and nobody else does (S2.15): with packets,
//! before and after, and beside each negative something that is answered.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::Value;

use crate::filters::show;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::Host;
use crate::lab::northbound::{Dump, Row};
use crate::on_every_lab;
use crate::owned::{contents, foreign, is_ours, tags};
use crate::tenants::{BLUE, GREEN, Tenants, flaws, half, wait_all_active};

on_every_lab!(s2_15_guests_reach_what_the_other_side_exports);

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
    poll(&format!("the copies are {wanted:?}"), limit, || {
        let found = vips(&lab.dump());
        if found.iter().eq(wanted) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    start.elapsed()
}

fn address(text: &str) -> IpAddr {
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
fn s2_15_guests_reach_what_the_other_side_exports(lab: &Lab) {
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
        from.assert_unanswered("tcp", address(INSIDE), 80);
        from.assert_unanswered("tcp", address(INSIDE_6), 80);
        from.assert_unanswered("tcp", address(OUTSIDE), 80);
        from.assert_unanswered("udp", address(INSIDE), 53);
        from.assert_unanswered("udp", address(INSIDE_6), 53);
        from.assert_unanswered("tcp", address(WHOLE), 8080);
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
