//! Two networks whose halves have lists, random ones: the policies that the engine writes for them do to each packet what
//! the lists say, on both routers, after each edit.

use std::net::IpAddr;

use ovn_peerd::declare::Filters;
use ovn_peerd::northbound::tables::{ROUTER_PORT, logical_router, router_port};
use ovn_peerd::ovsdb::{Atom, ColumnId};
use ovn_peerd::view::State;
use proptest::prelude::*;

use crate::lists::{ANNOUNCED, Entry, Lists, ROUTERS, addresses, lists, nets, packet};
use crate::packets::{ACK, ICMP4, ICMP6, Packet, SYN, TCP, UDP};
use crate::policies::decided;
use crate::random::rest;
use crate::verdict::{Reference, Side, Verdict};
use crate::world::World;

/// A subnet that the first network may keep to itself.
const HIDDEN: &str = "10.11.0.0/24";

/// The two networks, and what their halves say.
pub struct Ground {
    pub world: World,
    pub lists: [Lists; 2],
    hides: bool,
    /// What the operator takes a list for that is missing.
    closed: bool,
}

impl Ground {
    pub fn new(closed: bool) -> Self {
        let mut settings = crate::world::settings();
        settings.policy.filters = if closed { Filters::Closed } else { Filters::Open };
        let mut world = World::with(settings);
        for network in 0..2 {
            world.add_router(network);
            for (at, prefix) in ANNOUNCED[network].iter().enumerate() {
                let length = prefix.split_once('/').unwrap().1;
                let address = format!("{}/{length}", ROUTERS[network][at]);
                let cells: [(ColumnId, Atom); 2] = [
                    (router_port::NAME, subnet_port(network, at).as_str().into()),
                    (router_port::NETWORKS, address.as_str().into()),
                ];
                let port = world.database.insert(ROUTER_PORT, &cells);
                let router = world.routers[&network].uuid;
                world.database.refer(router, logical_router::PORTS, port, true);
            }
            world.bindings.insert(network, network);
            world.halves.entry(network).or_default().insert(1 - network, true);
            let file = world.network_file(network);
            world.read(file);
        }
        Self { world, lists: Default::default(), hides: false, closed }
    }

    /// Reads both halves as they are now, and comes to rest; how many transactions that took.
    pub fn declare(&mut self) -> usize {
        for network in 0..2 {
            let mut keys = self.lists[network].keys();
            if network == 0 && self.hides {
                keys += "export = [\"10.1.0.0/24\", \"fd01::/64\"]\nstateful = true\n";
            }
            self.world.more.insert((network, 1 - network), keys);
            let file = self.world.halves_file(network);
            self.world.read(file);
        }
        let transactions = self.world.settle();
        rest(&mut self.world, &format!("{:?}", self.lists));
        transactions
    }

    fn reference(&self) -> Reference {
        let side = |network: usize| {
            let mut crossing = nets(ANNOUNCED[network]);
            crossing.retain(|net| !self.hides || net.to_string() != HIDDEN);
            let link = self.link(network).1;
            Side::new(&self.lists[network], self.closed).with(
                &crossing,
                &addresses(ROUTERS[network]),
                &link,
            )
        };
        Reference::new([side(0), side(1)])
    }

    fn is_active(&self) -> bool {
        self.world.engine.list().iter().all(|half| half.state == State::Active)
    }

    /// The name of the link's port on a router, and its addresses.
    fn link(&self, network: usize) -> (String, Vec<IpAddr>) {
        self.world.link(network, 1 - network).expect("a port of the link")
    }

    /// Each of these packets, as it enters from the one network at the other's router, is treated as the lists say.
    #[track_caller]
    fn assert_agrees(&self, from: usize, packets: &[Packet]) {
        let (reference, rows) = (self.reference(), self.world.policies(1 - from));
        let (inport, outport) = (self.link(1 - from).0, subnet_port(1 - from, 0));
        for packet in packets {
            let (inport, outport) = (inport.clone(), outport.clone());
            let packet = Packet { inport, outport, ..packet.clone() };
            let decided: Vec<_> = packet.parts().iter().map(|it| decided(&rows, it)).collect();
            let passes = decided.iter().all(|(passes, _)| *passes);
            let by: Vec<_> = decided.into_iter().map(|(_, by)| by).collect();
            let (by, verdict) = (by.join("\n"), reference.verdict(from, &packet));
            let agrees = verdict == Verdict::Either || Verdict::from(passes) == verdict;
            assert!(agrees, "{verdict:?} is wanted of {packet:?}\nby {by}\n{}", self.explained());
        }
    }

    /// What leaves a network is not filtered at its own router: only the other one's.
    #[track_caller]
    fn assert_leaves(&self, packets: &[Packet]) {
        let (rows, inport, outport) = (self.world.policies(0), subnet_port(0, 0), self.link(0).0);
        for packet in packets {
            let (inport, outport) = (inport.clone(), outport.clone());
            let packet = Packet { inport, outport, ..packet.clone() };
            let own = nets(ANNOUNCED[0]);
            let (passes, by) = decided(&rows, &packet);
            if own.iter().any(|net| net.contains(&packet.source)) {
                assert!(passes, "{packet:?}\nby {by}\n{}", self.explained());
            }
        }
    }

    fn explained(&self) -> String {
        let mut text = String::new();
        for network in 0..2 {
            text += &format!("network {network}\n{}", self.lists[network].keys());
            let mut rows = self.world.policies(network);
            rows.sort_by_key(|row| -row.priority);
            for row in rows {
                let action = if row.allows { "allow" } else { "drop" };
                text += &format!("- {} {action} {}\n", row.priority, row.text);
            }
        }
        text
    }
}

fn subnet_port(network: usize, at: usize) -> String {
    format!("r{network}-s{at}")
}

/// A change of what the halves say: the lists of one, of both, or which prefixes cross.
#[derive(Clone, Debug)]
enum Edit {
    Of(usize, Lists),
    Both([Lists; 2]),
    Hide(bool),
}

fn edit() -> impl Strategy<Value = Edit> {
    let of = |network: usize| lists(network).prop_map(move |lists| Edit::Of(network, lists));
    prop_oneof![
        3 => of(0),
        3 => of(1),
        3 => (lists(0), lists(1)).prop_map(|(one, other)| Edit::Both([one, other])),
        1 => any::<bool>().prop_map(Edit::Hide),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn policies_do_what_the_lists_say(
        edits in prop::collection::vec(edit(), 1..6),
        to_second in prop::collection::vec(packet(0), 150),
        to_first in prop::collection::vec(packet(1), 150),
        closed in prop::bool::weighted(0.2),
    ) {
        let mut ground = Ground::new(closed);
        ground.declare();
        for edit in edits {
            match edit {
                Edit::Of(network, lists) => ground.lists[network] = lists,
                Edit::Both(lists) => ground.lists = lists,
                Edit::Hide(hides) => ground.hides = hides,
            }
            ground.declare();
            prop_assert!(ground.is_active(), "{:#?}", ground.world.engine.list());
            ground.assert_agrees(0, &to_second);
            ground.assert_agrees(1, &to_first);
            ground.assert_leaves(&to_second);
        }
    }
}

fn tcp(ports: &[(u16, u16)]) -> Entry {
    Entry { what: crate::lists::What::Ports(TCP, ports.to_vec()), ..Entry::all() }
}

fn between(protocol: u8, from: &str, to: &str) -> Packet {
    Packet::new(protocol, from.parse().unwrap(), to.parse().unwrap())
}

/// The model by the examples of the documentation: who reads it knows what to expect.
#[test]
fn the_model_is_what_the_examples_say() {
    let ping = Entry { what: crate::lists::What::Icmp(vec!["echo-request"]), ..Entry::all() };
    let inward = Some(vec![tcp(&[(5432, 5432), (8000, 8100)]), ping]);
    let green = Lists { inward, out: Some(vec![]) };
    let side = |network: usize, lists: &Lists| {
        let (nets, routers) = (nets(ANNOUNCED[network]), addresses(ROUTERS[network]));
        Side::new(lists, false).with(&nets, &routers, &routers)
    };
    let reference = Reference::new([side(0, &Lists::default()), side(1, &green)]);
    let to = |protocol, ports, flags, kind| {
        let packet = between(protocol, "10.1.0.10", "10.2.0.10");
        reference.verdict(0, &Packet { ports, flags, kind, ..packet })
    };
    let back = |protocol, ports, flags, kind| {
        let packet = between(protocol, "10.2.0.10", "10.1.0.10");
        reference.verdict(1, &Packet { ports, flags, kind, ..packet })
    };
    use Verdict::{Drop, Pass};
    for (port, wanted) in
        [(5432, Pass), (5431, Drop), (7999, Drop), (8000, Pass), (8100, Pass), (8101, Drop)]
    {
        assert_eq!(to(TCP, [40_000, port], SYN, 0), wanted, "{port}");
        assert_eq!(to(TCP, [40_000, port], ACK, 0), wanted, "{port}");
        assert_eq!(back(TCP, [port, 40_000], SYN | ACK, 0), wanted, "{port}");
        assert_eq!(
            back(TCP, [port, 40_000], SYN, 0),
            Drop,
            "an opening from the port of a service"
        );
        assert_eq!(to(UDP, [40_000, port], 0, 0), Drop, "{port}");
    }
    assert_eq!([to(ICMP4, [0; 2], 0, 8), back(ICMP4, [0; 2], 0, 0)], [Pass; 2]);
    assert_eq!([back(ICMP4, [0; 2], 0, 8), to(ICMP4, [0; 2], 0, 0)], [Drop; 2]);
    assert_eq!([to(ICMP4, [0; 2], 0, 3), back(ICMP4, [0; 2], 0, 11)], [Pass; 2], "errors");
    let own = between(ICMP4, "10.2.0.1", "10.1.0.10");
    assert_eq!(reference.verdict(0, &own), Pass, "an echo reply of the router itself");
    let forged = between(ICMP6, "fd02::2", "fd01::a");
    assert_eq!(reference.verdict(0, &Packet { kind: 129, ..forged }), Drop);
    for (from, to) in [("10.3.0.1", "10.2.0.10"), ("10.1.0.10", "10.3.0.1")] {
        let packet = Packet { ports: [40_000, 5432], flags: SYN, ..between(TCP, from, to) };
        assert_eq!(reference.verdict(0, &packet), Drop);
    }
    let allowed = Packet { ports: [1, 5432], flags: SYN, ..between(TCP, "fd01::a", "fd02::a") };
    assert_eq!(reference.verdict(0, &allowed), Pass);
    assert_eq!(reference.verdict(0, &allowed.in_fragments()), Verdict::Either);
    let denied = Packet { ports: [1, 22], ..allowed };
    assert_eq!(reference.verdict(0, &denied.in_fragments()), Drop);
}
