//! Guests resolve the names of a peer's guests where both sides say so, by OVN's own answers: with dig in a guest, before and
//! after, and beside each name that is not answered one that is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::balancers::{blue, green};
use crate::filters::show;
use crate::lab::Lab;
use crate::lab::command::{poll, require_programs};
use crate::lab::host::Host;
use crate::lab::northbound::Dump;
use crate::on_every_lab;
use crate::owned::{contents, foreign, is_ours, tags};
use crate::tenants::{BLUE, GREEN, Tenants, assert_restart_writes_nothing, half, wait_all_active};

on_every_lab!(guests_resolve_the_names_that_both_sides_agree_on);

/// What must be written after a declaration.
const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// What a change of the northbound may take until it is followed.
const FOLLOW_LIMIT: Duration = Duration::from_secs(1);
/// Until when a guest's resolver must say the same as the rows.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

const OFFER: &str = "offer_names = true";
const TELL: &str = "tell_names = true";

/// What OVN answers a guest; none if nobody answers. Who is asked does not matter: OVN answers for it.
fn dig(from: &Host, server: IpAddr, question: &[&str]) -> Option<Vec<String>> {
    let server = format!("@{server}");
    let mut words = vec!["sh", "-c", "dig \"$@\" || [ $? = 9 ]", "dig", &server];
    // OVN 23.03 answers no question with EDNS: it goes on to who is asked.
    words.extend(["+time=1", "+tries=1", "+noedns", "+short"]);
    words.extend(question);
    let text = from.run(&words);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let silent = lines.is_empty() || lines.iter().any(|line| line.starts_with(";;"));
    (!silent).then_some(lines)
}

/// Waits until a guest gets this answer.
#[track_caller]
fn assert_answer(from: &Host, server: IpAddr, question: &[&str], wanted: &str) {
    poll(&format!("{} resolves {question:?} to {wanted}", from.name), ANSWER_LIMIT, || {
        let found = dig(from, server, question);
        if found.as_deref() == Some(&[wanted.to_owned()]) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    });
}

/// Asserts that a guest gets no answer.
#[track_caller]
fn assert_no_answer(from: &Host, server: IpAddr, question: &[&str]) {
    assert_eq!(dig(from, server, question), None, "{} asks for {question:?}", from.name);
}

/// A row of DNS on a switch, as LXD writes one for each port of an instance; its UUID.
#[track_caller]
fn lxd_row(lab: &Lab, switch: &str, name: &str, addresses: &str) -> String {
    let words = [
        "--id=@row".to_owned(),
        "create".to_owned(),
        "DNS".to_owned(),
        format!("records:{name}=\"{addresses}\""),
        format!("external_ids:lxd_switch={switch}"),
        format!("external_ids:lxd_switch_port={name}-eth0"),
        "--".to_owned(),
        "add".to_owned(),
        "Logical_Switch".to_owned(),
        switch.to_owned(),
        "dns_records".to_owned(),
        "@row".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    lab.nbctl(&words).trim().to_owned()
}

/// The told names: what each row of ours answers, with the names of the switches that refer to it.
fn told(dump: &Dump) -> Vec<(BTreeMap<String, String>, BTreeSet<String>)> {
    let ours = dump.table("DNS").iter().filter(|(_, row)| is_ours("DNS", row));
    let mut told: Vec<_> = ours
        .map(|(uuid, row)| {
            let pairs = row["records"][1].as_array().cloned().unwrap_or_default();
            let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
            let records = pairs.iter().map(|pair| (text(&pair[0]), text(&pair[1])));
            let switches = dump.table("Logical_Switch").values();
            let refer = switches.filter(|it| it["dns_records"].to_string().contains(uuid));
            let names = refer.map(|switch| text(&switch["name"]));
            (records.collect(), names.collect())
        })
        .collect();
    told.sort();
    told
}

/// Waits until blue's guests, and nobody else, are told these names; with their answers.
#[track_caller]
fn wait_told(lab: &Lab, wanted: &[(&str, &str)], limit: Duration) {
    let records = wanted.iter().map(|(name, answer)| ((*name).to_owned(), (*answer).to_owned()));
    let records: BTreeMap<String, String> = records.collect();
    let wanted: Vec<_> = (!records.is_empty())
        .then(|| (records, BTreeSet::from(["a-s0".to_owned()])))
        .into_iter()
        .collect();
    poll(&format!("told names are {wanted:?}"), limit, || {
        let found = told(&lab.dump());
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Names of LXD's and of Neutron's shape, A, AAAA and PTR, from both chassis; nothing before both have agreed, nothing for a
/// third network that is peered and asks, nothing afterwards.
fn guests_resolve_the_names_that_both_sides_agree_on(lab: &Lab) {
    require_programs(&[("dig", "bind9-dnsutils")]);
    let tenants = Tenants::new(lab);
    let third = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    tenants.daemon.bind_network("red", "app", third.router());
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let a2 = lab.add_guest(&tenants.a, "a2", 1);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let c1 = lab.add_guest(&third, "c1", 0);
    let [at_a, at_b, at_c] =
        ["10.1.0.1", "10.2.0.1", "10.3.0.1"].map(|it| it.parse::<IpAddr>().expect("an address"));
    let (v4, v6) = (b1.v4().to_string(), b1.v6().to_string());
    // As LXD has it, and as Neutron has it: a row for the network, with the names of addresses.
    lxd_row(lab, "b-s0", "b1.lxd", &format!("{v4} {v6}"));
    lxd_row(lab, "b-s0", "hidden.lxd", "10.77.0.10");
    lxd_row(lab, "c-s0", "c1.lxd", &c1.v4().to_string());
    lab.nbctl(&[
        "--id=@row",
        "create",
        "DNS",
        &format!("records:vm1=\"{v4} {v6}\""),
        &format!("records:vm1.example.org=\"{v4} {v6}\""),
        &format!("records:{}=vm1.example.org", reversed(b1.v4())),
        "external_ids:ls_name=neutron-b",
        "--",
        "add",
        "Logical_Switch",
        "b-s0",
        "dns_records",
        "@row",
    ]);
    let beside = half("to-app", "db", "red/app") + OFFER;
    tenants.daemon.declare("red", &(half("to-db", "app", "green/db") + "offer_names = true\n"));
    // All are peered. Blue asks, and green does not offer to it.
    blue(&tenants, TELL);
    green(&tenants, "", &beside);
    wait_all_active(&tenants.daemon);
    lab.settle();
    a1.assert_reaches(&b1);
    assert_eq!(told(&lab.dump()), [], "nobody has agreed");
    assert_no_answer(&a1, at_a, &["b1.lxd", "A"]);
    assert_answer(&b1, at_b, &["b1.lxd", "A"], &v4);
    // Green offers to blue now, and blue does not ask any more.
    blue(&tenants, "");
    green(&tenants, OFFER, &beside);
    wait_all_active(&tenants.daemon);
    tenants.daemon.wait_quiet();
    lab.sync();
    assert_eq!(told(&lab.dump()), [], "nobody asks");
    assert_no_answer(&a1, at_a, &["b1.lxd", "A"]);
    let before = foreign(lab);

    blue(&tenants, TELL);
    let ptr = reversed(b1.v4());
    let both = format!("{v4} {v6}");
    let all = [
        ("b1.lxd", &*both),
        ("vm1", &*both),
        ("vm1.example.org", &*both),
        (&*ptr, "vm1.example.org"),
    ];
    wait_told(lab, &all, WRITE_LIMIT);
    wait_all_active(&tenants.daemon);
    lab.sync();
    for from in [&a1, &a2] {
        for name in ["b1.lxd", "B1.LXD", "vm1", "vm1.example.org"] {
            assert_answer(from, at_a, &[name, "A"], &v4);
            assert_answer(from, at_a, &[name, "AAAA"], &v6);
        }
        assert_answer(from, at_a, &["-x", &v4], "vm1.example.org.");
        // Over IPv6 as well, and whoever is asked.
        assert_answer(from, "fd01::1".parse().expect("an address"), &["b1.lxd", "AAAA"], &v6);
        assert_answer(from, "192.0.2.53".parse().expect("an address"), &["b1.lxd", "A"], &v4);
        assert_no_answer(from, at_a, &["hidden.lxd", "A"]);
        assert_no_answer(from, at_a, &["c1.lxd", "A"]);
        from.assert_reaches(&b1);
    }
    // Red is peered with green, which offers, but red does not ask; green does not ask either.
    assert_answer(&c1, at_c, &["c1.lxd", "A"], &c1.v4().to_string());
    assert_no_answer(&c1, at_c, &["b1.lxd", "A"]);
    assert_no_answer(&b1, at_b, &["c1.lxd", "A"]);
    foreign(lab).assert_same_as(&before);
    let shown = show(&tenants, "blue", "web", "to-db").to_string();
    assert!(shown.contains("vm1.example.org") && !shown.contains("hidden"), "{shown}");
    let offered = show(&tenants, "green", "db", "to-web");
    assert_eq!(
        (&offered["names"]["offered"], &offered["names"]["told"]),
        (&4.into(), &serde_json::json!([]))
    );

    // Either side ends it; so does the end of the peering.
    green(&tenants, "", &beside);
    wait_told(lab, &[], WRITE_LIMIT);
    lab.sync();
    assert_no_answer(&a1, at_a, &["b1.lxd", "A"]);
    green(&tenants, OFFER, &beside);
    wait_told(lab, &all, WRITE_LIMIT);
    lab.sync();
    assert_answer(&a1, at_a, &["b1.lxd", "A"], &v4);
    tenants.daemon.declare("blue", "");
    wait_told(lab, &[], WRITE_LIMIT);
    lab.sync();
    assert_no_answer(&a1, at_a, &["b1.lxd", "A"]);
    assert_no_answer(&a1, at_a, &["vm1", "AAAA"]);
    foreign(lab).assert_same_as(&before);
}

/// `10.2.0.10` as `10.0.2.10.in-addr.arpa`.
fn reversed(address: IpAddr) -> String {
    let text = address.to_string();
    let bytes: Vec<&str> = text.rsplit('.').collect();
    format!("{}.in-addr.arpa", bytes.join("."))
}

/// What the other side's tool edits is what guests get, within a second and by one transaction each; one row of others
/// concerns the peers of its network alone.
#[test]
fn edits_of_names_are_followed_within_a_second() {
    require_programs(&[("dig", "bind9-dnsutils")]);
    let lab = Lab::single_chassis();
    let tenants = Tenants::new(&lab);
    let third = lab.add_network("c", &["10.3.0.0/24"]);
    tenants.daemon.bind_network("red", "app", third.router());
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    let at_a: IpAddr = "10.1.0.1".parse().expect("an address");
    let row = lxd_row(&lab, "b-s0", "b1.lxd", "10.2.0.10");
    blue(&tenants, TELL);
    green(&tenants, OFFER, "");
    tenants.wait_active();
    wait_told(&lab, &[("b1.lxd", "10.2.0.10")], WRITE_LIMIT);
    lab.settle();
    assert_answer(&a1, at_a, &["b1.lxd", "A"], "10.2.0.10");
    let set = |records: &str| format!("set DNS {row} records={records}");
    for (edit, wanted) in [
        (set("b1.lxd=10.2.0.11"), vec![("b1.lxd", "10.2.0.11")]),
        (
            format!("set DNS {row} records:b2.lxd=10.2.0.12"),
            vec![("b1.lxd", "10.2.0.11"), ("b2.lxd", "10.2.0.12")],
        ),
        (set("b3.lxd=\"10.2.0.13,fd02::d\""), vec![("b3.lxd", "10.2.0.13 fd02::d")]),
        (format!("remove Logical_Switch b-s0 dns_records {row}"), vec![]),
        (
            format!("add Logical_Switch b-s0 dns_records {row}"),
            vec![("b3.lxd", "10.2.0.13 fd02::d")],
        ),
    ] {
        let written = lab.northbound_transactions();
        lab.nbctl_batch(&edit);
        wait_told(&lab, &wanted, FOLLOW_LIMIT);
        assert_eq!(lab.northbound_transactions() - written, 2, "the edit, and ours: {edit}");
        lab.sync();
        for (name, answers) in wanted {
            let first = answers.split(' ').next().expect("an address");
            assert_answer(&a1, at_a, &[name, "A"], first);
        }
        assert_no_answer(&a1, at_a, &["b9.lxd", "A"]);
    }
    // A name that blue's network has by now is its own; ours is back when that goes.
    let own = lxd_row(&lab, "a-s0", "b3.lxd", "10.1.0.77");
    wait_told(&lab, &[], FOLLOW_LIMIT);
    lab.sync();
    assert_answer(&a1, at_a, &["b3.lxd", "A"], "10.1.0.77");
    let shown = show(&tenants, "blue", "web", "to-db");
    assert_eq!(shown["names"]["taken"], serde_json::json!(["b3.lxd"]));
    lab.nbctl(&["destroy", "DNS", &own]);
    wait_told(&lab, &[("b3.lxd", "10.2.0.13 fd02::d")], FOLLOW_LIMIT);
    // Names at a network of nobody's peering cause no write and no decision.
    tenants.daemon.wait_quiet();
    let decided =
        || crate::tenants::status(&tenants.daemon)["counters"]["peerings_resolved"].clone();
    let (before, written) = (decided(), lab.northbound_transactions());
    tenants.hear_of(|| lxd_row(&lab, "c-s0", "c1.lxd", "10.3.0.10"));
    tenants.daemon.wait_quiet();
    assert_eq!((decided(), lab.northbound_transactions() - written), (before, 1));
}

/// What somebody does to our row is put back: deleted, emptied, taken off a switch, put on another; and a restart writes nothing.
#[test]
fn told_names_are_put_back() {
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24"], &[GREEN]);
    lxd_row(&lab, "b-s0", "b1.lxd", "10.2.0.10 fd02::10");
    lxd_row(&lab, "a-s1", "a1.lxd", "10.11.0.10");
    blue(&tenants, &format!("{TELL}\n{OFFER}"));
    green(&tenants, &format!("{TELL}\n{OFFER}"), "");
    tenants.wait_active();
    let wanted = |dump: &Dump| {
        let names =
            |name: &str, answer: &str| BTreeMap::from([(name.to_owned(), answer.to_owned())]);
        let switches =
            |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
        let all = vec![
            (names("a1.lxd", "10.11.0.10"), switches(&["b-s0"])),
            (names("b1.lxd", "10.2.0.10 fd02::10"), switches(&["a-s0", "a-s1"])),
        ];
        let found = told(dump);
        if found == all { Ok(()) } else { Err(format!("{found:?}")) }
    };
    poll("names are told both ways", WRITE_LIMIT, || wanted(&lab.dump()));
    tenants.daemon.wait_quiet();
    let (content, before) = (contents(&lab.dump()), foreign(&lab));
    for end in ["a", "b"] {
        let row = || {
            let dump = lab.dump();
            let is_it = |row: &_| tags(row).get("ovn-peerd-end").is_some_and(|it| it == end);
            let found = dump.table("DNS").iter().find(|(_, row)| is_it(row));
            found.map(|(uuid, _)| uuid.clone()).expect("a row of this end")
        };
        let other = if end == "a" { "b" } else { "a" };
        for damage in [
            "destroy DNS ROW".to_owned(),
            "clear DNS ROW records".to_owned(),
            "set DNS ROW records:more.lxd=10.2.0.66".to_owned(),
            "remove DNS ROW external_ids ovn-peerd-end".to_owned(),
            format!("set DNS ROW external_ids:ovn-peerd-end={other}"),
            format!("remove Logical_Switch {end}-s0 dns_records ROW"),
            format!("add Logical_Switch {other}-s0 dns_records ROW"),
        ] {
            let damage = damage.replace("ROW", &row());
            tenants.hear_of(|| lab.nbctl_batch(&damage));
            poll(&format!("after {damage}"), FOLLOW_LIMIT, || {
                let dump = lab.dump();
                wanted(&dump)?;
                if contents(&dump) == content {
                    Ok(())
                } else {
                    Err(format!("{:?}", contents(&dump)))
                }
            });
        }
    }
    foreign(&lab).assert_same_as(&before);
    assert_restart_writes_nothing(&lab, &tenants.daemon);
    tenants.daemon.declare("green", "");
    poll("nothing is told any more", WRITE_LIMIT, || {
        let left = told(&lab.dump());
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    foreign(&lab).assert_same_as(&before);
}
