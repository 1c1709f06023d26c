//! Chains through an appliance, with packets: two peers of a hub reach each other by an appliance in the hub's network or
//! not at all, and a peer reaches what lies behind one.
//!
//! Blue's network is router `a`, green's, the hub, is `b`, red's is `c`. The appliance `fw` is a guest of the hub that
//! forwards; `10.50.0.1` and `fd50::1` are behind it.

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::host::Host;
use crate::lab::probe::Probe;
use crate::lab::topology::Network;
use crate::lab::traffic::{Asked, Outcome};
use crate::on_every_lab;
use crate::owned::{Owned, owned};
use crate::tenants::{Tenants, flaws, half};

use Outcome::{Answered, Lost};

on_every_lab!(peers_reach_each_other_through_the_appliance_or_not_at_all);

mod behind {
    crate::on_several_chassis!(what_lies_behind_an_appliance_is_reached_by_a_peer_alone);
    use super::what_lies_behind_an_appliance_is_reached_by_a_peer_alone;
}

#[test]
fn no_row_can_be_missing() {
    without_any_one_row_nothing_passes(&Lab::single_chassis());
}

/// What blue reaches through the hub.
pub(crate) const TO_RED: &str = "reach_through = [\"10.3.0.0/24\", \"fd03::/64\"]\n";
/// What red reaches through it.
pub(crate) const TO_BLUE: &str = "reach_through = [\"10.1.0.0/24\", \"fd01::/64\"]\n";
const TO_BEHIND: &str = "reach_through = [\"10.50.0.0/16\", \"fd50::/64\"]\n";
const BEHIND: [&str; 2] = ["10.50.0.1", "fd50::1"];

/// The hub's appliance between these halves, with these addresses and more.
pub(crate) fn appliance(between: &str, address: &str, more: &str) -> String {
    format!("[[appliance]]\nnetwork = \"db\"\nbetween = [{between}]\naddress = [{address}]\n{more}")
}

/// The halves of all three, each with more keys: blue's, green's with the appliances, red's.
pub(crate) fn declare(tenants: &Tenants, blue: &str, green: &str, red: &str) {
    let of_green = half("to-web", "db", "blue/web") + &half("to-copy", "db", "red/copy") + green;
    tenants.daemon.declare("blue", &(half("to-db", "web", "green/db") + blue));
    tenants.daemon.declare("green", &of_green);
    tenants.daemon.declare("red", &(half("to-db", "copy", "green/db") + red));
    let reloaded = tenants.daemon.ctl(&["reload"]);
    assert!(reloaded.status.success(), "{reloaded:?}\n{}", tenants.daemon.log());
    tenants.daemon.wait_quiet();
}

/// Blue, green and red with a daemon that knows them; green may announce what is behind its appliance.
pub(crate) fn tenants(lab: &Lab) -> (Tenants, Network) {
    let tenants = Tenants::new(lab);
    let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
    tenants.daemon.bind_network("red", "copy", c.router());
    let hub = "[[network]]\nproject = \"green\"\nname = \"db\"\nrouter = \"b\"\n\
               may_export = [\"10.50.0.0/16\", \"fd50::/64\"]\n";
    tenants.daemon.write("networks.d/green-db.toml", hub);
    (tenants, c)
}

/// Waits until all halves are active, and what degrades them begins with this word, or nothing does.
#[track_caller]
pub(crate) fn wait_said(tenants: &Tenants, words: [&str; 4]) {
    tenants.daemon.wait_until(&format!("{words:?}"), |halves| {
        let names =
            [("blue", "to-db"), ("green", "to-web"), ("green", "to-copy"), ("red", "to-db")];
        for ((project, name), word) in names.into_iter().zip(words) {
            let is_it =
                |half: &&serde_json::Value| half["project"] == project && half["name"] == name;
            let half = halves.iter().find(is_it).ok_or("no such half")?;
            let said = flaws(half);
            let fits = match word {
                "" => said.is_empty(),
                word => {
                    !said.is_empty() && said.iter().all(|it| it.starts_with(&format!("{word}: ")))
                }
            };
            if !fits || half["state"] != "active" {
                return Err(half.to_string());
            }
        }
        Ok(())
    });
}

struct Chain<'a> {
    lab: &'a Lab,
    tenants: Tenants,
    a1: Host,
    b1: Host,
    c1: Host,
    fw: Host,
    _serving: Vec<Probe>,
}

impl<'a> Chain<'a> {
    fn new(lab: &'a Lab) -> Chain<'a> {
        let (tenants, c) = tenants(lab);
        let (a1, c1) = (lab.add_guest(&tenants.a, "a1", 0), lab.add_guest(&c, "c1", 1));
        let (fw, b1) = (lab.add_guest(&tenants.b, "fw", 0), lab.add_guest(&tenants.b, "b1", 1));
        for router in ["a", "b", "c"] {
            lab.nbctl(&["lr-policy-add", router, "31000", "ip4 || ip6", "allow"]);
        }
        for (behind, via) in BEHIND.into_iter().zip(["10.2.0.1", "fd02::1"]) {
            // What a server there says over UDP comes from there.
            let leaves = format!("route replace default via {via} src {behind}");
            let nodad = if behind.contains(':') { " nodad" } else { "" };
            fw.ip(&[format!("address add {behind} dev lo{nodad}"), leaves]);
        }
        let serving = [&a1, &b1, &c1, &fw].map(|host| host.serve_all(&[80], &[53]));
        let chain = Chain { lab, tenants, a1, b1, c1, fw, _serving: serving.into() };
        chain.forward(true);
        lab.settle();
        chain
    }

    /// Whether the appliance forwards.
    fn forward(&self, on: bool) {
        let value = u8::from(on);
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            self.fw.run(&["sysctl", "-qw", &format!("{key}={value}")]);
        }
    }

    /// Its addresses, as they are declared.
    fn at_fw(&self) -> String {
        format!("\"{}\", \"{}\"", self.fw.v4(), self.fw.v6())
    }

    fn between(&self) -> String {
        appliance("\"to-web\", \"to-copy\"", &self.at_fw(), "")
    }

    #[track_caller]
    fn declare(&self, blue: &str, green: &str, red: &str, words: [&str; 4]) {
        declare(&self.tenants, blue, green, red);
        wait_said(&self.tenants, words);
        self.lab.sync_packets();
    }

    fn ask(from: &Host, to: &Host, wanted: Outcome) -> Vec<Asked> {
        let ask = |to: IpAddr| {
            [
                from.ask_tcp(to, 80, 0, wanted),
                from.ask_udp(to, 53, 0, wanted),
                from.ask_echo(to, wanted),
            ]
        };
        [to.v4(), to.v6()].into_iter().flat_map(ask).collect()
    }

    /// Both ways between blue's guest and red's, in all protocols.
    fn ask_both_ways(&self, wanted: Outcome) -> Vec<Asked> {
        let mut all = Chain::ask(&self.a1, &self.c1, wanted);
        all.extend(Chain::ask(&self.c1, &self.a1, wanted));
        all
    }

    /// Nothing is answered between blue and red. Policies are about families, not about protocols.
    #[track_caller]
    fn assert_apart(&self) {
        let Chain { a1, c1, .. } = self;
        Asked::assert_all([
            a1.ask_tcp(c1.v4(), 80, 0, Lost),
            a1.ask_tcp(c1.v6(), 80, 0, Lost),
            c1.ask_echo(a1.v4(), Lost),
            c1.ask_echo(a1.v6(), Lost),
        ]);
    }

    /// A few things are answered again.
    #[track_caller]
    fn assert_chained_again(&self) {
        let Chain { a1, c1, .. } = self;
        Asked::assert_all([
            a1.ask_tcp(c1.v4(), 80, 0, Answered),
            c1.ask_tcp(a1.v6(), 80, 0, Answered),
        ]);
    }

    /// All is answered between blue and red, both ways, and each packet has passed the appliance.
    #[track_caller]
    fn assert_chained(&self) {
        let Chain { a1, c1, fw, .. } = self;
        let ways = [(a1.v4(), c1.v4()), (a1.v6(), c1.v6()), (c1.v4(), a1.v4()), (c1.v6(), a1.v6())];
        let seen: Vec<_> = ways
            .iter()
            .map(|(from, to)| fw.capture(&format!("tcp and src {from} and dst {to}")))
            .collect();
        Asked::assert_all(self.ask_both_ways(Answered));
        for (seen, way) in seen.iter().zip(ways) {
            assert!(seen.sees_something(Duration::from_secs(5)), "{way:?} pass the appliance");
        }
    }

    /// What the peerings do in any case.
    #[track_caller]
    fn assert_peered(&self) {
        let Chain { a1, b1, c1, .. } = self;
        let ask = |(from, to): (&Host, &Host)| {
            [from.ask_tcp(to.v4(), 80, 0, Answered), from.ask_echo(to.v6(), Answered)]
        };
        Asked::assert_all([(a1, b1), (b1, c1)].into_iter().flat_map(ask));
    }
}

const WELL: [&str; 4] = [""; 4];

fn peers_reach_each_other_through_the_appliance_or_not_at_all(lab: &Lab) {
    let chain = Chain::new(lab);
    let between = chain.between();
    let no_one = ["not-led-through", "awaiting-spoke", "awaiting-spoke", ""];
    // Two of the three consents at a time.
    chain.declare(TO_RED, "", TO_BLUE, ["not-led-through", "", "", "not-led-through"]);
    Asked::assert_all(chain.ask_both_ways(Lost));
    chain.declare(TO_RED, &between, "", no_one);
    chain.assert_apart();
    chain.declare(
        "",
        &between,
        TO_BLUE,
        ["", "awaiting-spoke", "awaiting-spoke", "not-led-through"],
    );
    chain.assert_apart();
    chain.assert_peered();
    chain.declare(TO_RED, &between, TO_BLUE, WELL);
    chain.assert_chained();
    chain.assert_peered();
    lab.assert_all_policies_are_at_work();
    // An appliance that is there, and does not forward.
    chain.forward(false);
    chain.assert_apart();
    chain.forward(true);
    chain.assert_chained_again();
    // Nobody has the address; and it is in no subnet.
    let nobody = appliance("\"to-web\", \"to-copy\"", "\"10.2.0.99\", \"fd02::99\"", "");
    chain.declare(TO_RED, &nobody, TO_BLUE, WELL);
    chain.assert_apart();
    let apart = appliance("\"to-web\", \"to-copy\"", "\"10.9.0.9\", \"fd09::9\"", "");
    let unconnected = "appliance-not-connected";
    chain.declare(
        TO_RED,
        &apart,
        TO_BLUE,
        ["not-led-through", unconnected, unconnected, "not-led-through"],
    );
    chain.assert_apart();
    chain.declare(TO_RED, &between, TO_BLUE, WELL);
    chain.assert_chained_again();
    // What stands is cut when one of the peers takes its consent back.
    let held = [chain.c1.v4(), chain.c1.v6()].map(|to| chain.a1.hold(to, 80));
    chain.declare(TO_RED, &between, "", no_one);
    for held in held {
        let held = held.until_cut();
        assert!(held.cut && held.echoed > 0, "{held:?}");
    }
    Asked::assert_all(chain.ask_both_ways(Lost));
    chain.assert_peered();
}

/// The rows that make the chain: policies, and the routes of blue and red to each other.
fn rows(lab: &Lab) -> Vec<Owned> {
    let is_of_chain = |row: &Owned| match row.table.as_str() {
        "Logical_Router_Policy" => {
            let priority = row.row["priority"].as_i64().expect("a number");
            [32_097, 32_315, 32_320, 32_321].contains(&priority)
        }
        "Logical_Router_Static_Route" => {
            let to = row.text("ip_prefix");
            let (of_blue, of_red) = (
                to.contains("0.3.") || to.contains("d03"),
                to.contains("0.1.") || to.contains("d01"),
            );
            row.router == "a" && of_blue || row.router == "c" && of_red
        }
        _ => false,
    };
    let mut rows = owned(&lab.dump());
    rows.retain(is_of_chain);
    rows
}

/// With nobody to put it back, each row is missed. One of each family goes at a time.
fn without_any_one_row_nothing_passes(lab: &Lab) {
    let chain = Chain::new(lab);
    chain.declare(TO_RED, &chain.between(), TO_BLUE, WELL);
    chain.assert_chained_again();
    let all = rows(lab);
    assert_eq!(all.len(), 12, "{all:#?}");
    let six = |row: &Owned| {
        row.text("ip_prefix").contains(':')
            || row.row.get("priority").is_some_and(|it| *it == 32_321)
    };
    let four = |row: &Owned| {
        row.text("ip_prefix").contains('.')
            || row.row.get("priority").is_some_and(|it| *it == 32_320)
    };
    let mut rounds: Vec<Vec<&Owned>> =
        all.iter().filter(|row| !six(row) && !four(row)).map(|row| vec![row]).collect();
    let of_four = all.iter().filter(|row| four(row));
    rounds.extend(
        of_four.zip(all.iter().filter(|row| six(row))).map(|(one, other)| vec![one, other]),
    );
    assert_eq!(rounds.len(), 8);
    for round in rounds {
        chain.tenants.daemon.kill9();
        for row in &round {
            let found = rows(lab).into_iter().find(|now| now.same_as(row)).expect("put back");
            found.delete(lab);
        }
        lab.sync_packets();
        println!("without {round:#?}");
        chain.assert_apart();
        chain.tenants.daemon.start_again();
        chain.tenants.daemon.wait_quiet();
    }
    lab.sync_packets();
    chain.assert_chained_again();
}

/// One half alone: blue reaches what is behind the appliance, and nobody else does by this.
fn what_lies_behind_an_appliance_is_reached_by_a_peer_alone(lab: &Lab) {
    let chain = Chain::new(lab);
    let Chain { a1, c1, b1, fw, .. } = &chain;
    let behind: [IpAddr; 2] = BEHIND.map(|text| text.parse().expect("an address"));
    let ask = |from: &Host, wanted: Outcome| -> Vec<Asked> {
        let ask = |to: &IpAddr| {
            [
                from.ask_tcp(*to, 80, 0, wanted),
                from.ask_udp(*to, 53, 0, wanted),
                from.ask_echo(*to, wanted),
            ]
        };
        behind.iter().flat_map(ask).collect()
    };
    let destinations = "destinations = [\"10.50.0.0/16\", \"fd50::/64\"]\n";
    let alone = appliance("\"to-web\"", &chain.at_fw(), destinations);
    chain.declare("", &alone, "", ["", "awaiting-spoke", "", ""]);
    Asked::assert_all(ask(a1, Lost));
    chain.declare(TO_BEHIND, &alone, TO_BEHIND, ["", "", "", "not-led-through"]);
    let seen = fw.capture(&format!("tcp and src {} and dst {}", a1.v4(), behind[0]));
    Asked::assert_all(ask(a1, Answered));
    assert!(seen.sees_something(Duration::from_secs(5)), "it passes the appliance");
    Asked::assert_all(ask(c1, Lost));
    // The hub's own guests have the route, too.
    Asked::assert_all(
        behind.iter().flat_map(|to| [b1.ask_tcp(*to, 80, 0, Answered), b1.ask_echo(*to, Answered)]),
    );
    chain.assert_apart();
    chain.assert_peered();
    lab.assert_all_policies_are_at_work();
    // Both, and each other.
    let both = appliance("\"to-web\", \"to-copy\"", &chain.at_fw(), destinations);
    let reach = |other: &str| other.replace("]\n", ", \"10.50.0.0/16\", \"fd50::/64\"]\n");
    chain.declare(&reach(TO_RED), &both, &reach(TO_BLUE), WELL);
    Asked::assert_all([a1, c1].into_iter().flat_map(|from| ask(from, Answered)));
    chain.assert_chained_again();
    chain.declare(TO_RED, &chain.between(), TO_BLUE, WELL);
    Asked::assert_all([a1, c1].into_iter().flat_map(|from| ask(from, Lost)));
    chain.assert_chained_again();
}
