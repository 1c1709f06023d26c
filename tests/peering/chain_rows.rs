//! The rows of chains: they come and go by one transaction, whoever's router they are on, and are put back when somebody
//! alters them.

use std::time::Duration;

use serde_json::Value;

use crate::chain::{TO_BLUE, TO_RED, appliance, declare, tenants, wait_said};
use crate::drift::all_are_repaired;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{Owned, owned, tags};
use crate::tenants::{Tenants, half};

/// How long the daemon may take to write, or to say, one thing.
const LIMIT: Duration = Duration::from_secs(5);
const WELL: [&str; 4] = [""; 4];
const BEHIND: &str = "destinations = [\"10.50.0.0/16\"]\n";

fn between(address: &str, more: &str) -> String {
    appliance("\"to-web\", \"to-copy\"", address, more)
}

fn is_of_chain(row: &Owned) -> bool {
    match row.table.as_str() {
        "Logical_Router_Policy" => {
            let priority = row.row["priority"].as_i64().expect("a number");
            [32_097, 32_315, 32_320, 32_321].contains(&priority)
        }
        "Logical_Router_Static_Route" => {
            let to = row.text("ip_prefix");
            let has = |text: &str| to.contains(text);
            match row.router.as_str() {
                "a" => has("10.3.") || has("fd03") || has("10.50."),
                "c" => has("10.1.") || has("fd01") || has("10.50."),
                _ => has("10.50."),
            }
        }
        _ => false,
    }
}

/// Whether it names another peering.
fn has_partner(row: &Owned) -> bool {
    tags(&row.row).contains_key("ovn-peerd-chain")
}

/// The rows that there are because of a chain, in short.
fn chain_rows(lab: &Lab) -> Vec<String> {
    let short = |row: &Owned| match row.table.as_str() {
        "Logical_Router_Policy" => {
            let offset = row.row["priority"].as_i64().expect("a number") - 32_000;
            let hops = row.row["nexthops"].as_str().map(|hop| format!(" {hop}"));
            format!("{} +{offset}{}", row.router, hops.unwrap_or_default())
        }
        _ => format!("{} {} {}", row.router, row.text("ip_prefix"), row.text("nexthop")),
    };
    let mut rows: Vec<_> =
        owned(&lab.dump()).iter().filter(|row| is_of_chain(row)).map(short).collect();
    rows.sort();
    rows
}

/// Waits until these rows of chains are there; asserts that so many transactions made it so.
#[track_caller]
fn wait_rows(lab: &Lab, before: usize, wanted: &[&str]) {
    let mut wanted: Vec<&str> = wanted.to_vec();
    wanted.sort_unstable();
    poll(&format!("{wanted:?}"), LIMIT, || {
        let found = chain_rows(lab);
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
    let transactions = lab.northbound_transactions() - before;
    assert!(transactions <= 2, "{transactions} transactions for {wanted:?}");
}

/// The rows of both directions in IPv4.
fn in_ip4(hop: &str) -> Vec<String> {
    let rows =
        ["a +315", "c +315", "b +97", "b +97", "a 10.3.0.0/24 10.2.0.1", "c 10.1.0.0/24 10.2.0.1"];
    let to_appliance = format!("b +320 {hop}");
    let rows = rows.iter().map(|row| (*row).to_owned());
    rows.chain([to_appliance.clone(), to_appliance]).collect()
}

fn texts(rows: &[String]) -> Vec<&str> {
    rows.iter().map(String::as_str).collect()
}

/// Writes one project's file, as often as it is one change: by one transaction of declarations and rows.
#[track_caller]
fn change(lab: &Lab, tenants: &Tenants, project: &str, text: &str, wanted: &[String]) {
    tenants.daemon.wait_quiet();
    let before = lab.northbound_transactions();
    tenants.daemon.declare(project, text);
    wait_rows(lab, before, &texts(wanted));
    tenants.daemon.wait_quiet();
    let transactions = lab.northbound_transactions() - before;
    assert_eq!(transactions, 1, "{project} becomes {text}");
}

#[test]
fn a_chain_comes_changes_and_goes_by_one_transaction_each() {
    let lab = Lab::databases_only();
    let (tenants, _) = tenants(&lab);
    declare(&tenants, TO_RED, &between("\"10.2.0.11\"", ""), "");
    wait_said(&tenants, ["not-led-through", "awaiting-spoke", "awaiting-spoke", ""]);
    let red = half("to-db", "copy", "green/db");
    let green = |appliance: &str| {
        half("to-web", "db", "blue/web") + &half("to-copy", "db", "red/copy") + appliance
    };
    let chained = in_ip4("10.2.0.11");
    change(&lab, &tenants, "red", &(red.clone() + TO_BLUE), &chained);
    let six = ["not-led-through", "", "", "not-led-through"];
    wait_said(&tenants, six);
    assert_shown(&tenants);
    // Another address; both families; what lies behind; and all of it back.
    change(&lab, &tenants, "green", &green(&between("\"10.2.0.12\"", "")), &in_ip4("10.2.0.12"));
    let both = between("\"10.2.0.11\", \"fd02::b\"", "");
    let of_six = ["b +321 fd02::b", "b +321 fd02::b", "a fd03::/64 fd02::1", "c fd01::/64 fd02::1"];
    let of_both: Vec<String> = chained.iter().cloned().chain(of_six.map(str::to_owned)).collect();
    change(&lab, &tenants, "green", &green(&both), &of_both);
    wait_said(&tenants, WELL);
    // A start finds nothing to write.
    tenants.daemon.wait_quiet();
    let written = lab.northbound_transactions();
    tenants.daemon.kill9();
    tenants.daemon.start_again();
    wait_said(&tenants, WELL);
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions(), written);
    // It ends with any of the three consents, and with either peering.
    change(&lab, &tenants, "red", &red, &[]);
    change(&lab, &tenants, "red", &(red.clone() + TO_BLUE), &of_both);
    change(&lab, &tenants, "green", &green(""), &[]);
    change(&lab, &tenants, "green", &green(&both), &of_both);
    let disabled = red.clone() + TO_BLUE + "configured_status = \"disabled\"\n";
    change(&lab, &tenants, "red", &disabled, &[]);
    change(&lab, &tenants, "red", &(red.clone() + TO_BLUE), &of_both);
    // It ends while the daemon does not run.
    tenants.daemon.kill9();
    tenants.daemon.declare("red", &red);
    let before = lab.northbound_transactions();
    tenants.daemon.start_again();
    wait_rows(&lab, before, &[]);
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions() - before, 1, "after a start");
}

/// The hub's owner sees whom it leads to whom, and the peers see prefixes alone.
fn assert_shown(tenants: &Tenants) {
    let shown = |half: &str| -> Value {
        let shown = tenants.daemon.ctl(&["show", half, "--format", "json"]);
        serde_json::from_slice(&shown.stdout).expect("a half")
    };
    let (of_blue, of_green) = (shown("blue/web/to-db"), shown("green/db/to-web"));
    assert_eq!(of_blue["through"]["reached"], serde_json::json!(["10.3.0.0/24"]));
    assert_eq!(of_blue["through"]["chains"], serde_json::json!([]));
    assert!(!of_blue["through"].to_string().contains("copy"), "{of_blue}");
    let chain = &of_green["through"]["chains"][0];
    assert_eq!(chain["network"], "red/copy", "{of_green}");
    assert_eq!(chain["by"], serde_json::json!(["10.2.0.11"]));
    let page = tenants.daemon.ctl(&["show", "green/db/to-web"]).stdout;
    let page = String::from_utf8(page).expect("text");
    for part in ["10.1.0.0/24 <-> 10.3.0.0/24 of red/copy through 10.2.0.11", "port_security"] {
        assert!(page.contains(part), "{page}");
    }
}

#[test]
fn what_is_altered_of_a_chain_is_put_back() {
    let lab = Lab::databases_only();
    let (tenants, _) = tenants(&lab);
    let with = |other: &str| other.replace("]\n", ", \"10.50.0.0/16\"]\n");
    let appliance = between("\"10.2.0.11\", \"fd02::b\"", BEHIND);
    declare(&tenants, &with(TO_RED), &appliance, &with(TO_BLUE));
    wait_said(&tenants, WELL);
    tenants.daemon.wait_quiet();
    let mut kinds = std::collections::BTreeMap::new();
    for row in owned(&lab.dump()).into_iter().filter(is_of_chain) {
        let priority = row.row.get("priority").map(ToString::to_string);
        let kind = (row.table.clone(), row.router.clone(), priority, has_partner(&row));
        kinds.entry(kind).or_insert(row);
    }
    // Blue's, red's and the hub's routes; what the peers take; what goes to the appliance and comes from it.
    assert_eq!(kinds.len(), 9, "{kinds:#?}");
    let damages = kinds.into_values().flat_map(|row| {
        let ways: &[&str] = match row.table.as_str() {
            "Logical_Router_Policy" if has_partner(&row) && row.row["priority"] == 32_320 => &[
                "deleted",
                "set nexthops=10.2.0.99",
                "clear nexthops",
                "set action=allow",
                "remove external_ids ovn-peerd-chain",
            ],
            "Logical_Router_Policy" => {
                &["deleted", "set priority=7", "set match=\"1\"", "set action=drop"]
            }
            _ => &["deleted", "set nexthop=10.1.0.99", "set route_table=other"],
        };
        ways.iter().map(move |way| (row.clone(), *way)).collect::<Vec<_>>()
    });
    all_are_repaired(&lab, &damages.collect::<Vec<_>>());
    wait_said(&tenants, WELL);
}
