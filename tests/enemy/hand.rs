//! What hands do to rows, ours and their own.

use serde_json::Value;

use crate::ground::{NETWORKS, is_own};
use crate::lab::northbound::Dump;
use crate::random::Random;
use crate::server::nbctl;

/// A row of ours: its table and its identity.
fn own_row(remote: &str, random: &mut Random) -> Option<(String, String)> {
    let dump = Dump::read(remote);
    let rows: Vec<_> = dump
        .rows()
        .filter(|(table, _, row)| is_own(table, row))
        .map(|(table, id, _)| (table.to_owned(), id.to_owned()))
        .collect();
    (!rows.is_empty()).then(|| rows[random.below(rows.len())].clone())
}

/// Deletes one, as `ovn-nbctl` does: a row that a router refers to by taking the reference away.
pub(crate) fn delete_own_row(remote: &str, random: &mut Random) {
    let Some((table, id)) = own_row(remote, random) else { return };
    let column = match table.as_str() {
        "Logical_Router_Port" => "ports",
        "Logical_Router_Static_Route" => "static_routes",
        "Logical_Router_Policy" => "policies",
        _ => return drop(nbctl(remote, &["destroy", &table, &id])),
    };
    let condition = format!("{column}{{>=}}{id}");
    let router =
        nbctl(remote, &["--bare", "--columns=_uuid", "find", "Logical_Router", &condition]);
    nbctl(remote, &["remove", "Logical_Router", router.trim(), column, &id]);
}

/// Alters one column of one.
pub(crate) fn alter_own_row(remote: &str, random: &mut Random) {
    let Some((table, id)) = own_row(remote, random) else { return };
    let alterations: &[&str] = match table.as_str() {
        "Logical_Router_Port" => {
            &["networks=192.0.2.1/24", "peer=[]", "enabled=false", "external_ids={}"]
        }
        "Logical_Router_Static_Route" => {
            &["nexthop=192.0.2.1", "output_port=[]", "ip_prefix=192.0.2.0/24"]
        }
        "Logical_Router_Policy" => {
            &["match=\"ip4\"", "priority=5", "action=drop", "options:pkt_mark=7"]
        }
        "Address_Set" => &["addresses=192.0.2.0/24", "addresses=[]", "external_ids={}"],
        other => panic!("rows of {other} are not ours"),
    };
    nbctl(remote, &["set", &table, &id, alterations[random.below(alterations.len())]]);
}

/// Somebody adds a route of their own to a router, or takes it away.
pub(crate) fn change_foreign_row(remote: &str, random: &mut Random) {
    let index = random.below(NETWORKS);
    let router = format!("r{index}");
    let routes = nbctl(
        remote,
        &["--format=json", "--columns=ip_prefix,nexthop", "list", "Logical_Router_Static_Route"],
    );
    let routes: Value = serde_json::from_str(&routes).expect("JSON");
    let next = format!("10.{index}.0.77");
    let there = routes["data"].as_array().expect("rows").iter().any(|row| row[1] == next.as_str());
    if there {
        nbctl(remote, &["lr-route-del", &router, "192.0.2.0/24", &next]);
    } else {
        nbctl(remote, &["lr-route-add", &router, "192.0.2.0/24", &next]);
    }
}
