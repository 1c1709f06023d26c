//! What crosses a peering is what one side announces and the other takes, and nothing else (B6, B7): with packets, before
//! and after, and beside each negative something that arrives.

use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::{Host, Ping};
use crate::on_every_lab;
use crate::owned::{contents, foreign, link_rows, linked_prefixes};
use crate::tenants::{BLUE, GREEN, Tenants, assert_says, flaws, half, wait_all_active};

on_every_lab!(an_export_filter_is_what_the_other_side_reaches);

/// Blue's half with more keys.
fn blue(tenants: &Tenants, more: &str) {
    tenants.daemon.declare("blue", &format!("{}{more}", half("to-db", "web", "green/db")));
}

/// Green's half with more keys.
fn green(tenants: &Tenants, more: &str) {
    tenants.daemon.declare("green", &format!("{}{more}", half("to-web", "db", "blue/web")));
}

/// Waits until a router routes these prefixes over links, and no others.
#[track_caller]
pub(crate) fn wait_routed(lab: &Lab, router: &str, wanted: &[&str]) {
    poll(&format!("{router} routes {wanted:?}"), Duration::from_secs(10), || {
        let found = linked_prefixes(&lab.dump(), router);
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// `show` of a half.
#[track_caller]
pub(crate) fn show(tenants: &Tenants, project: &str, network: &str, name: &str) -> Value {
    let shown = tenants.daemon.ctl(&["show", project, network, name, "--format", "json"]);
    serde_json::from_slice(&shown.stdout).expect("JSON")
}

/// B6: the prefix that is not exported is neither reached nor reaches, until the filter goes; the other one all the time.
fn an_export_filter_is_what_the_other_side_reaches(lab: &Lab) {
    let tenants = Tenants::with_subnets(lab, &[BLUE, "10.11.0.0/24 fd11::/64"], &[GREEN]);
    let told = lab.add_guest(&tenants.a, "a1", 0);
    let hidden = lab.add_guest_in(&tenants.a.subnets[1], "a2", 1);
    let other = lab.add_guest(&tenants.b, "b1", 1);
    lab.settle();
    Host::assert_all_isolated(&[(&told, &other), (&hidden, &other)]);
    blue(&tenants, "export = [\"10.1.0.0/24\", { prefix = \"fd01::/16\", le = 64 }]\n");
    green(&tenants, "");
    tenants.wait_active();
    wait_routed(lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    wait_routed(lab, "a", &["10.2.0.0/24", "fd02::/64"]);
    lab.sync();
    told.assert_reaches(&other);
    other.assert_tcp(&told);
    Host::assert_all_isolated(&[(&hidden, &other), (&other, &hidden)]);
    // Hidden from the peer, not from its own network.
    told.assert_reaches(&hidden);
    // A route that the other side makes by hand, out of the link, does not open it.
    let way = link_rows(&lab.dump())
        .into_iter()
        .find(|row| row.router == "b" && row.text("ip_prefix") == "10.1.0.0/24");
    let way = way.expect("a route of ours");
    let (nexthop, port) = (way.text("nexthop").to_owned(), way.text("output_port").to_owned());
    lab.nbctl(&["lr-route-add", "b", "10.11.0.0/24", &nexthop, &port]);
    lab.sync();
    Host::assert_all_isolated(&[(&hidden, &other), (&other, &hidden)]);
    told.assert_reaches(&other);
    lab.nbctl(&["lr-route-del", "b", "10.11.0.0/24"]);
    let stream = told.stream(other.v4(), 100);
    blue(&tenants, "");
    wait_routed(lab, "b", &["10.1.0.0/24", "10.11.0.0/24", "fd01::/64", "fd11::/64"]);
    tenants.wait_active();
    lab.sync();
    hidden.assert_reaches(&other);
    other.assert_tcp(&hidden);
    blue(&tenants, "export = [\"10.1.0.0/24\", \"fd01::/64\"]\n");
    wait_routed(lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    tenants.wait_active();
    lab.sync();
    Host::assert_all_isolated(&[(&hidden, &other), (&other, &hidden)]);
    let report = stream.finish();
    assert_eq!(report.lost(), 0, "what both filters let through loses no packet: {report:?}");
    lab.assert_all_matches_parse();
}

/// B6: the side that takes decides, too; what it does not take does not reach it, though the other side announces it.
#[test]
fn an_import_filter_is_what_this_side_takes() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(&lab, &[BLUE], &[GREEN, "10.12.0.0/24 fd12::/64"]);
    let guest = lab.add_guest(&tenants.a, "a1", 0);
    let taken = lab.add_guest(&tenants.b, "b1", 0);
    let unwanted = lab.add_guest_in(&tenants.b.subnets[1], "b2", 0);
    blue(
        &tenants,
        "import = [{ prefix = \"10.12.0.0/16\", le = 24, action = \"deny\" }, { prefix = \"0.0.0.0/0\", le = 32 }, { prefix = \"::/0\", le = 128 }]\n",
    );
    green(&tenants, "");
    tenants.wait_active();
    wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64", "fd12::/64"]);
    lab.settle();
    guest.assert_reaches(&taken);
    taken.assert_tcp(&guest);
    let lost = |from: &Host, to: &Host| {
        let report = from.ping(to.v4(), Ping::default());
        assert_eq!(report.received, 0, "{report:?}");
    };
    lost(&guest, &unwanted);
    lost(&unwanted, &guest);
    guest.assert_reach_all(&[unwanted.v6()]);
    let mine = show(&tenants, "blue", "web", "to-db");
    let told = mine["filtered"].to_string();
    assert!(told.contains("10.12.0.0/24") && told.contains("`import`"), "{mine}");
    assert_eq!((&mine["exported"], &mine["imported"]), (&2.into(), &3.into()), "{mine}");
    let theirs = show(&tenants, "green", "db", "to-web");
    let told = theirs["filtered"].to_string();
    assert!(told.contains("10.12.0.0/24") && told.contains("blue/web"), "{theirs}");
    blue(&tenants, "");
    wait_routed(&lab, "a", &["10.12.0.0/24", "10.2.0.0/24", "fd02::/64", "fd12::/64"]);
    tenants.wait_active();
    lab.sync();
    guest.assert_reaches(&unwanted);
    unwanted.assert_tcp(&guest);
    // A part of what is announced, and one family alone.
    blue(&tenants, "import = [\"10.12.0.0/28\"]\n");
    wait_routed(&lab, "a", &["10.12.0.0/28"]);
    wait_routed(&lab, "b", &["10.1.0.0/24"]);
    tenants.wait_active();
    lab.sync();
    guest.assert_reach_all(&[unwanted.v4()]);
    guest.assert_reach_none(&[taken.v4(), taken.v6(), unwanted.v6()]);
    lab.assert_all_matches_parse();
}

/// B7: both have the same subnet, which neither announces; each goes on using its own, and the rest is peered.
#[test]
fn networks_that_overlap_peer_by_what_does_not() {
    let lab = Lab::single_chassis();
    let same = "10.9.0.0/24 fd09::/64";
    // The overlapping subnet sorts first on one side: its router's address is the same on both.
    let tenants = Tenants::with_subnets(&lab, &[same, "10.11.0.0/24 fd11::/64"], &[GREEN, same]);
    let (a_same, b_same) = (&tenants.a.subnets[0], &tenants.b.subnets[1]);
    let a1 = lab.add_guest_in(&tenants.a.subnets[1], "a1", 0);
    let a9 = lab.add_guest_in(a_same, "a9", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    let b9 = lab.add_guest_in(b_same, "b9", 0);
    tenants.both_declare();
    let both = (tenants.wait_blue("failed"), tenants.wait_green("failed"));
    assert_says(&both.0, "conflict-subnet", &["10.9.0.0/24"]);
    assert_says(&both.1, "conflict-subnet", &["10.9.0.0/24"]);
    lab.settle();
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    a1.assert_reach_none(&[b1.v4(), b1.v6()]);
    // One side's filter is not enough: the other one still announces it.
    blue(&tenants, "export = [\"10.11.0.0/24\", \"fd11::/64\"]\n");
    tenants.daemon.wait_until("one clash is left", |halves| {
        let half = halves.iter().find(|half| half["project"] == "blue").ok_or("no half")?;
        let text = half["explanation"].as_str().unwrap_or_default();
        let left = text.matches("10.9.0.0/24 of green/db").count();
        if left == 1 && !text.contains("already in use") { Ok(()) } else { Err(half.to_string()) }
    });
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    blue(
        &tenants,
        "export = [\"10.11.0.0/24\", \"fd11::/64\"]\nimport = [\"10.2.0.0/24\", \"fd02::/64\"]\n",
    );
    tenants.wait_active();
    wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64"]);
    wait_routed(&lab, "b", &["10.11.0.0/24", "fd11::/64"]);
    lab.sync();
    let all_ways = || {
        a1.assert_reaches(&b1);
        b1.assert_tcp(&a1);
        // Each network's own traffic between its subnets passes the guards against forged sources.
        a1.assert_reaches(&a9);
        a9.assert_tcp(&a1);
        b1.assert_reaches(&b9);
        b9.assert_tcp(&b1);
        // Who has an address of the subnet that both have is nobody to the peer: both guests have the same address here,
        // and each answers to its own network alone.
        assert_eq!(a9.v4(), b9.v4());
        a9.assert_reach_none(&[b1.v4(), b1.v6()]);
        b9.assert_reach_none(&[a1.v4(), a1.v6()]);
    };
    all_ways();
    let seen = b9.capture(&format!("src {}", a1.v4()));
    a1.assert_reaches(&a9);
    assert_eq!(seen.stop(), Vec::<String>::new(), "the peer's guest of that address hears nothing");
    // The path shows both routers by addresses that are announced.
    let hops = [tenants.a.router_addresses()[2], tenants.b.router_addresses()[0], b1.v4()];
    assert_eq!(a1.trace(b1.v4(), 5), hops.map(Some));
    // Put back by hand-made damage, still the same.
    for row in link_rows(&lab.dump()) {
        row.delete(&lab);
    }
    tenants.wait_active();
    lab.sync();
    all_ways();
    lab.assert_all_matches_parse();
}

/// B6: IPv4 alone, IPv6 alone, and both, on either side; a family is linked only where both have something in it.
#[test]
fn families_are_linked_where_both_have_them() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let v4 = "[{ prefix = \"0.0.0.0/0\", le = 32 }]";
    let v6 = "[{ prefix = \"::/0\", le = 128 }]";
    for (own, theirs, at_a, at_b) in [
        (String::new(), format!("export = {v4}\n"), "10.2.0.0/24", "10.1.0.0/24"),
        (format!("export = {v6}\n"), String::new(), "fd02::/64", "fd01::/64"),
        (format!("import = {v4}\n"), String::new(), "10.2.0.0/24", "10.1.0.0/24"),
        (format!("export = {v6}\n"), format!("import = {v6}\n"), "fd02::/64", "fd01::/64"),
    ] {
        blue(&tenants, &own);
        green(&tenants, &theirs);
        wait_routed(&lab, "a", &[at_a]);
        wait_routed(&lab, "b", &[at_b]);
        tenants.wait_active();
    }
    blue(&tenants, &format!("export = {v4}\n"));
    green(&tenants, &format!("export = {v6}\n"));
    let half = tenants.wait_blue("failed");
    assert_says(&half, "nothing-exchanged", &["green/db", "export"]);
    assert_says(&tenants.wait_green("failed"), "nothing-exchanged", &["blue/web"]);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    green(&tenants, "");
    wait_routed(&lab, "a", &["10.2.0.0/24"]);
    tenants.wait_active();
}

/// B6: what is named must be owned; the other side learns that and no prefix. What stands is not cut for it.
#[test]
fn an_export_that_is_not_owned_is_refused() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    blue(&tenants, "export = [\"10.1.0.0/24\", \"10.77.0.0/16\"]\n");
    // Told before anybody answers: it is its owner's own affair.
    let half = tenants.wait_blue("failed");
    assert_says(&half, "export-not-owned", &["10.77.0.0/16", "blue/web", "may_export"]);
    green(&tenants, "");
    let half = tenants.wait_green("failed");
    assert_says(&half, "export-not-owned", &["blue/web"]);
    assert!(!half.to_string().contains("10.77"), "{half}");
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    blue(&tenants, "export = [{ prefix = \"10.0.0.0/8\", le = 24 }, \"fd01::/64\"]\n");
    tenants.wait_active();
    let rows = contents(&lab.dump());
    blue(&tenants, "export = [\"10.1.0.0/24\", \"fd01::/64\", \"10.77.0.0/16\"]\n");
    tenants.daemon.wait_until("it is told, and the link stands", |halves| {
        let half = halves.iter().find(|half| half["project"] == "blue").ok_or("no half")?;
        let told = flaws(half).join("; ").contains("10.77.0.0/16");
        if told && half["state"] == "active" { Ok(()) } else { Err(half.to_string()) }
    });
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    // What the operator allows waits for a route that makes it true, and is no fault.
    let bound = "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"a\"\nmay_export = [\"10.77.0.0/16\"]\n";
    tenants.daemon.write("networks.d/blue-web.toml", bound);
    tenants.wait_active();
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    assert_eq!(link_rows(&lab.dump()).len(), rows.len() - 4, "two sets for each network");
}

/// B6: max_prefixes refuses a peering that is new, and cuts none that stands.
#[test]
fn max_prefixes_is_a_limit() {
    let lab = Lab::databases_only();
    let mut tenants = Tenants::with_subnets(&lab, &[BLUE], &[GREEN, "10.12.0.0/24"]);
    blue(&tenants, "max_prefixes = 2\n");
    green(&tenants, "");
    let half = tenants.wait_blue("failed");
    assert_says(&half, "too-many-prefixes", &["green/db", "3 prefixes"]);
    assert_says(&tenants.wait_green("failed"), "too-many-prefixes", &["blue/web"]);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    blue(&tenants, "max_prefixes = 3\n");
    tenants.wait_active();
    wait_routed(&lab, "a", &["10.12.0.0/24", "10.2.0.0/24", "fd02::/64"]);
    lab.add_subnet(&mut tenants.b, "10.22.0.0/24");
    tenants.daemon.wait_until("the limit is told, and the link stands", |halves| {
        let half = halves.iter().find(|half| half["project"] == "blue").ok_or("no half")?;
        let told = flaws(half).join("; ").contains("max_prefixes");
        if told && half["state"] == "active" { Ok(()) } else { Err(half.to_string()) }
    });
    wait_routed(&lab, "a", &["10.12.0.0/24", "10.2.0.0/24", "fd02::/64"]);
    blue(&tenants, "max_prefixes = 9\n");
    wait_routed(&lab, "a", &["10.12.0.0/24", "10.2.0.0/24", "10.22.0.0/24", "fd02::/64"]);
    tenants.wait_active();
}

/// An edit of a filter is one transaction, and a filter that says what held anyway is none at all.
#[test]
fn an_edit_of_a_filter_is_one_transaction() {
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24"], &[GREEN]);
    tenants.peer();
    let theirs = foreign(&lab);
    let whole = contents(&lab.dump());
    let written = lab.northbound_transactions();
    blue(&tenants, "export = [\"10.1.0.0/24\", \"fd01::/64\"]\n");
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    tenants.wait_active();
    assert_eq!(lab.northbound_transactions(), written + 1, "rows and record at once");
    assert_eq!(tenants.daemon.ctl(&["plan"]).status.code(), Some(0));
    tenants.daemon.restart();
    tenants.wait_active();
    assert_eq!(lab.northbound_transactions(), written + 1, "a restart writes nothing");
    blue(&tenants, "");
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.11.0.0/24", "fd01::/64"]);
    tenants.wait_active();
    assert_eq!(lab.northbound_transactions(), written + 2);
    assert_eq!(contents(&lab.dump()), whole, "as if it had never been there");
    foreign(&lab).assert_same_as(&theirs);
    wait_all_active(&tenants.daemon);
}

/// B9: what a half on another host says of its prefixes counts, over that host's absence too.
#[test]
fn filters_travel_between_hosts() {
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24"], &[GREEN]);
    let other = Daemon::prepare(&lab, "hv2", "");
    other.bind_network("blue", "web", "a");
    other.bind_network("green", "db", "b");
    other.start_again();
    let filters = "export = [\"10.1.0.0/24\", { prefix = \"fd00::/8\", ge = 64 }]\nroutes = \"manual\"\n\
                   [[route]]\nnetwork = \"web\"\npeering = \"to-db\"\ndestination = \"10.2.0.0/25\"\n";
    other.declare("blue", &(half("to-db", "web", "green/db") + filters));
    tenants.green_declares();
    tenants.wait_active();
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    wait_routed(&lab, "a", &["10.2.0.0/25"]);
    other.kill9();
    let rows = contents(&lab.dump());
    tenants.daemon.restart();
    tenants.wait_active();
    assert_eq!(contents(&lab.dump()), rows, "a host that is down stays declared as it was");
    // Both declare it, and not the same: nothing that stands is cut, and both are named.
    tenants.blue_declares();
    tenants.daemon.wait_until("the hosts differ", |halves| {
        let half = halves.iter().find(|half| half["project"] == "blue").ok_or("no half")?;
        let told = flaws(half).join("; ");
        let named = told.contains("hv1") && told.contains("hv2");
        if named && half["state"] == "active" { Ok(()) } else { Err(half.to_string()) }
    });
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    wait_routed(&lab, "a", &["10.2.0.0/25"]);
    // The other host comes to agree: what both say now counts.
    other.start_again();
    other.declare("blue", &half("to-db", "web", "green/db"));
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.11.0.0/24", "fd01::/64"]);
    tenants.wait_active();
}

/// The link's own address is not one of a subnet that is held back, from the moment on from which it is.
#[test]
fn the_path_shows_no_address_that_is_not_announced() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24 fd11::/64"], &[GREEN]);
    let a2 = lab.add_guest_in(&tenants.a.subnets[1], "a2", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    tenants.peer();
    lab.settle();
    let [b, _] = tenants.b.router_addresses()[..] else { panic!("an address of each family") };
    let [first, _, second, _] = tenants.a.router_addresses()[..] else { panic!("two of each") };
    b1.assert_reaches(&a2);
    assert_eq!(b1.trace(a2.v4(), 5), [Some(b), Some(first), Some(a2.v4())]);
    blue(&tenants, "export = [\"10.11.0.0/24\", \"fd11::/64\"]\n");
    wait_routed(&lab, "b", &["10.11.0.0/24", "fd11::/64"]);
    tenants.wait_active();
    lab.sync();
    a2.assert_reaches(&b1);
    b1.assert_tcp(&a2);
    assert_eq!(b1.trace(a2.v4(), 5), [Some(b), Some(second), Some(a2.v4())]);
    let told: Vec<_> = link_rows(&lab.dump())
        .into_iter()
        .filter(|row| row.router == "b")
        .map(|row| format!("{:?}", row.row))
        .collect();
    assert!(!told.concat().contains("10.1.0."), "{told:?}");
}
