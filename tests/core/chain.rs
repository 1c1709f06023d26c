//! Random appliances, and peers that reach through their hub or do not: a chain stands where all three agree, both ways or
//! not at all; what is decided step by step is what a recompute decides.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::northbound::tables::{
    LOGICAL_ROUTER, ROUTER_POLICY, STATIC_ROUTE, logical_router, router_policy, static_route,
};
use ovn_peerd::ovsdb::{self, ColumnId, TableId};
use ovn_peerd::view::State;
use proptest::prelude::*;
use uuid::Uuid;

use crate::random::{begin_anew, rest};
use crate::world::{PREFIXES, World};

const HUB: usize = 0;
/// The subnets of the hub and of its peers, among [`PREFIXES`]. The last one may also lie behind the appliance.
const SUBNETS: [usize; 4] = [0, 1, 4, 5];
/// Rows of chains, by priority.
const TO_APPLIANCE: i64 = 32_320;
const FROM_APPLIANCE: i64 = 32_097;
const THROUGH: i64 = 32_315;

#[derive(Clone, Debug)]
enum Action {
    /// The hub's appliance is between the halves to these peers, at an address in its subnet or elsewhere, with something
    /// behind it or not. The flag says whether only the first of these halves has it.
    Appliance {
        between: BTreeSet<usize>,
        connected: bool,
        behind: bool,
        alone: bool,
    },
    NoAppliance,
    /// A peer reaches through the hub another one's subnet, or does not any more.
    Reach(usize, usize),
    /// A half is withdrawn, or declared again.
    Half(usize, usize),
    Delete(usize),
    Alter(usize),
    Crash,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let peer = 1..SUBNETS.len();
    let between = prop::collection::btree_set(peer.clone(), 1..4);
    let appliance = (between, prop::bool::weighted(0.8), any::<bool>(), prop::bool::weighted(0.2));
    let ways =
        prop_oneof![peer.clone().prop_map(|it| (HUB, it)), peer.clone().prop_map(|it| (it, HUB))];
    // Two peers of the hub, beside it.
    let ways = prop_oneof![4 => ways, 1 => Just((1, 2)), 1 => Just((2, 1))];
    prop_oneof![
        6 => appliance.prop_map(|(between, connected, behind, alone)| {
            let behind = behind || between.len() == 1;
            Action::Appliance { between, connected, behind, alone }
        }),
        1 => Just(Action::NoAppliance),
        8 => (peer.clone(), peer).prop_map(|(one, other)| Action::Reach(one, other)),
        2 => ways.prop_map(|(from, to)| Action::Half(from, to)),
        2 => any::<usize>().prop_map(Action::Delete),
        2 => any::<usize>().prop_map(Action::Alter),
        1 => Just(Action::Crash),
        1 => Just(Action::Restart),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Appliance {
    between: BTreeSet<usize>,
    connected: bool,
    behind: bool,
}

struct Ground {
    world: World,
    /// The appliance of each half of the hub.
    appliances: BTreeMap<usize, Appliance>,
    /// Who reaches whose subnet.
    reach: BTreeSet<(usize, usize)>,
    /// Whether two of the hub's peers have ever been each other's: then ranks count, too.
    is_mesh: bool,
    /// Whether nobody has damaged rows since all was well.
    is_whole: bool,
}

fn subnet(network: usize) -> String {
    PREFIXES[SUBNETS[network]].to_owned()
}

impl Ground {
    fn new() -> Self {
        let mut world = World::new();
        // Each transaction is of one group: nothing is together by chance.
        world.engine.fill_transactions_with(1);
        world.may_export.entry(HUB).or_default().insert(SUBNETS[3]);
        world.add_networks(&SUBNETS.into_iter().enumerate().collect::<Vec<_>>());
        for peer in 1..SUBNETS.len() {
            world.halves.entry(HUB).or_default().insert(peer, true);
            world.halves.entry(peer).or_default().insert(HUB, true);
        }
        for network in 0..SUBNETS.len() {
            let file = world.halves_file(network);
            world.read(file);
        }
        world.settle();
        let (appliances, reach) = (BTreeMap::new(), BTreeSet::new());
        let mut ground = Self { world, appliances, reach, is_mesh: false, is_whole: true };
        for (one, other) in [(1, 2), (2, 1)] {
            ground.act(&Action::Reach(one, other));
        }
        ground
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Appliance { between, connected, behind, alone } => {
                let (connected, behind) = (*connected, *behind);
                let appliance = Appliance { between: between.clone(), connected, behind };
                let most = if *alone { 1 } else { between.len() };
                let of = between.iter().take(most).map(|peer| (*peer, appliance.clone()));
                self.appliances = of.collect();
                self.declare(HUB);
            }
            Action::NoAppliance => {
                self.appliances.clear();
                self.declare(HUB);
            }
            Action::Reach(one, other) if one == other => {}
            Action::Reach(one, other) => {
                if !self.reach.remove(&(*one, *other)) {
                    self.reach.insert((*one, *other));
                }
                self.declare(*one);
            }
            Action::Half(from, to) => {
                self.is_mesh |= ![from, to].contains(&&HUB);
                let halves = self.world.halves.entry(*from).or_default();
                if halves.remove(to).is_none() {
                    halves.insert(*to, true);
                }
                self.declare(*from);
            }
            Action::Delete(choice) => {
                self.is_whole = false;
                self.world.delete_own(*choice);
            }
            Action::Alter(choice) => {
                self.is_whole = false;
                self.world.alter_own(*choice);
            }
            Action::Crash => self.world.crash(),
            Action::Restart => self.world.restart(),
        }
    }

    fn declare(&mut self, network: usize) {
        for peer in 1..SUBNETS.len() {
            let keys = match self.appliances.get(&peer) {
                None => String::new(),
                Some(Appliance { between, connected, behind }) => {
                    let names: Vec<_> = between.iter().map(|peer| format!("to-{peer}")).collect();
                    let address = if *connected { "10.0.0.9" } else { "10.9.0.9" };
                    let behind = if *behind {
                        format!(", destinations = [\"{}\"]", subnet(3))
                    } else {
                        String::new()
                    };
                    format!(
                        "appliances = [{{ between = {names:?}, address = [\"{address}\"]{behind} }}]\n"
                    )
                }
            };
            self.world.more.insert((HUB, peer), keys);
            let reach = self.reach.iter().filter(|(one, _)| *one == peer);
            let reach: Vec<_> = reach.map(|(_, other)| subnet(*other)).collect();
            let keys = if reach.is_empty() {
                String::new()
            } else {
                format!("reach_through = {reach:?}\n")
            };
            self.world.more.insert((peer, HUB), keys);
        }
        let file = self.world.halves_file(network);
        self.world.read(file);
    }

    fn declares(&self, from: usize, to: usize) -> bool {
        self.world.halves.get(&from).is_some_and(|halves| halves.contains_key(&to))
    }

    fn is_linked(&self, peer: usize) -> bool {
        self.declares(HUB, peer) && self.declares(peer, HUB)
    }

    /// From whom to what there is a chain, and which of these are not to another peer.
    fn wanted(&self) -> [BTreeSet<(String, String)>; 2] {
        let (mut chains, mut behind) = (BTreeSet::new(), BTreeSet::new());
        for (one, appliance) in
            self.appliances.iter().filter(|(one, it)| self.is_linked(**one) && it.connected)
        {
            for other in appliance.between.iter().filter(|other| *other != one) {
                let agree = self.is_linked(*other) && self.appliances.get(other) == Some(appliance);
                let both =
                    self.reach.contains(&(*one, *other)) && self.reach.contains(&(*other, *one));
                if agree && both {
                    chains.insert((subnet(*one), subnet(*other)));
                }
            }
            if appliance.behind && self.reach.contains(&(*one, 3)) && !self.is_linked(3) {
                behind.insert((subnet(*one), subnet(3)));
            }
        }
        [chains, behind]
    }

    fn own(&self, network: usize, table: TableId, column: ColumnId) -> Vec<Uuid> {
        let world = &self.world;
        let own: BTreeSet<_> = world.own_rows().into_iter().collect();
        let rows = world.database.cell(LOGICAL_ROUTER, world.routers[&network].uuid, column);
        rows.uuids().filter(|row| own.contains(&(table, *row))).collect()
    }

    /// Sources and destinations of a router's policies of one kind.
    fn policies(&self, network: usize, priority: i64) -> BTreeSet<(String, String)> {
        let cell = |row, column| self.world.database.cell(ROUTER_POLICY, row, column);
        let rows = self.own(network, ROUTER_POLICY, logical_router::POLICIES).into_iter();
        let rows =
            rows.filter(|row| cell(*row, router_policy::PRIORITY).integer() == Some(priority));
        let between = |row| {
            let text = cell(row, router_policy::MATCH).string().to_owned();
            let after = |start: &str| {
                let rest = text.split_once(start).expect("a list of prefixes").1;
                rest.split_once('}').expect("its end").0.to_owned()
            };
            (after("ip4.src == {"), after("ip4.dst == {"))
        };
        rows.map(between).collect()
    }

    /// Prefixes to which a router has routes: with a link port, and without.
    fn routes(&self, network: usize) -> [BTreeSet<String>; 2] {
        let cell =
            |row, column| self.world.database.cell(STATIC_ROUTE, row, column).string().to_owned();
        let rows = self.own(network, STATIC_ROUTE, logical_router::STATIC_ROUTES);
        [false, true].map(|bare| {
            let rows =
                rows.iter().filter(|row| cell(**row, static_route::OUTPUT_PORT).is_empty() == bare);
            rows.map(|row| cell(*row, static_route::IP_PREFIX)).collect()
        })
    }

    /// Writes all that is to be written, and looks at what is there after each transaction.
    fn settle(&mut self, step: &str) {
        self.world.hear();
        while let Some(submission) = self.world.engine.poll(self.world.now()) {
            self.world.database.transact(&submission.operations).unwrap();
            self.world.hear();
            let done = ovsdb::Event::Transacted { id: submission.id, result: Ok(Vec::new()) };
            self.world.client(done);
            if self.is_whole {
                self.assert_both_ways(step);
            }
        }
    }

    /// A chain is there in both directions, with all its rows, or not at all.
    fn assert_both_ways(&self, step: &str) -> BTreeSet<(String, String)> {
        let sent = self.policies(HUB, TO_APPLIANCE);
        let returned = self.policies(HUB, FROM_APPLIANCE);
        let reverse = |(one, other): &(String, String)| (other.clone(), one.clone());
        assert_eq!(returned, returned.iter().map(reverse).collect(), "both ways: {step}");
        assert!(sent.is_superset(&returned), "{sent:?}, {returned:?}: {step}");
        let mut taken = BTreeSet::new();
        for peer in 1..SUBNETS.len() {
            let through = self.policies(peer, THROUGH);
            taken.extend(through.iter().map(reverse));
            let [routed, bare] = self.routes(peer);
            assert!(bare.is_empty(), "{bare:?}: {step}");
            assert!(through.iter().all(|(from, _)| routed.contains(from)), "{step}");
        }
        assert_eq!(taken, sent, "each peer takes what comes: {step}");
        returned
    }

    fn check(&mut self, step: &str) {
        self.settle(step);
        rest(&mut self.world, step);
        self.is_whole = true;
        let returned = self.assert_both_ways(step);
        if self.is_mesh {
            return;
        }
        let sent = self.policies(HUB, TO_APPLIANCE);
        let [chains, behind] = self.wanted();
        assert_eq!(returned, chains, "{step}");
        assert_eq!(sent, chains.union(&behind).cloned().collect(), "{step}");
        let [_, bare] = self.routes(HUB);
        assert_eq!(bare, behind.into_iter().map(|(_, to)| to).collect(), "{step}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_chain_stands_where_all_three_agree(actions in prop::collection::vec(action(), 1..50)) {
        let mut ground = Ground::new();
        ground.check("the beginning");
        for (number, action) in actions.iter().enumerate() {
            ground.world.pass(1);
            ground.act(action);
            ground.check(&format!("step {number}, {action:?}"));
        }
        let linked = ground.world.engine.list();
        let linked = linked.iter().filter(|half| half.state == State::Active);
        prop_assert!(linked.count() % 2 == 0);
        begin_anew(&mut ground.world);
    }
}
