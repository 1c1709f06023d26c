//! Where a peering's routes stand: in every route table that the network's subnets look up.

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{link_rows, linked_prefixes};
use crate::tenants::Tenants;

/// A port with a route table of its own ignores routes of the main table.
#[test]
fn b13_a_subnet_with_its_own_route_table_gets_the_routes_there_too() {
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
