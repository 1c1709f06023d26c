//! A network's subnets are followed (policy `address_space = "follow"`, the default).

use std::collections::BTreeSet;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::host::Host;
use crate::lab::northbound::Record;
use crate::owned::{contents, link_rows, linked_prefixes, owned};
use crate::tenants::{Tenants, flaws};

/// Waits until blue's prefixes are routed on green's router, and these only.
#[track_caller]
fn wait_routed(lab: &Lab, router: &str, wanted: &[&str]) {
    let wanted: BTreeSet<_> = wanted.iter().map(|p| (*p).to_owned()).collect();
    poll("the routes follow", Duration::from_secs(5), || {
        let found: BTreeSet<_> = linked_prefixes(&lab.dump(), router).into_iter().collect();
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// What has been written since then, without what northd keeps.
fn written_since(lab: &Lab, count: usize) -> Vec<Record> {
    let mut records = lab.northbound_records();
    records.retain(Record::changes_rows);
    records.split_off(count)
}

#[test]
fn a_subnet_added_or_removed_is_carried_over_in_one_transaction() {
    let lab = Lab::databases_only();
    let mut tenants = Tenants::new(&lab);
    tenants.peer();
    lab.sync();
    let before = contents(&lab.dump());
    let written = lab.northbound_transactions();
    lab.add_subnet(&mut tenants.a, "10.11.0.0/24 fd11::/64");
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.11.0.0/24", "fd01::/64", "fd11::/64"]);
    tenants.wait_active();
    let records = written_since(&lab, written);
    assert_eq!(records.len(), 2, "the subnet, and all that follows: {records:#?}");
    let tables: BTreeSet<_> = records[1].rows.keys().map(|(table, _)| table.as_str()).collect();
    for table in ["Address_Set", "Logical_Router_Static_Route", "Logical_Router_Policy"] {
        assert!(tables.contains(table), "{table} is in the same transaction: {tables:?}");
    }
    assert_eq!(tenants.daemon.ctl(&["plan"]).status.code(), Some(0));
    let written = lab.northbound_transactions();
    lab.nbctl(&["lrp-del", "a-r1"]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    tenants.wait_active();
    let records = written_since(&lab, written);
    assert_eq!(records.len(), 2, "the removal, and all that follows: {records:#?}");
    assert_eq!(contents(&lab.dump()), before, "as if it had never been there");
}

/// S2.9: the way to another address space is to remove the peering, change, and peer again. And the way of `follow`.
#[test]
fn subnets_added_between_two_peerings_and_while_peered_are_reached() {
    let lab = Lab::single_chassis();
    let mut tenants = Tenants::new(&lab);
    let a1 = lab.add_guest(&tenants.a, "a1", 0);
    tenants.peer();
    tenants.daemon.withdraw("green");
    tenants.wait_blue("disconnected");
    lab.add_subnet(&mut tenants.b, "10.12.0.0/24 fd12::/64");
    let between = lab.add_guest_in(&tenants.b.subnets[1], "b2", 0);
    lab.settle();
    Host::assert_all_isolated(&[(&a1, &between), (&between, &a1)]);
    tenants.green_declares();
    tenants.wait_active();
    a1.assert_reaches(&between);
    between.assert_tcp(&a1);
    lab.add_subnet(&mut tenants.b, "10.22.0.0/24 fd22::/64");
    let while_peered = lab.add_guest_in(&tenants.b.subnets[2], "b3", 0);
    a1.assert_reaches(&while_peered);
    while_peered.assert_tcp(&a1);
    lab.nbctl(&["lrp-del", "b-r1"]);
    wait_routed(&lab, "a", &["10.2.0.0/24", "10.22.0.0/24", "fd02::/64", "fd22::/64"]);
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &between)]);
    a1.assert_reaches(&while_peered);
}

/// A subnet on both sides at once, and one renumbered in place: the way stays the same rows.
#[test]
fn a_subnet_renumbered_in_place_is_followed() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let ports = || -> BTreeSet<String> {
        let mut rows = link_rows(&lab.dump());
        rows.retain(|row| row.table == "Logical_Router_Port");
        rows.into_iter().map(|row| row.uuid).collect()
    };
    let before = ports();
    lab.nbctl_batch(
        "set Logical_Router_Port a-r0 'networks=[\"10.5.0.1/24\",\"fd05::1/64\"]'\n\
         set Logical_Router_Port b-r0 'networks=[\"10.6.0.1/24\",\"fd06::1/64\"]'",
    );
    wait_routed(&lab, "a", &["10.6.0.0/24", "fd06::/64"]);
    wait_routed(&lab, "b", &["10.5.0.0/24", "fd05::/64"]);
    tenants.wait_active();
    assert_eq!(ports(), before, "the ports are the same");
    let hops: BTreeSet<_> =
        link_rows(&lab.dump()).iter().map(|row| row.text("nexthop").to_owned()).collect();
    let wanted = ["", "10.5.0.1", "10.6.0.1", "fd05::1", "fd06::1"].map(str::to_owned);
    assert_eq!(hops, BTreeSet::from(wanted));
}

/// B3: what worked goes on, what clashes is named, and it heals when the clash goes.
#[test]
fn a_new_overlap_keeps_the_old_routes_and_degrades() {
    let lab = Lab::databases_only();
    let mut tenants = Tenants::new(&lab);
    tenants.peer();
    let before = contents(&lab.dump());
    let links = link_rows(&lab.dump()).len();
    lab.add_subnet(&mut tenants.a, "10.2.0.0/16");
    let told = |halves: &[serde_json::Value]| {
        halves.iter().all(|half| {
            let flaws = flaws(half).join("; ");
            half["state"] == "active"
                && flaws.contains("10.2.0.0/16")
                && flaws.contains("10.2.0.0/24")
        })
    };
    tenants.daemon.wait_until("the overlap is told to both, by prefix", |halves| {
        if told(&halves) { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    assert_eq!(linked_prefixes(&lab.dump(), "a"), ["10.2.0.0/24", "fd02::/64"]);
    assert_eq!(linked_prefixes(&lab.dump(), "b"), ["10.1.0.0/24", "fd01::/64"]);
    assert_eq!(link_rows(&lab.dump()).len(), links);
    // Another subnet, which clashes with nothing, is carried over all the same.
    lab.add_subnet(&mut tenants.a, "10.13.0.0/24");
    wait_routed(&lab, "b", &["10.1.0.0/24", "10.13.0.0/24", "fd01::/64"]);
    lab.nbctl_batch("lrp-del a-r1\nlrp-del a-r2");
    // The other way round: a router's own new subnet lies in a prefix that it routes to the peer.
    lab.add_subnet(&mut tenants.b, "10.1.0.128/25");
    tenants.daemon.wait_until("the clash on its own side is told", |halves| {
        let green = halves.iter().find(|h| h["project"] == "green").ok_or("no half")?;
        let named = flaws(green).join("; ").contains("10.1.0.0/24");
        if named && green["state"] == "active" { Ok(()) } else { Err(green.to_string()) }
    });
    assert_eq!(linked_prefixes(&lab.dump(), "b"), ["10.1.0.0/24", "fd01::/64"]);
    lab.nbctl(&["lrp-del", "b-r1"]);
    wait_routed(&lab, "b", &["10.1.0.0/24", "fd01::/64"]);
    tenants.wait_active();
    assert_eq!(contents(&lab.dump()), before);
    assert!(owned(&lab.dump()).iter().any(|row| row.of_peering()));
}
