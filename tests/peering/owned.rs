//! Which rows of the northbound are the daemon's, told by what anybody can see: the tag, and the names of its ports.
//!
//! Invariant: contents are compared without the rows' UUIDs, for a row that is put back has a new one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::northbound::{Dump, Row};

/// The tables whose rows make up a link.
pub(crate) const LINK_TABLES: [&str; 3] =
    ["Logical_Router_Port", "Logical_Router_Static_Route", "Logical_Router_Policy"];
/// What refers to rows: the parents' table, its column, the children's table.
const REFERENCES: [(&str, &str, &str); 7] = [
    ("Logical_Router", "ports", LINK_TABLES[0]),
    ("Logical_Router", "static_routes", LINK_TABLES[1]),
    ("Logical_Router", "policies", LINK_TABLES[2]),
    ("Logical_Router", "nat", "NAT"),
    ("Logical_Switch", "ports", "Logical_Switch_Port"),
    ("Load_Balancer", "health_check", "Load_Balancer_Health_Check"),
    ("Port_Group", "acls", "ACL"),
];
/// Columns of the daemon's rows that others keep: references to children, and what northd notes.
const KEPT: [(&str, &str); 4] = [
    ("Logical_Switch", "ports"),
    ("Logical_Switch_Port", "up"),
    ("Load_Balancer", "health_check"),
    ("Port_Group", "acls"),
];

/// A row of the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) table: String,
    pub(crate) uuid: String,
    /// The router or switch that refers to it; empty for an Address_Set or a switch.
    pub(crate) router: String,
    pub(crate) row: Row,
}

impl Owned {
    /// A column's text.
    pub(crate) fn text(&self, column: &str) -> &str {
        self.row.get(column).and_then(Value::as_str).unwrap_or_default()
    }

    /// Whether it is of a peering, not of a network.
    pub(crate) fn of_peering(&self) -> bool {
        tags(&self.row).get("ovn-peerd-unit").is_some_and(|unit| unit.starts_with("peering-"))
    }

    /// Whether it is the same row, though it may have been put back meanwhile.
    pub(crate) fn same_as(&self, other: &Owned) -> bool {
        self.content() == other.content()
    }

    /// What it says, whichever UUID it has.
    fn content(&self) -> String {
        format!("{} of {:?}: {:?}", self.table, self.router, self.row)
    }

    /// Deletes it, as an operator would by hand, unless it is gone.
    #[track_caller]
    pub(crate) fn delete(&self, lab: &Lab) {
        if let Some((parent, column, _)) = REFERENCES.iter().find(|(_, _, t)| *t == self.table) {
            lab.nbctl(&["--if-exists", "remove", parent, &self.router, column, &self.uuid]);
            return;
        }
        // Nothing may refer to a set that goes.
        let dump = lab.dump();
        let is_this = |row: &Row| uuids(&row["exempted_ext_ips"]).contains(&self.uuid);
        let exempting = dump.table("NAT").iter().filter(|(_, row)| is_this(row));
        let clears = exempting.map(|(nat, _)| format!("clear NAT {nat} exempted_ext_ips\n"));
        let destroy = format!("--if-exists destroy {} {}", self.table, self.uuid);
        lab.nbctl_batch(&(clears.collect::<String>() + &destroy));
    }
}

/// A row's `external_ids`.
pub(crate) fn tags(row: &Row) -> BTreeMap<String, String> {
    let pairs = row.get("external_ids").and_then(|map| map[1].as_array()).into_iter().flatten();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

/// Whether a row is the daemon's.
pub(crate) fn is_ours(table: &str, row: &Row) -> bool {
    is_of_unit(table, row) || (table == "Address_Set" && row["name"] == "ovn_peerd_hosts")
}

/// Whether a row is of a peering or a network. The counters of hosts are not.
fn is_of_unit(table: &str, row: &Row) -> bool {
    let named = || row["name"].as_str().is_some_and(|name| name.starts_with("ovn-peerd-"));
    tags(row).contains_key("ovn-peerd-unit") || (table == "Logical_Router_Port" && named())
}

/// All rows of peerings and networks.
pub(crate) fn owned(dump: &Dump) -> Vec<Owned> {
    let mut routers = BTreeMap::new();
    for (parent, column, _) in REFERENCES {
        for row in dump.table(parent).values() {
            let name = row["name"].as_str().unwrap_or_default();
            routers.extend(uuids(&row[column]).into_iter().map(|uuid| (uuid, name.to_owned())));
        }
    }
    let ours = dump.rows().filter(|(table, _, row)| is_of_unit(table, row));
    ours.map(|(table, uuid, row)| Owned {
        table: table.to_owned(),
        uuid: uuid.to_owned(),
        router: routers.get(uuid).cloned().unwrap_or_default(),
        row: {
            let kept = |column: &String| KEPT.contains(&(table, column.as_str()));
            // A set that was put back has another UUID.
            let named = |value: &Value| match uuids(value).first() {
                Some(set) => dump.table("Address_Set")[set]["name"].clone(),
                None => value.clone(),
            };
            let exempts = |column: &String| column == "exempted_ext_ips";
            let value = |c: &String, v: &Value| if exempts(c) { named(v) } else { v.clone() };
            row.iter().filter(|(c, _)| !kept(c)).map(|(c, v)| (c.clone(), value(c, v))).collect()
        },
    })
    .collect()
}

/// What the daemon's rows say, one line a row.
pub(crate) fn contents(dump: &Dump) -> BTreeSet<String> {
    owned(dump).iter().map(Owned::content).collect()
}

/// The daemon's rows that make up links: ports, routes and policies.
pub(crate) fn link_rows(dump: &Dump) -> Vec<Owned> {
    let mut all = owned(dump);
    all.retain(|row| LINK_TABLES.contains(&row.table.as_str()));
    all
}

/// The prefixes that a router routes over links of ours, sorted.
pub(crate) fn linked_prefixes(dump: &Dump, router: &str) -> Vec<String> {
    let mut rows = link_rows(dump);
    rows.retain(|row| row.router == router && row.table == "Logical_Router_Static_Route");
    let mut prefixes: Vec<_> = rows.iter().map(|row| row.text("ip_prefix").to_owned()).collect();
    prefixes.sort();
    prefixes
}

/// Everything that is not the daemon's.
pub(crate) fn foreign(lab: &Lab) -> Dump {
    lab.dump().foreign(is_ours)
}

/// The UUIDs that a column refers to.
fn uuids(value: &Value) -> Vec<String> {
    let one = |v: &Value| (v[0] == "uuid").then(|| v[1].as_str().unwrap_or_default().to_owned());
    match one(value) {
        Some(uuid) => vec![uuid],
        None => value[1].as_array().into_iter().flatten().filter_map(one).collect(),
    }
}
