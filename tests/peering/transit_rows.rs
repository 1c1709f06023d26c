//! The rows of gateway transit: they follow whatever the owners of the two routers do, by one transaction, and are put
//! back when somebody alters them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::drift::all_are_repaired;
use crate::lab::Lab;
use crate::lab::command::poll;
use crate::owned::{Owned, owned};
use crate::tenants::{Tenants, flaws, half};

/// How long the daemon may take to write, or to say, one thing.
const LIMIT: Duration = Duration::from_secs(5);
const OFFER: &str = "gateway = \"offer\"\n";
const USE: &str = "use_gateway = true\n";

/// Green's router has an uplink and translates its guests; the halves have more keys.
fn tenants(lab: &Lab, blue: &str, green: &str) -> Tenants {
    let tenants = Tenants::new(lab);
    lab.nbctl_batch(
        "lrp-add b b-up 0a:00:00:00:00:72 172.31.0.2/24\n\
         lrp-set-gateway-chassis b-up hv1\n\
         lr-nat-add b snat 172.31.0.2 10.2.0.0/24",
    );
    declare(&tenants, blue, green);
    tenants
}

fn declare(tenants: &Tenants, blue: &str, green: &str) {
    tenants.daemon.declare("blue", &(half("to-db", "web", "green/db") + blue));
    tenants.daemon.declare("green", &(half("to-web", "db", "blue/web") + green));
}

/// The rows that there are because of a gateway, in short.
fn gateway_rows(lab: &Lab) -> Vec<String> {
    let of = |row: &Owned| match row.table.as_str() {
        "Logical_Router_Policy" => {
            let offset = row.row["priority"].as_i64().expect("a number") - 32_000;
            [80, 85, 94, 96, 300, 310]
                .contains(&offset)
                .then(|| format!("{} +{offset}", row.router))
        }
        "Logical_Router_Static_Route" => {
            let prefix = row.text("ip_prefix");
            let other = prefix.ends_with("/0") || prefix.contains("10.99.");
            other.then(|| format!("{} {prefix}", row.router))
        }
        "NAT" => {
            let (from, to) = (row.text("logical_ip"), row.text("external_ip"));
            Some(format!("{} {from} as {to}", row.router))
        }
        "Address_Set" => {
            row.text("name").contains("_inside_").then(|| format!("set {}", row.row["addresses"]))
        }
        _ => None,
    };
    let mut rows: Vec<_> = owned(&lab.dump()).iter().filter_map(of).collect();
    rows.sort();
    rows
}

/// What a user of a gateway has for everything, and the provider's one policy.
const ALL: [&str; 7] = ["a +80", "a +85", "a +94", "a +96", "a 0.0.0.0/0", "a ::/0", "b +300"];

fn all_and<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = [&ALL, more].concat();
    all.sort_unstable();
    all
}

#[track_caller]
fn wait_rows(lab: &Lab, wanted: &[&str]) {
    poll(&format!("{wanted:?}"), LIMIT, || {
        let found = gateway_rows(lab);
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Waits until what degrades blue's and green's half begins with these words, one each at the most.
#[track_caller]
fn wait_said(tenants: &Tenants, blue: &str, green: &str) {
    tenants.daemon.wait_until(&format!("{blue:?}, {green:?}"), |halves| {
        for (project, word) in [("blue", blue), ("green", green)] {
            let half = halves.iter().find(|half| half["project"] == project).ok_or("no half")?;
            let said = flaws(half);
            let words: Vec<_> = said.iter().filter_map(|it| Some(it.split_once(": ")?.0)).collect();
            let fits = if word.is_empty() { said.is_empty() } else { words == [word] };
            if !fits || half["state"] != "active" {
                return Err(half.to_string());
            }
        }
        Ok(())
    });
}

#[test]
fn the_rows_follow_the_provider_s_router_by_one_transaction_each() {
    let lab = Lab::databases_only();
    let tenants = tenants(&lab, USE, OFFER);
    wait_said(&tenants, "", "");
    wait_rows(&lab, &all_and(&["b 10.1.0.0/24 as 172.31.0.2"]));
    let snat = lab.nbctl(&["--bare", "--columns=_uuid", "find", "NAT", "logical_ip=10.2.0.0/24"]);
    let other = format!("set NAT {} external_ip=172.31.0.9", snat.trim());
    let back = format!("set NAT {} external_ip=172.31.0.2", snat.trim());
    let gone: [&str; 2] = ["no-uplink", "no-uplink"];
    let (well, translated) = (["", ""], all_and(&["b 10.1.0.0/24 as 172.31.0.2"]));
    let set = lab.nbctl(&["create", "Address_Set", "name=theirs", "addresses=192.0.2.0/24"]);
    let restricted = format!("set NAT {} allowed_ext_ips={}", snat.trim(), set.trim());
    let free = format!("clear NAT {} allowed_ext_ips", snat.trim());
    let uplink = "lrp-add b b-up 0a:00:00:00:00:72 172.31.0.2/24\nlrp-set-gateway-chassis b-up hv1";
    let gateway_router = all_and(&["b 10.1.0.0/24 as 172.31.0.2", "set \"10.2.0.0/24\""]);
    for (change, rows, said) in [
        (&*other, all_and(&["b 10.1.0.0/24 as 172.31.0.9"]), well),
        (&back, translated.clone(), well),
        ("lr-nat-add b snat 172.31.0.2 10.0.0.0/8", all_and(&[]), well),
        ("lr-nat-del b snat 10.0.0.0/8", translated.clone(), well),
        ("set Logical_Router b options:chassis=hv1", gateway_router, well),
        ("remove Logical_Router b options chassis", translated.clone(), well),
        (&restricted, all_and(&[]), ["", "gateway-not-translated"]),
        (&free, translated.clone(), well),
        ("lrp-del b-up", vec![], gone),
        (uplink, translated.clone(), well),
        ("--ecmp lr-route-add a 0.0.0.0/0 10.1.0.254", vec![], ["gateway-conflict", ""]),
        ("lr-route-del a 0.0.0.0/0 10.1.0.254", translated.clone(), well),
    ] {
        let written = lab.northbound_transactions();
        lab.nbctl_batch(change);
        wait_rows(&lab, &rows);
        let more = lab.northbound_transactions() - written;
        assert_eq!(more, 2, "the change, and what follows: {change}");
        wait_said(&tenants, said[0], said[1]);
        tenants.daemon.wait_quiet();
    }
    // A start finds nothing to write, nor does an end of the other half change anything of others.
    let written = lab.northbound_transactions();
    tenants.daemon.kill9();
    tenants.daemon.start_again();
    wait_said(&tenants, "", "");
    tenants.daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions(), written);
    declare(&tenants, USE, "");
    wait_rows(&lab, &[]);
    wait_said(&tenants, "gateway-not-offered", "");
    declare(&tenants, USE, "gateway = \"offer\"\nnat = \"never\"\n");
    wait_rows(&lab, &all_and(&[]));
    tenants.daemon.withdraw("blue");
    wait_rows(&lab, &[]);
}

#[test]
fn what_is_altered_by_hand_is_put_back() {
    let lab = Lab::databases_only();
    let tenants = tenants(&lab, USE, OFFER);
    lab.nbctl(&["set", "Logical_Router", "b", "options:chassis=hv1"]);
    wait_rows(&lab, &all_and(&["b 10.1.0.0/24 as 172.31.0.2", "set \"10.2.0.0/24\""]));
    wait_said(&tenants, "", "");
    tenants.daemon.wait_quiet();
    damage_all(&lab, 9);
    declare(&tenants, "use_gateway = [\"10.99.0.0/16\"]\n", OFFER);
    let nat = ["b 10.1.0.0/24 as 172.31.0.2", "set \"10.2.0.0/24\""];
    wait_rows(&lab, &[&["a +310", "a 10.99.0.0/16", "b +300"][..], &nat].concat());
    wait_said(&tenants, "", "");
    tenants.daemon.wait_quiet();
    damage_all(&lab, 5);
}

/// Deletes each row of a gateway, and alters it in some ways.
fn damage_all(lab: &Lab, count: usize) {
    let mut damages = vec![];
    let mut tables = BTreeSet::new();
    for row in owned(&lab.dump()) {
        let ways: &[&'static str] = match row.table.as_str() {
            "Logical_Router_Policy" if is_of_gateway(&row) => &[
                "deleted",
                "set priority=7",
                "set match=\"1\"",
                "set action=drop options:pkt_mark=1",
            ],
            "Logical_Router_Static_Route" if is_of_gateway(&row) => {
                &["deleted", "set nexthop=10.1.0.99", "clear output_port", "set route_table=other"]
            }
            "NAT" => &[
                "deleted",
                "set external_ip=172.31.0.77",
                "set logical_ip=10.1.0.0/25",
                "set type=dnat_and_snat",
                "set type=dnat",
                "clear exempted_ext_ips",
                "remove external_ids ovn-peerd",
            ],
            "Address_Set" if row.text("name").contains("_inside_") => {
                &["deleted", "set addresses=10.99.0.0/24", "clear addresses", "set name=x"]
            }
            _ => continue,
        };
        tables.insert(row.table.clone());
        damages.extend(ways.iter().map(|way| (row.clone(), *way)));
    }
    assert_eq!(tables.len(), 4, "{tables:?}");
    let deleted = damages.iter().filter(|(_, way)| *way == "deleted").count();
    assert_eq!(deleted, count);
    all_are_repaired(lab, &damages);
}

fn is_of_gateway(row: &Owned) -> bool {
    match row.table.as_str() {
        "Logical_Router_Policy" => {
            let offset = row.row["priority"].as_i64().expect("a number") - 32_000;
            [80, 85, 94, 96, 300, 310].contains(&offset)
        }
        _ => row.text("ip_prefix").ends_with("/0") || row.text("ip_prefix").contains("10.99."),
    }
}

/// A network uses one gateway: the one that it has, whoever asks for another; and the other one when that is gone.
#[test]
fn a_network_keeps_the_gateway_that_it_uses() {
    let lab = Lab::databases_only();
    let tenants = Tenants::new(&lab);
    lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    tenants.daemon.bind_network("red", "copy", "c");
    lab.nbctl_batch(
        "lrp-add b b-up 0a:00:00:00:00:72 172.31.0.2/24\nlrp-set-gateway-chassis b-up hv1\n\
         lrp-add c c-up 0a:00:00:00:00:73 172.31.0.3/24\nlrp-set-gateway-chassis c-up hv1",
    );
    let blue = |db: &str, copy: &str| {
        let text =
            half("to-copy", "web", "red/copy") + copy + &half("to-db", "web", "green/db") + db;
        tenants.daemon.declare("blue", &text);
    };
    let offers = |green: &str, red: &str| {
        tenants.daemon.declare("green", &(half("to-web", "db", "blue/web") + green));
        tenants.daemon.declare("red", &(half("to-web", "copy", "blue/web") + red));
    };
    let wait = |word_of_db: &str, word_of_copy: &str, by: &str| {
        tenants.daemon.wait_until(&format!("{word_of_db:?}, {word_of_copy:?}"), |halves| {
            for (name, word) in [("to-db", word_of_db), ("to-copy", word_of_copy)] {
                let half = halves.iter().find(|half| half["name"] == name).ok_or("no half")?;
                let said = flaws(half);
                let fits = if word.is_empty() {
                    said.is_empty()
                } else {
                    said.len() == 1 && said[0].starts_with(word)
                };
                if !fits || half["state"] != "active" {
                    return Err(half.to_string());
                }
            }
            Ok(())
        });
        let wanted = all_and(&[]).iter().map(|it| it.replace("b +", &format!("{by} +"))).collect();
        let mut wanted: Vec<String> = wanted;
        wanted.sort();
        wait_rows(&lab, &wanted.iter().map(String::as_str).collect::<Vec<_>>());
        tenants.daemon.wait_quiet();
    };
    // Green's half is the older one, and has the higher rank; red's gateway is used first.
    blue("", "");
    tenants.daemon.declare("green", &half("to-web", "db", "blue/web"));
    tenants.daemon.wait_state("blue", "web", "to-db", "active");
    offers(OFFER, OFFER);
    blue("", USE);
    wait("", "", "c");
    blue(USE, USE);
    wait("gateway-conflict: this network uses the gateway of red/copy", "", "c");
    tenants.daemon.kill9();
    tenants.daemon.start_again();
    wait("gateway-conflict: this network uses the gateway of red/copy", "", "c");
    // It is gone, and green's takes its place, for good.
    offers(OFFER, "");
    wait("", "gateway-not-offered", "b");
    offers(OFFER, OFFER);
    wait("", "gateway-conflict: this network uses the gateway of green/db", "b");
    lab.nbctl(&["lrp-del", "b-up"]);
    wait("no-uplink", "", "c");
    tenants.daemon.withdraw("green");
    wait_rows(
        &lab,
        &{
            let mut rows: Vec<_> = ALL.iter().map(|it| it.replace("b +", "c +")).collect();
            rows.sort();
            rows
        }
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>(),
    );
}
