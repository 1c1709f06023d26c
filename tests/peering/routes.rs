//! Where a peering's routes stand: in every route table that the network's subnets look up.

use crate::filters::wait_routed;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{link_rows, linked_prefixes};
use crate::tenants::{BLUE, GREEN, Tenants, half};

/// A port with a route table of its own ignores routes of the main table.
#[test]
fn a_subnet_with_its_own_route_table_gets_the_routes_there_too() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    tenants.peer();
    lab.nbctl(&["set", "Logical_Router_Port", "a-r0", "options:route_table=special"]);
    let in_table = || {
        let mut rows = link_rows(&lab.dump());
        rows.retain(|row| row.text("route_table") == "special" && row.router == "a");
        rows.len()
    };
    poll("routes in the table", std::time::Duration::from_secs(10), || match in_table() {
        2 => Ok(()),
        other => Err(format!("{other}")),
    });
    let prefixes = ["10.2.0.0/24", "10.2.0.0/24", "fd02::/64", "fd02::/64"];
    assert_eq!(linked_prefixes(&lab.dump(), "a"), prefixes);
    lab.nbctl(&["remove", "Logical_Router_Port", "a-r0", "options", "route_table"]);
    poll("no routes in the table", std::time::Duration::from_secs(10), || match in_table() {
        0 => Ok(()),
        other => Err(format!("{other}")),
    });
    tenants.wait_active();
}

/// B13: by default whoever is on a subnet reaches the peer, whatever table its port looks up; with chosen tables, only those
/// whose table is among them.
#[test]
fn routes_stand_in_the_tables_that_a_half_chooses() {
    let lab = Lab::single_chassis();
    let tenants = Tenants::with_subnets(&lab, &[BLUE, "10.11.0.0/24 fd11::/64"], &[GREEN]);
    let main = lab.add_guest(&tenants.a, "a1", 0);
    let special = lab.add_guest_in(&tenants.a.subnets[1], "a2", 0);
    let b1 = lab.add_guest(&tenants.b, "b1", 0);
    lab.nbctl(&["set", "Logical_Router_Port", "a-r1", "options:route_table=special"]);
    tenants.peer();
    lab.settle();
    let both = || {
        for guest in [&main, &special] {
            guest.assert_reaches(&b1);
            b1.assert_tcp(guest);
        }
    };
    both();
    for (tables, reaches, lost) in
        [("[\"special\"]", &special, &main), ("[\"<main>\"]", &main, &special)]
    {
        let chosen = half("to-db", "web", "green/db") + &format!("route_tables = {tables}\n");
        tenants.daemon.declare("blue", &chosen);
        wait_routed(&lab, "a", &["10.2.0.0/24", "fd02::/64"]);
        tenants.wait_active();
        lab.sync();
        reaches.assert_reaches(&b1);
        b1.assert_tcp(reaches);
        lost.assert_isolated_from(&b1);
    }
    tenants.blue_declares();
    wait_routed(&lab, "a", &["10.2.0.0/24", "10.2.0.0/24", "fd02::/64", "fd02::/64"]);
    tenants.wait_active();
    lab.sync();
    both();
}
