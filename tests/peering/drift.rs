//! What somebody alters or deletes of ours is put back; what is ours and not wanted goes; what is theirs stays (B2).

use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{LINK_TABLES, Owned, contents, foreign, link_rows, owned};
use crate::tenants::{BLUE, GREEN, Tenants, half, wait_all_active};

/// From the damage to the repair.
const REPAIR_LIMIT: Duration = Duration::from_secs(1);

/// Blue and green with two subnets and an uplink each, so that every kind of row is there, beside all sorts of rows of
/// others.
fn peered(lab: &Lab) -> Tenants {
    let tenants =
        Tenants::with_subnets(lab, &[BLUE, "10.11.0.0/24 fd11::/64"], &[GREEN, "10.12.0.0/24"]);
    lab.nbctl_batch(
        "lrp-add a a-up 0a:00:00:00:00:71 172.31.0.1/24\n\
         lrp-set-gateway-chassis a-up hv1\n\
         lrp-add b b-up 0a:00:00:00:00:72 172.31.0.2/24\n\
         lrp-set-gateway-chassis b-up hv1\n\
         lr-nat-add a snat 172.31.0.1 10.1.0.0/24\n\
         lr-nat-add a dnat_and_snat 172.31.0.9 10.1.0.9\n\
         lr-route-add a 0.0.0.0/0 172.31.0.254\n\
         lr-route-add a 10.77.0.0/16 10.1.0.77\n\
         lr-policy-add a 32100 'ip4.dst == 10.77.0.0/16' drop\n\
         lr-policy-add a 32200 'inport == \"a-r0\" && ip4.src == 10.1.0.0/24 && ip4.dst == 10.78.0.0/16' allow\n\
         lr-policy-add b 32090 'inport == \"b-r0\" && ip4.src == 10.2.0.0/24 && ip4.dst == 10.79.0.0/16' reroute 10.2.0.79\n\
         acl-add a-s0 to-lport 1000 'ip4' allow-related\n\
         lb-add theirs 10.1.0.200:80 10.1.0.10:80\n\
         ls-lb-add a-s0 theirs\n\
         create Address_Set name=theirs addresses=10.2.0.0/24\n\
         create DHCP_Options cidr=10.1.0.0/24 options:router=10.1.0.1",
    );
    tenants.peer();
    tenants
}

/// Waits until the daemon's rows say what they should; gives the time that it took.
#[track_caller]
fn wait_repaired(lab: &Lab, wanted: &std::collections::BTreeSet<String>, what: &str) -> Duration {
    let start = Instant::now();
    poll(what, REPAIR_LIMIT, || {
        let found = contents(&lab.dump());
        let lost: Vec<_> = wanted.difference(&found).collect();
        let surplus: Vec<_> = found.difference(wanted).collect();
        if lost.is_empty() && surplus.is_empty() {
            return Ok(());
        }
        Err(format!("lost {lost:#?}, surplus {surplus:#?}"))
    });
    start.elapsed()
}

/// Does each damage to its row, and waits until it is repaired by one transaction.
pub(crate) fn all_are_repaired(lab: &Lab, damages: &[(Owned, &str)]) {
    let (wanted, theirs) = (contents(&lab.dump()), foreign(lab));
    let mut slowest = (Duration::ZERO, String::new());
    for (row, how) in damages {
        let what = format!("{how}: {} {}", row.table, row.row["external_ids"]);
        // A row that was put back before has another UUID now.
        let row = owned(&lab.dump()).into_iter().find(|now| now.same_as(row)).expect("put back");
        let written = lab.northbound_transactions();
        match how.split_once(' ') {
            Some((verb, rest)) => {
                let start = [verb, &row.table, &row.uuid];
                lab.nbctl(&[&start[..], &rest.split(' ').collect::<Vec<_>>()].concat());
            }
            None => row.delete(lab),
        }
        let took = wait_repaired(lab, &wanted, &what);
        assert_eq!(lab.northbound_transactions() - written, 2, "{what}: the damage, the repair");
        slowest = slowest.max((took, what));
    }
    println!("{} repairs, the slowest {:?} with looking: {}", damages.len(), slowest.0, slowest.1);
    foreign(lab).assert_same_as(&theirs);
}

#[test]
fn every_row_deleted_by_hand_is_back_within_a_second() {
    let lab = Lab::databases_only();
    let tenants = peered(&lab);
    let rows = owned(&lab.dump());
    for (table, least) in [
        ("Logical_Router_Port", 2),
        ("Logical_Router_Static_Route", 7),
        ("Logical_Router_Policy", 10),
        ("Address_Set", 4),
    ] {
        let count = rows.iter().filter(|row| row.table == table).count();
        assert!(count >= least, "{count} rows of {table}");
    }
    let damages: Vec<_> = rows.into_iter().map(|row| (row, "deleted")).collect();
    all_are_repaired(&lab, &damages);
    tenants.wait_active();
}

#[test]
fn every_column_altered_by_hand_is_back_within_a_second() {
    let lab = Lab::databases_only();
    let tenants = peered(&lab);
    let rows = owned(&lab.dump());
    // By turns: each row is altered in some way, and each way is tried on some row.
    let mut damages = vec![];
    for table in LINK_TABLES.into_iter().chain(["Address_Set"]) {
        let rows: Vec<_> = rows.iter().filter(|row| row.table == table).collect();
        let ways = alterations(table);
        let turns = rows.len().max(ways.len());
        damages.extend((0..turns).map(|n| (rows[n % rows.len()].clone(), ways[n % ways.len()])));
    }
    all_are_repaired(&lab, &damages);
    tenants.wait_active();
}

/// `verb rest` of an ovn-nbctl command whose table and row stand between.
fn alterations(table: &str) -> &'static [&'static str] {
    match table {
        "Logical_Router_Port" => &[
            "set networks=10.99.0.1/32",
            "set mac=\"0a:00:00:00:00:99\"",
            "clear peer",
            "set peer=a-r0",
            "set enabled=false",
            "set options:gateway_mtu=1000",
            "set options:dynamic-routing-redistribute=\"connected,static\"",
            "remove options dynamic-routing-no-learning",
            "set external_ids:ovn-peerd-label=x",
            "remove external_ids ovn-peerd-unit",
            "clear external_ids",
        ],
        "Logical_Router_Static_Route" => &[
            "set ip_prefix=10.99.0.0/24",
            "set nexthop=10.1.0.99",
            "clear output_port",
            "set output_port=a-up",
            "set policy=src-ip",
            "set options:ecmp_symmetric_reply=true",
            "set route_table=other",
        ],
        "Logical_Router_Policy" => &[
            "set priority=7",
            "set match=\"1\"",
            "set action=reroute nexthop=10.9.9.9",
            "set action=drop nexthop=10.9.9.9 options:pkt_mark=1",
        ],
        "Address_Set" => {
            &["set addresses=10.99.0.0/24", "clear addresses", "remove external_ids ovn-peerd"]
        }
        _ => &[],
    }
}

/// A row whose tag is gone is nobody's that we know: it is left alone, and ours is written anew beside it.
#[test]
fn a_row_that_lost_its_tag_is_replaced_and_left_alone() {
    let lab = Lab::databases_only();
    let tenants = peered(&lab);
    let wanted = contents(&lab.dump());
    for table in ["Logical_Router_Static_Route", "Logical_Router_Policy"] {
        let row = link_rows(&lab.dump()).into_iter().find(|row| row.table == table).expect("a row");
        lab.nbctl(&["clear", table, &row.uuid, "external_ids"]);
        wait_repaired(&lab, &wanted, table);
        let dump = lab.dump();
        assert!(dump.table(table).contains_key(&row.uuid), "the row without a tag is still there");
        row.delete(&lab);
        wait_repaired(&lab, &wanted, table);
    }
    tenants.wait_active();
}

/// Somebody clears a router's columns, references and all.
#[test]
fn all_of_a_router_cleared_at_once_is_back() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    let wanted = contents(&lab.dump());
    for columns in [["static_routes", "policies"], ["policies", "static_routes"]] {
        lab.nbctl(&["clear", "Logical_Router", "a", columns[0], columns[1]]);
        wait_repaired(&lab, &wanted, columns[0]);
    }
    for row in link_rows(&lab.dump()).into_iter().filter(|row| row.table == "Logical_Router_Port") {
        row.delete(&lab);
    }
    wait_repaired(&lab, &wanted, "both ports");
    tenants.wait_active();
}

/// B16: LXD and Incus delete all policies of a router at each change of a network. One line says so, however
/// many peerings the router has, and more transactions than one it takes to restore them.
#[test]
fn the_policies_of_a_router_that_are_cleared_are_one_line_in_the_log() {
    const SPOKES: usize = 40;
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    let [mut rows, mut hub, mut spokes, mut networks] = [(); 4].map(|()| String::new());
    for n in 0..SPOKES {
        let mac = lab.fresh_mac();
        rows += &format!("lr-add s{n}\nlrp-add s{n} s{n}-p {mac} 10.50.{n}.1/24\n");
        hub += &half(&format!("to-{n}"), "web", &format!("red/n{n}"));
        spokes += &half("to-hub", &format!("n{n}"), "blue/web");
        networks +=
            &format!("[[network]]\nproject = \"red\"\nname = \"n{n}\"\nrouter = \"s{n}\"\n");
    }
    lab.nbctl_batch(&rows);
    tenants.daemon.write("networks.d/red.toml", &networks);
    tenants.daemon.declare("red", &spokes);
    tenants.daemon.declare("blue", &hub);
    wait_all_active(&tenants.daemon);
    tenants.daemon.wait_quiet();
    let (wanted, logged) = (contents(&lab.dump()), tenants.daemon.log().len());
    lab.nbctl(&["lr-policy-del", "a"]);
    poll("the policies are back", Duration::from_secs(5), || {
        if contents(&lab.dump()) == wanted { Ok(()) } else { Err("not yet".to_owned()) }
    });
    tenants.daemon.wait_quiet();
    let log = tenants.daemon.log();
    let warnings: Vec<_> = log[logged..].lines().filter(|line| line.contains("WARN")).collect();
    let [one] = warnings[..] else { panic!("{} lines:\n{}", warnings.len(), warnings.join("\n")) };
    assert!(one.contains("the policies of router a were deleted"), "{one}");
    assert!(one.contains(&format!("peerings: {SPOKES}")), "it says of how many: {one}");
}

/// Rows with our tag that serve nothing declared: made while the daemon runs, and while it does not.
#[test]
fn orphans_of_ours_are_removed() {
    let lab = Lab::databases_only();
    let tenants = peered(&lab);
    let (wanted, theirs) = (contents(&lab.dump()), foreign(&lab));
    let tag = "external_ids:ovn-peerd-unit=peering-00112233445566778899aabb";
    let orphans = format!(
        "--id=@r create Logical_Router_Static_Route ip_prefix=10.66.0.0/24 nexthop=10.1.0.66 {tag}\n\
         add Logical_Router a static_routes @r\n\
         --id=@l create Logical_Router_Policy priority=1 match=1 action=drop {tag}\n\
         add Logical_Router a policies @l\n\
         --id=@p create Logical_Router_Port name=ovn-peerd-00112233445566778899aabb-a mac='\"0a:00:00:00:00:66\"' networks=10.66.0.1/32 {tag}\n\
         add Logical_Router a ports @p\n\
         create Address_Set name=ovn_peerd_00112233445566778899aabb_ip4 external_ids:ovn-peerd=1 {}",
        tag.replace("=peering", "=network")
    );
    lab.nbctl_batch(&orphans);
    wait_repaired(&lab, &wanted, "orphans made while it runs");
    tenants.daemon.kill9();
    lab.nbctl_batch(&orphans);
    assert_ne!(contents(&lab.dump()), wanted);
    tenants.daemon.start_again();
    poll("orphans found at the start", Duration::from_secs(5), || {
        if contents(&lab.dump()) == wanted { Ok(()) } else { Err("still there".to_owned()) }
    });
    foreign(&lab).assert_same_as(&theirs);
}

/// Files that went while the daemon was down: what they declared goes at the start, and nothing else.
#[test]
fn a_half_withdrawn_while_the_daemon_is_down_goes_at_its_start() {
    let lab = Lab::databases_only();
    let tenants = peered(&lab);
    lab.add_network("c", &["10.3.0.0/24"]);
    tenants.daemon.bind_network("red", "copy", "c");
    let two = half("to-db", "web", "green/db") + &half("to-copy", "web", "red/copy");
    let before = contents(&lab.dump()).len();
    tenants.daemon.declare("blue", &two);
    tenants.daemon.declare("red", &half("to-web", "copy", "blue/web"));
    tenants.daemon.wait_state("red", "copy", "to-web", "active");
    assert!(contents(&lab.dump()).len() > before);
    let theirs = foreign(&lab);
    tenants.daemon.kill9();
    tenants.daemon.withdraw("red");
    tenants.blue_declares();
    tenants.daemon.start_again();
    poll("red's rows are gone", Duration::from_secs(5), || match contents(&lab.dump()).len() {
        n if n == before => Ok(()),
        n => Err(format!("{n} rows, not {before}")),
    });
    tenants.wait_active();
    foreign(&lab).assert_same_as(&theirs);
}
