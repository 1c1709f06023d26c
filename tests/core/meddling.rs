//! What others put between two routers, or under a name of ours.

use std::collections::BTreeMap;

use ovn_peerd::declare::{NetworkKey, PeeringKey};
use ovn_peerd::northbound::owner::link_port_name;
use ovn_peerd::northbound::tables::{
    LOGICAL_SWITCH, ROUTER_PORT, SWITCH_PORT, logical_router, logical_switch, router_port,
    switch_port,
};
use ovn_peerd::northbound::{End, Id};
use ovn_peerd::ovsdb::Value;
use uuid::Uuid;

use crate::world::World;

/// Two router ports, and the switch between them if there is one.
type Link = ([Uuid; 2], Option<Uuid>);

/// Rows of other tools.
#[derive(Clone, Debug, Default)]
pub struct Meddling {
    /// Links between routers, by their numbers and whether over a switch: the two router ports, and the switch.
    links: BTreeMap<(usize, usize, bool), Link>,
    /// Switches with a port that has the name of a link port, by networks.
    namesakes: BTreeMap<(usize, usize), Uuid>,
}

impl World {
    /// Somebody links two routers, by ports that name each other or over a switch; or takes that back.
    pub fn toggle_link(&mut self, one: usize, other: usize, over_switch: bool) {
        let key = (one.min(other), one.max(other), over_switch);
        if let Some((ports, switch)) = self.meddling.links.remove(&key) {
            for (router, port) in [key.0, key.1].into_iter().zip(ports) {
                if let Some(router) = self.routers.get(&router).map(|router| router.uuid) {
                    self.database.refer(router, logical_router::PORTS, port, false);
                }
            }
            self.remove_switch(switch);
            return;
        }
        let Some([a, b]) = self.both_routers(key) else { return };
        let names = [key.0, key.1].map(|at| format!("x{at}-{}-{}-{over_switch}", key.0, key.1));
        let port = |world: &mut Self, router: Uuid, name: &str| {
            let cells = [
                (router_port::NAME, name.into()),
                (router_port::NETWORKS, "169.254.7.1/24".into()),
            ];
            let port = world.database.insert(ROUTER_PORT, &cells);
            world.database.refer(router, logical_router::PORTS, port, true);
            port
        };
        let ports = [port(self, a, &names[0]), port(self, b, &names[1])];
        let switch = over_switch.then(|| self.add_switch(&names.clone().map(Some), "router"));
        if !over_switch {
            for (port, peer) in ports.into_iter().zip([&names[1], &names[0]]) {
                let peer = Value::from(peer.as_str());
                self.database.set(ROUTER_PORT, port, router_port::PEER, peer);
            }
        }
        self.meddling.links.insert(key, (ports, switch));
    }

    /// Somebody has a switch port with the name of a link port of two networks, or not any more.
    pub fn toggle_name_collision(&mut self, one: usize, other: usize) {
        let key = (one.min(other), one.max(other));
        if let Some(switch) = self.meddling.namesakes.remove(&key) {
            self.remove_switch(Some(switch));
            return;
        }
        let network = |index: usize| NetworkKey::new(format!("p{index}"), "n");
        let pair = PeeringKey::new(network(key.0), network(key.1)).expect("two networks");
        let end = if key.0.is_multiple_of(2) { End::A } else { End::B };
        let switch = self.add_switch(&[None], "virtual");
        let port = self.database.cell(LOGICAL_SWITCH, switch, logical_switch::PORTS).uuids().next();
        let name = link_port_name(Id::of_peering(&pair), end);
        let name = Value::from(name.as_str());
        self.database.set(SWITCH_PORT, port.expect("a port"), switch_port::NAME, name);
        self.meddling.namesakes.insert(key, switch);
    }

    /// Whether something of others stands between two networks, on these routers.
    pub fn is_hindered(&self, networks: (usize, usize)) -> bool {
        let (low, high) = (networks.0.min(networks.1), networks.0.max(networks.1));
        let router = |network| self.bindings.get(&network).copied();
        let linked = router(low).zip(router(high)).is_some_and(|(one, other)| {
            [false, true].into_iter().any(|over_switch| {
                let key = (one.min(other), one.max(other), over_switch);
                let ports = self.meddling.links.get(&key).map(|(ports, _)| *ports);
                let there = |port| self.database.rows.contains_key(&(ROUTER_PORT, port));
                ports.is_some_and(|ports| ports.into_iter().all(there))
            })
        });
        linked || self.meddling.namesakes.contains_key(&(low, high))
    }

    fn both_routers(&self, (one, other, _): (usize, usize, bool)) -> Option<[Uuid; 2]> {
        let uuid = |index| self.routers.get(&index).map(|router| router.uuid);
        Some([uuid(one)?, uuid(other)?]).filter(|[one, other]| one != other)
    }

    fn add_switch(&mut self, leading_to: &[Option<String>], kind: &str) -> Uuid {
        let mut ports = Vec::new();
        for to in leading_to {
            let port = self.database.insert(SWITCH_PORT, &[(switch_port::TYPE, kind.into())]);
            if let Some(to) = to {
                let options = Value::map(vec![("router-port".into(), to.as_str().into())]);
                self.database.set(SWITCH_PORT, port, switch_port::OPTIONS, options);
            }
            ports.push(port.into());
        }
        let switch = self.database.insert(LOGICAL_SWITCH, &[]);
        self.database.set(LOGICAL_SWITCH, switch, logical_switch::PORTS, Value::set(ports));
        switch
    }

    fn remove_switch(&mut self, switch: Option<Uuid>) {
        if let Some(switch) = switch {
            self.database.rows.remove(&(LOGICAL_SWITCH, switch));
        }
        self.database.collect();
    }
}
