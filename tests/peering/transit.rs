//! Gateway transit, with packets: a network without an uplink leaves by that of a peer that offers it, and takes from
//! there nothing in the name of anybody it knows.
//!
//! Blue's network is router `a`, green's with the uplink is `b`. `c` is another peer of `b`, to which nothing is offered
//! although it asks; `d` is another peer of `a`.

use std::net::IpAddr;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::host::{Forged, Forgery, Host};
use crate::lab::probe::Probe;
use crate::lab::topology::{Nat, Network};
use crate::lab::traffic::{Asked, Outcome};
use crate::on_every_lab;
use crate::tenants::{Tenants, flaws, half};

use Outcome::{Answered, Lost};

on_every_lab!(
    all_of_a_network_leaves_by_a_distributed_router,
    all_of_a_network_leaves_by_a_gateway_router,
    all_of_a_network_with_filters_leaves_by_a_distributed_router,
    all_of_a_network_with_filters_leaves_by_a_gateway_router,
    listed_prefixes_are_reached_and_may_open,
    without_translation_the_outside_sees_who_it_is,
);

/// Where the router with the uplink is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// On every chassis, with a distributed gateway port.
    Distributed,
    /// On one chassis.
    Gateway,
}

/// Lists that let the guests of the two networks open everything there.
const LISTS: &str = "in = [{}]\nout = [{}]\n";

struct Transit<'a> {
    lab: &'a Lab,
    tenants: Tenants,
    a1: Host,
    a2: Host,
    b1: Host,
    c1: Host,
    d1: Host,
    outside: Host,
    _serving: Vec<Probe>,
}

impl<'a> Transit<'a> {
    fn new(lab: &'a Lab, kind: Kind, nat: Nat) -> Transit<'a> {
        let tenants = Tenants::new(lab);
        let c = lab.add_network("c", &["10.3.0.0/24 fd03::/64"]);
        let d = lab.add_network("d", &["10.4.0.0/24 fd04::/64"]);
        tenants.daemon.bind_network("red", "copy", c.router());
        tenants.daemon.bind_network("grey", "edge", d.router());
        let guest = |network: &Network, name, nth| lab.add_guest(network, name, nth);
        let (a1, a2) = (guest(&tenants.a, "a1", 0), guest(&tenants.a, "a2", 1));
        let (b1, c1, d1) = (guest(&tenants.b, "b1", 1), guest(&c, "c1", 0), guest(&d, "d1", 1));
        lab.add_uplink(&tenants.b, nat);
        if kind == Kind::Gateway {
            let chassis = format!("options:chassis={}", lab.gateway().name());
            lab.nbctl(&["set", "Logical_Router", "b", &chassis]);
            lab.nbctl(&["clear", "Logical_Router_Port", "b-up", "gateway_chassis"]);
        }
        let outside = lab.outside();
        for network in [&tenants.a, &c, &d] {
            for prefix in network.prefixes() {
                let up = tenants.b.uplink_address(prefix.addr());
                outside.ip(&[format!("route add {prefix} via {up}")]);
            }
        }
        let serving = [&a1, &b1, &outside].map(|host| host.serve_all(&[80], &[53]));
        let transit =
            Transit { lab, tenants, a1, a2, b1, c1, d1, outside, _serving: serving.into() };
        lab.settle();
        transit
    }

    /// All halves, blue's and green's towards each other with more keys, until packets are treated by them.
    #[track_caller]
    fn declare(&self, blue: &str, green: &str) {
        let daemon = &self.tenants.daemon;
        let of_blue =
            half("to-db", "web", "green/db") + blue + &half("to-edge", "web", "grey/edge");
        let of_green =
            half("to-web", "db", "blue/web") + green + &half("to-copy", "db", "red/copy");
        daemon.declare("blue", &of_blue);
        daemon.declare("green", &of_green);
        daemon.declare("red", &(half("to-db", "copy", "green/db") + "use_gateway = true\n"));
        daemon.declare("grey", &half("to-web", "edge", "blue/web"));
        let reloaded = daemon.ctl(&["reload"]);
        assert!(reloaded.status.success(), "{reloaded:?}\n{}", daemon.log());
        daemon.wait_quiet();
        self.wait_said(("red", "copy", "to-db"), Some("gateway-not-offered"));
        self.lab.sync_packets();
    }

    /// Waits until a half is active, and what degrades it begins with this word, or nothing does.
    #[track_caller]
    fn wait_said(&self, (project, network, name): (&str, &str, &str), word: Option<&str>) {
        self.tenants.daemon.wait_until(
            &format!("{project}/{network}/{name}: {word:?}"),
            |halves| {
                let found = halves.iter().find(|half| {
                    half["project"] == project && half["network"] == network && half["name"] == name
                });
                let found = found.ok_or("no such half")?;
                let said = flaws(found);
                let fits = match word {
                    None => said.is_empty(),
                    Some(word) => said.len() == 1 && said[0].starts_with(&format!("{word}: ")),
                };
                if fits && found["state"] == "active" { Ok(()) } else { Err(found.to_string()) }
            },
        );
    }

    #[track_caller]
    fn wait_well(&self) {
        self.wait_said(("blue", "web", "to-db"), None);
        self.wait_said(("green", "db", "to-web"), None);
    }

    /// What both peerings of blue's, and green's other one, do in any case.
    #[track_caller]
    fn assert_peered(&self) {
        self.a1.assert_reaches(&self.b1);
        self.b1.assert_reaches(&self.a1);
        self.a2.assert_reaches(&self.d1);
        self.b1.assert_reaches(&self.c1);
        for (from, to) in [(&self.a1, &self.b1), (&self.b1, &self.a1)] {
            for address in [from.v4(), from.v6()] {
                let seen = to.capture(&format!("tcp and src {address}"));
                let there = if address.is_ipv4() { to.v4() } else { to.v6() };
                Asked::assert_all([from.ask_tcp(there, 80, 0, Answered)]);
                let what = format!("{} sees {address} of {}", to.name, from.name);
                assert!(seen.sees_something(Duration::from_secs(5)), "{what}");
            }
        }
    }

    /// What no gateway changes: third networks are not reached over two peerings, and not by it.
    #[track_caller]
    fn assert_apart(&self) {
        let Transit { a1, c1, d1, b1, outside, .. } = self;
        Host::assert_all_isolated(&[(a1, c1), (c1, a1), (d1, b1), (d1, outside), (c1, outside)]);
    }

    /// What comes from the outside to `a1` in the name of others, and in its own.
    #[track_caller]
    fn assert_only_the_outside_is_believed(&self) {
        let own = [&self.outside];
        let others = [&self.a2, &self.b1, &self.c1, &self.d1];
        let forge = |source: &Host| -> Vec<Forgery> {
            [(source.v4(), self.a1.v4()), (source.v6(), self.a1.v6())]
                .map(|(source, to)| self.outside.forge(Forged::Udp, source, to, &self.a1))
                .into()
        };
        let all = own.into_iter().chain(others).flat_map(forge).collect();
        let arrived = Forgery::which_arrive(all);
        let names = ["itself", "a2", "b1", "c1", "d1"].iter().flat_map(|name| [name; 2]);
        let arrived: Vec<_> =
            names.zip(arrived).filter(|(_, it)| *it).map(|(name, _)| *name).collect();
        assert_eq!(arrived, ["itself", "itself"]);
    }

    /// What leaves of a guest has this address outside, in IPv4.
    #[track_caller]
    fn assert_leaves_as(&self, guest: &Host, address: IpAddr) {
        let to = if address.is_ipv4() { self.outside.v4() } else { self.outside.v6() };
        let seen = self.outside.capture(&format!("tcp and src {address} and dst {to}"));
        Asked::assert_all([
            guest.ask_tcp(to, 80, 0, Answered),
            guest.ask_udp(to, 53, 0, Answered),
            guest.ask_echo(to, Answered),
        ]);
        assert!(seen.sees_something(Duration::from_secs(5)), "{} leaves as {address}", guest.name);
    }

    /// Nothing of `a` leaves.
    #[track_caller]
    fn assert_stays(&self) {
        let all = [&self.a1, &self.a2].map(|guest| {
            let (v4, v6) = (self.outside.v4(), self.outside.v6());
            [v4, v6].map(|to| [guest.ask_tcp(to, 80, 0, Lost), guest.ask_echo(to, Lost)])
        });
        Asked::assert_all(all.into_iter().flatten().flatten());
    }

    /// The daemon starts anew, and writes nothing.
    #[track_caller]
    fn assert_restart_writes_nothing(&self) {
        let written = self.lab.northbound_transactions();
        self.tenants.daemon.kill9();
        self.tenants.daemon.start_again();
        self.wait_well();
        self.tenants.daemon.wait_quiet();
        assert_eq!(self.lab.northbound_transactions(), written);
    }
}

fn all_of_a_network_leaves_by_a_distributed_router(lab: &Lab) {
    all_leaves(lab, Kind::Distributed, "");
}

fn all_of_a_network_leaves_by_a_gateway_router(lab: &Lab) {
    all_leaves(lab, Kind::Gateway, "");
}

fn all_of_a_network_with_filters_leaves_by_a_distributed_router(lab: &Lab) {
    all_leaves(lab, Kind::Distributed, LISTS);
}

fn all_of_a_network_with_filters_leaves_by_a_gateway_router(lab: &Lab) {
    all_leaves(lab, Kind::Gateway, LISTS);
}

/// Before, with and without the offer: from two guests, on two chassis where there are two.
fn all_leaves(lab: &Lab, kind: Kind, lists: &str) {
    let transit = Transit::new(lab, kind, Nat::Source);
    let Transit { a1, a2, b1, outside, .. } = &transit;
    let uses = format!("use_gateway = true\n{lists}");
    transit.declare(lists, "");
    transit.assert_peered();
    transit.assert_stays();
    // Asked for, and not offered; offered, and not asked for.
    transit.declare(&uses, "");
    transit.wait_said(("blue", "web", "to-db"), Some("gateway-not-offered"));
    transit.assert_stays();
    transit.declare(lists, "gateway = \"offer\"\n");
    transit.wait_well();
    transit.assert_stays();
    transit.declare(&uses, "gateway = \"offer\"\n");
    transit.wait_well();
    let translated = transit.tenants.b.uplink_address(outside.v4());
    for guest in [a1, a2] {
        transit.assert_leaves_as(guest, translated);
        transit.assert_leaves_as(guest, guest.v6());
    }
    b1.assert_reaches(outside);
    transit.assert_peered();
    transit.assert_apart();
    transit.assert_only_the_outside_is_believed();
    // With lists, what is shaped like an opening does not come by the gateway.
    let opens = if lists.is_empty() { Answered } else { Lost };
    Asked::assert_all([outside.ask_tcp(a1.v6(), 80, 0, opens), outside.ask_echo(a1.v6(), opens)]);
    let hops = a1.trace(outside.v4(), 5);
    let [own, theirs] = [&transit.tenants.a, &transit.tenants.b].map(|it| it.router_addresses()[0]);
    assert_eq!(hops, [Some(own), Some(theirs), Some(outside.v4())]);
    lab.assert_all_policies_are_at_work();
    transit.assert_restart_writes_nothing();
    // What stands is cut when the offer goes.
    let held = [outside.v4(), outside.v6()].map(|to| a1.hold(to, 80));
    transit.declare(&uses, "");
    for held in held {
        let held = held.until_cut();
        assert!(held.cut && held.echoed > 0, "{held:?}");
    }
    transit.assert_stays();
    transit.assert_peered();
    transit.assert_apart();
}

/// A destination that is not listed is not reached, though it is behind the same uplink; who is listed may open, whatever
/// the lists of the peering say.
fn listed_prefixes_are_reached_and_may_open(lab: &Lab) {
    let transit = Transit::new(lab, Kind::Distributed, Nat::Source);
    let Transit { a1, a2, b1, outside, .. } = &transit;
    outside.ip(&[
        "address add 198.51.100.7/32 dev eth0".to_owned(),
        "address add 2001:db8::7/128 dev eth0 nodad".to_owned(),
    ]);
    let beyond: [IpAddr; 2] = ["198.51.100.7", "2001:db8::7"].map(|text| text.parse().unwrap());
    b1.assert_reach_all(&beyond);
    let uses = "use_gateway = [\"172.31.0.0/24\", \"fd31::/64\"]\n";
    transit.declare(&format!("{uses}in = []\n"), "gateway = \"offer\"\n");
    transit.wait_well();
    let translated = transit.tenants.b.uplink_address(outside.v4());
    for guest in [a1, a2] {
        transit.assert_leaves_as(guest, translated);
        transit.assert_leaves_as(guest, guest.v6());
        guest.assert_reach_none(&beyond);
    }
    Asked::assert_all([
        outside.ask_tcp(a1.v6(), 80, 0, Answered),
        outside.ask_echo(a1.v6(), Answered),
        b1.ask_tcp(a1.v6(), 80, 0, Lost),
        b1.ask_tcp(a1.v4(), 80, 0, Lost),
        a1.ask_tcp(b1.v4(), 80, 0, Answered),
    ]);
    transit.assert_only_the_outside_is_believed();
    let forged = beyond.map(|source| {
        let to = if source.is_ipv4() { a1.v4() } else { a1.v6() };
        outside.forge(Forged::Udp, source, to, a1)
    });
    assert_eq!(Forgery::which_arrive(forged.into()), [false; 2], "who is not listed");
    transit.assert_apart();
    lab.assert_all_policies_are_at_work();
    transit.assert_restart_writes_nothing();
    transit.declare("in = []\n", "gateway = \"offer\"\n");
    transit.assert_stays();
}

/// IPv4 leaves as it is, too; and what the provider drops of forged sources, the user drops by itself.
fn without_translation_the_outside_sees_who_it_is(lab: &Lab) {
    let transit = Transit::new(lab, Kind::Distributed, Nat::Source);
    let Transit { a1, a2, b1, d1, outside, .. } = &transit;
    transit.declare("use_gateway = true\n", "gateway = \"offer\"\nnat = \"never\"\n");
    transit.wait_well();
    for guest in [a1, a2] {
        transit.assert_leaves_as(guest, guest.v4());
        transit.assert_leaves_as(guest, guest.v6());
    }
    Asked::assert_all([outside.ask_tcp(a1.v4(), 80, 0, Answered)]);
    b1.assert_reaches(outside);
    transit.assert_only_the_outside_is_believed();
    // Without the provider's own policies on sources; its own ones are its own to guard.
    transit.tenants.daemon.kill9();
    lab.nbctl(&["lr-policy-del", "b", "32090"]);
    lab.sync_packets();
    let forge = |source: &Host| {
        [(source.v4(), a1.v4()), (source.v6(), a1.v6())]
            .map(|(source, to)| outside.forge(Forged::Udp, source, to, a1))
    };
    let forged = [outside, a2, d1].into_iter().flat_map(forge).collect();
    let arrived = Forgery::which_arrive(forged);
    assert_eq!(arrived, [true, true, false, false, false, false]);
    transit.tenants.daemon.start_again();
    transit.wait_well();
}
