//! Random offers and uses of gateways among a few networks: whoever may use one does so, one at a time, and keeps it;
//! what is decided step by step is what a recompute decides.

use std::collections::{BTreeMap, BTreeSet};

use ovn_peerd::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, NAT, STATIC_ROUTE, address_set, logical_router, nat, static_route,
};
use ovn_peerd::view::State;
use proptest::prelude::*;
use uuid::Uuid;

use crate::random::{begin_anew, rest};
use crate::terms::LISTED;
use crate::world::{PREFIXES, World};

/// Each network's subnet, among [`PREFIXES`].
const SUBNETS: [usize; 4] = [0, 1, 4, 5];

#[derive(Clone, Copy, Debug)]
enum Action {
    /// A half offers its gateway to the other network, or does not any more; translated or not.
    Offer(usize, usize, bool),
    /// A half uses the other network's gateway: for all, or for what is listed; or does not any more.
    Use(usize, usize, bool),
    Uplink(usize),
    /// A default route of the owner's.
    Default(usize),
    Nat(usize),
    Pin(usize, bool),
    /// A half is withdrawn, or declared again.
    Half(usize, usize),
    Delete(usize),
    Alter(usize),
    Crash,
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    let (one, other) = (0..SUBNETS.len(), 0..SUBNETS.len());
    let both = (one.clone(), other, any::<bool>());
    prop_oneof![
        4 => both.clone().prop_map(|(a, b, on)| Action::Offer(a, b, on)),
        6 => both.clone().prop_map(|(a, b, on)| Action::Use(a, b, on)),
        3 => one.clone().prop_map(Action::Uplink),
        1 => one.clone().prop_map(Action::Default),
        2 => one.clone().prop_map(Action::Nat),
        2 => (one, any::<bool>()).prop_map(|(a, on)| Action::Pin(a, on)),
        1 => both.prop_map(|(a, b, _)| Action::Half(a, b)),
        2 => any::<usize>().prop_map(Action::Delete),
        2 => any::<usize>().prop_map(Action::Alter),
        1 => Just(Action::Crash),
        1 => Just(Action::Restart),
    ]
}

struct Ground {
    world: World,
    /// Provider and user; whether it translates.
    offers: BTreeMap<(usize, usize), bool>,
    /// User and provider; whether for all.
    uses: BTreeMap<(usize, usize), bool>,
    uplinks: BTreeSet<usize>,
    defaults: BTreeMap<usize, Uuid>,
    /// Who has used whose gateway.
    used: BTreeMap<usize, usize>,
}

impl Ground {
    fn new() -> Self {
        let mut world = World::new();
        world.add_networks(&SUBNETS.into_iter().enumerate().collect::<Vec<_>>());
        for (from, to) in pairs() {
            world.halves.entry(from).or_default().insert(to, true);
        }
        for network in 0..SUBNETS.len() {
            let file = world.halves_file(network);
            world.read(file);
        }
        world.settle();
        let mut ground = Self {
            world,
            offers: BTreeMap::new(),
            uses: BTreeMap::new(),
            uplinks: BTreeSet::new(),
            defaults: BTreeMap::new(),
            used: BTreeMap::new(),
        };
        for network in [1, 2, 3] {
            ground.act(Action::Uplink(network));
        }
        ground
    }

    fn act(&mut self, action: Action) {
        let world = &mut self.world;
        match action {
            Action::Offer(a, b, _) | Action::Use(a, b, _) | Action::Half(a, b) if a == b => {}
            Action::Offer(provider, user, translated) => {
                if self.offers.remove(&(provider, user)).is_none() {
                    self.offers.insert((provider, user), translated);
                }
                self.declare(provider, user);
            }
            Action::Use(user, provider, all) => {
                if self.uses.remove(&(user, provider)).is_none() {
                    self.uses.insert((user, provider), all);
                }
                self.declare(user, provider);
            }
            Action::Uplink(network) => {
                if !self.uplinks.remove(&network) {
                    self.uplinks.insert(network);
                }
                world.toggle_uplink(network);
            }
            Action::Default(network) => {
                let router = world.routers[&network].uuid;
                if let Some(route) = self.defaults.remove(&network) {
                    world.database.refer(router, logical_router::STATIC_ROUTES, route, false);
                    world.database.collect();
                    return;
                }
                let cells = [
                    (static_route::IP_PREFIX, "0.0.0.0/0".into()),
                    (static_route::NEXTHOP, "192.0.2.1".into()),
                ];
                let route = world.database.insert(STATIC_ROUTE, &cells);
                world.database.refer(router, logical_router::STATIC_ROUTES, route, true);
                self.defaults.insert(network, route);
            }
            Action::Nat(network) => world.toggle_nat(network, SUBNETS[network]),
            Action::Pin(network, on) => world.pin_router(network, on.then_some("hv1")),
            Action::Half(from, to) => {
                let halves = world.halves.entry(from).or_default();
                if halves.remove(&to).is_none() {
                    halves.insert(to, true);
                }
                let file = world.halves_file(from);
                world.read(file);
            }
            Action::Delete(choice) => world.delete_own(choice),
            Action::Alter(choice) => world.alter_own(choice),
            Action::Crash => world.crash(),
            Action::Restart => world.restart(),
        }
    }

    fn declare(&mut self, from: usize, to: usize) {
        let mut keys = match self.offers.get(&(from, to)) {
            None => String::new(),
            Some(true) => "gateway = \"offer\"\n".to_owned(),
            Some(false) => "gateway = \"offer\"\nnat = \"never\"\n".to_owned(),
        };
        keys += &match self.uses.get(&(from, to)) {
            None => String::new(),
            Some(true) => "use_gateway = true\n".to_owned(),
            Some(false) => format!("use_gateway = [\"{LISTED}\"]\n"),
        };
        self.world.more.insert((from, to), keys);
        let file = self.world.halves_file(from);
        self.world.read(file);
    }

    /// Whose gateways a network may use.
    fn may_use(&self, user: usize) -> BTreeSet<usize> {
        let of_its_own = self.uplinks.contains(&user) || self.defaults.contains_key(&user);
        let declares = |from: usize, to: usize| self.world.halves[&from].contains_key(&to);
        let offered = |provider: &usize| {
            let provider = *provider;
            provider != user
                && declares(user, provider)
                && declares(provider, user)
                && self.uses.contains_key(&(user, provider))
                && self.offers.contains_key(&(provider, user))
                && self.uplinks.contains(&provider)
        };
        (0..SUBNETS.len()).filter(|_| !of_its_own).filter(offered).collect()
    }

    /// Whose gateways it uses, by its routes, and the destination.
    fn found(&self, user: usize) -> Vec<(usize, String)> {
        let world = &self.world;
        let own: BTreeSet<_> = world.own_rows().into_iter().collect();
        let router = world.routers[&user].uuid;
        let routes = world.database.cell(LOGICAL_ROUTER, router, logical_router::STATIC_ROUTES);
        let routes = routes.uuids().filter(|route| own.contains(&(STATIC_ROUTE, *route)));
        let routes = routes.filter_map(|route| {
            let cell = |column| world.database.cell(STATIC_ROUTE, route, column).string();
            let prefix = cell(static_route::IP_PREFIX);
            let through = ["0.0.0.0/0", LISTED].contains(&prefix);
            let to = world.beyond(user, cell(static_route::OUTPUT_PORT));
            through.then(|| (to.expect("the other end"), prefix.to_owned()))
        });
        routes.collect()
    }

    /// The sources that a router translates by rows of ours, each with what it exempts.
    fn translated(&self, provider: usize) -> BTreeMap<String, BTreeSet<String>> {
        let world = &self.world;
        let own: BTreeSet<_> = world.own_rows().into_iter().collect();
        let rows =
            world.database.cell(LOGICAL_ROUTER, world.routers[&provider].uuid, logical_router::NAT);
        let rows = rows.uuids().filter(|row| own.contains(&(NAT, *row)));
        let rows = rows.map(|row| {
            let cell = |column| world.database.cell(NAT, row, column);
            let sets = cell(nat::EXEMPTED_EXT_IPS).uuid().into_iter();
            let addresses =
                sets.map(|set| world.database.cell(ADDRESS_SET, set, address_set::ADDRESSES));
            let exempted = addresses.flat_map(|it| it.strings()).map(str::to_owned).collect();
            (cell(nat::LOGICAL_IP).string().to_owned(), exempted)
        });
        rows.collect()
    }

    fn check(&mut self, step: &str) {
        rest(&mut self.world, step);
        let mut users: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for user in 0..SUBNETS.len() {
            let (may, found) = (self.may_use(user), self.found(user));
            let before = self.used.remove(&user);
            assert_eq!(
                found.len(),
                usize::from(!may.is_empty()),
                "{user} {may:?} {found:?}: {step}"
            );
            let Some((provider, to)) = found.into_iter().next() else { continue };
            assert!(may.contains(&provider), "{user} uses {provider}, {may:?}: {step}");
            if let Some(before) = before.filter(|before| may.contains(before)) {
                assert_eq!(provider, before, "{user} keeps its gateway: {step}");
            }
            let all = self.uses[&(user, provider)];
            assert_eq!(to == "0.0.0.0/0", all, "{step}");
            self.used.insert(user, provider);
            users.entry(provider).or_default().insert(user);
        }
        for provider in 0..SUBNETS.len() {
            let prefix = |network: usize| PREFIXES[SUBNETS[network]].to_owned();
            let guests = &self.world.routers[&provider].nats;
            // Of those two kinds only one translates all guests.
            let translates = guests.keys().any(|subnet| subnet % 2 == 0);
            let inside = self.world.is_gateway(provider).then(|| prefix(provider));
            let inside: BTreeSet<String> = inside.into_iter().collect();
            let users = users.remove(&provider).unwrap_or_default().into_iter();
            let users = users.filter(|user| translates && self.offers[&(provider, *user)]);
            let wanted: BTreeMap<_, _> = users.map(|it| (prefix(it), inside.clone())).collect();
            assert_eq!(self.translated(provider), wanted, "{provider} translates: {step}");
        }
    }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = 0..SUBNETS.len();
    all.clone().flat_map(move |from| all.clone().map(move |to| (from, to))).filter(|(a, b)| a != b)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn whoever_may_use_a_gateway_uses_one_and_keeps_it(
        actions in prop::collection::vec(action(), 1..50),
    ) {
        let mut ground = Ground::new();
        ground.check("the beginning");
        for (number, action) in actions.iter().enumerate() {
            ground.world.pass(1);
            ground.act(*action);
            ground.check(&format!("step {number}, {action:?}"));
        }
        let halves = ground.world.engine.list();
        let linked = halves.iter().filter(|half| half.state == State::Active);
        prop_assert!(linked.count() % 2 == 0);
        begin_anew(&mut ground.world);
    }
}
