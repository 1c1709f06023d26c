//! What people and other programs do to the northbound by hand.

use ipnet::IpNet;
use ovn_peerd::northbound::counters::counter_key;
use ovn_peerd::northbound::owner::{END_KEY, OWNER_KEY};
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, DNS, LOAD_BALANCER, LOGICAL_ROUTER, LOGICAL_SWITCH, NAT, ROUTER_POLICY,
    ROUTER_PORT, STATIC_ROUTE, SWITCH_PORT, address_set, dns, load_balancer, logical_router,
    logical_switch, nat, router_policy, router_port, static_route, switch_port,
};
use ovn_peerd::ovsdb::Value;
use uuid::Uuid;

use crate::world::{PREFIXES, World, is_of_counters, prefix, without};

impl World {
    pub fn toggle_route(&mut self, index: usize, subnet: usize) {
        let uuid = self.routers[&index].uuid;
        if let Some(route) = self.routers.get_mut(&index).unwrap().routes.remove(&subnet) {
            self.database.refer(uuid, logical_router::STATIC_ROUTES, route, false);
            self.database.collect();
            return;
        }
        let cells = [
            (static_route::IP_PREFIX, PREFIXES[subnet].into()),
            (static_route::NEXTHOP, "192.0.2.1".into()),
        ];
        let route = self.database.insert(STATIC_ROUTE, &cells);
        self.database.refer(uuid, logical_router::STATIC_ROUTES, route, true);
        self.routers.get_mut(&index).unwrap().routes.insert(subnet, route);
    }

    /// Somebody routes a prefix to a guest on the first subnet of that family, or not any more.
    pub fn toggle_guest_route(&mut self, index: usize, subnet: usize) {
        let uuid = self.routers[&index].uuid;
        if let Some((route, _)) = self.routers.get_mut(&index).unwrap().guests.remove(&subnet) {
            self.database.refer(uuid, logical_router::STATIC_ROUTES, route, false);
            self.database.collect();
            return;
        }
        let is_v4 = |net: IpNet| matches!(net, IpNet::V4(_));
        let ports = self.routers[&index].ports.keys().map(|port| prefix(*port));
        let Some(net) = ports.into_iter().find(|net| is_v4(*net) == is_v4(prefix(subnet))) else {
            return;
        };
        let nexthop = net.hosts().nth(9).unwrap();
        let cells = [
            (static_route::IP_PREFIX, PREFIXES[subnet].into()),
            (static_route::NEXTHOP, nexthop.to_string().as_str().into()),
        ];
        let route = self.database.insert(STATIC_ROUTE, &cells);
        self.database.refer(uuid, logical_router::STATIC_ROUTES, route, true);
        self.routers.get_mut(&index).unwrap().guests.insert(subnet, (route, nexthop));
    }

    /// A router becomes a gateway router, moves to another chassis, or is distributed again.
    pub fn add_uplink(&mut self, index: usize) {
        let router = self.routers[&index].uuid;
        let (name, address) = (format!("up{index}"), format!("192.0.2.{}/24", index + 1));
        let chassis = self.database.uuid();
        let cells = [
            (router_port::NAME, name.as_str().into()),
            (router_port::NETWORKS, address.as_str().into()),
            (router_port::GATEWAY_CHASSIS, chassis.into()),
        ];
        let port = self.database.insert(ROUTER_PORT, &cells);
        self.database.refer(router, logical_router::PORTS, port, true);
    }

    /// Adds the uplink of a router, or takes it away.
    pub fn toggle_uplink(&mut self, index: usize) {
        let (name, router) = (format!("up{index}"), self.routers[&index].uuid);
        let ports = self.database.cell(LOGICAL_ROUTER, router, logical_router::PORTS);
        let named = |port: &Uuid| {
            self.database.cell(ROUTER_PORT, *port, router_port::NAME).is_string(&name)
        };
        let found = ports.uuids().find(named);
        match found {
            None => self.add_uplink(index),
            Some(port) => {
                self.database.refer(router, logical_router::PORTS, port, false);
                self.database.collect();
            }
        }
    }

    pub fn pin_router(&mut self, index: usize, chassis: Option<&str>) {
        let options = chassis.map(|name| ("chassis".into(), name.into()));
        let options = Value::map(options.into_iter().collect());
        let uuid = self.routers[&index].uuid;
        self.database.set(LOGICAL_ROUTER, uuid, logical_router::OPTIONS, options);
    }

    pub fn is_gateway(&self, index: usize) -> bool {
        let uuid = self.routers[&index].uuid;
        let options = self.database.cell(LOGICAL_ROUTER, uuid, logical_router::OPTIONS);
        options.get("chassis").is_some()
    }

    pub fn toggle_nat(&mut self, index: usize, subnet: usize) {
        let uuid = self.routers[&index].uuid;
        if let Some(row) = self.routers.get_mut(&index).unwrap().nats.remove(&subnet) {
            self.database.refer(uuid, logical_router::NAT, row, false);
            self.database.collect();
            return;
        }
        let cells = [
            (nat::TYPE, ["snat", "dnat_and_snat"][subnet % 2].into()),
            (nat::LOGICAL_IP, PREFIXES[subnet].into()),
            (nat::EXTERNAL_IP, "192.0.2.7".into()),
        ];
        let row = self.database.insert(NAT, &cells);
        self.database.refer(uuid, logical_router::NAT, row, true);
        self.routers.get_mut(&index).unwrap().nats.insert(subnet, row);
    }

    /// The owner of some NAT row rewrites it: nothing is exempted, what he likes, or nothing else is translated.
    pub fn rewrite_nat(&mut self, choice: usize) {
        let rows: Vec<Uuid> =
            self.routers.values().flat_map(|router| router.nats.values()).copied().collect();
        let Some(row) = rows.get(choice % rows.len().max(1)).copied() else { return };
        let column = [nat::EXEMPTED_EXT_IPS, nat::ALLOWED_EXT_IPS][choice % 5 / 4];
        let value = if choice.is_multiple_of(3) {
            let name = format!("theirs{choice}");
            let set =
                self.database.insert(ADDRESS_SET, &[(address_set::NAME, name.as_str().into())]);
            Value::from(set)
        } else {
            Value::empty()
        };
        self.database.set(NAT, row, column, value);
    }

    /// Somebody deletes a row of ours.
    pub fn delete_own(&mut self, choice: usize) {
        let rows = self.own_rows();
        let Some(key) = rows.get(choice % rows.len().max(1)) else { return };
        self.database.rows.remove(key);
        // With whatever refers to it: the database would have refused else.
        for row in self.database.rows.values_mut() {
            *row = without(row, |uuid| uuid == key.1);
        }
        self.database.collect();
    }

    /// Somebody deletes the counters of all hosts.
    pub fn delete_counters(&mut self) {
        let rows = &mut self.database.rows;
        rows.retain(|(table, _), row| !is_of_counters(*table, row));
    }

    /// As if a host had a version without counters.
    pub fn delete_counter(&mut self, host: &str) {
        self.delete_in_counters(&counter_key(host));
    }

    /// Somebody takes our tag from the counters.
    pub fn delete_counter_tag(&mut self) {
        self.delete_in_counters(OWNER_KEY);
    }

    fn delete_in_counters(&mut self, key: &str) {
        let rows = self.database.rows.iter();
        let found = rows.filter(|((table, _), row)| is_of_counters(*table, row));
        let Some((table, uuid)) = found.map(|(key, _)| *key).next() else { return };
        let pairs = self.database.cell(table, uuid, address_set::EXTERNAL_IDS).entries();
        let pairs = pairs.filter(|(found, _)| *found != key);
        let pairs = pairs.map(|(key, text)| (key.into(), (*text).into())).collect();
        self.database.set(table, uuid, address_set::EXTERNAL_IDS, Value::map(pairs));
    }

    /// Somebody alters a row of ours.
    pub fn alter_own(&mut self, choice: usize) {
        let rows = self.own_rows();
        let Some((table, uuid)) = rows.get(choice % rows.len().max(1)).copied() else { return };
        let column = match table {
            ROUTER_PORT => [router_port::MAC, router_port::PEER][choice % 2],
            STATIC_ROUTE => [static_route::NEXTHOP, static_route::OUTPUT_PORT][choice % 2],
            ROUTER_POLICY => {
                [router_policy::MATCH, router_policy::ACTION, router_policy::CHAIN][choice % 3]
            }
            ADDRESS_SET => address_set::ADDRESSES,
            LOGICAL_SWITCH => logical_switch::NAME,
            LOAD_BALANCER => [load_balancer::PROTOCOL, load_balancer::SELECTION_FIELDS][choice % 2],
            DNS => {
                let altered = |key: &str| Value::map(vec![(key.into(), "altered".into())]);
                let column = [dns::OPTIONS, dns::RECORDS][choice % 2];
                if !choice.is_multiple_of(5) {
                    return self.database.set(table, uuid, column, altered("altered"));
                }
                let tags = self.database.cell(table, uuid, dns::EXTERNAL_IDS).entries();
                let tags = tags.filter(|(key, _)| *key != END_KEY);
                let tags = tags.map(|(key, text)| (key.into(), text.into())).collect();
                return self.database.set(table, uuid, dns::EXTERNAL_IDS, Value::map(tags));
            }
            SWITCH_PORT => {
                [switch_port::TYPE, switch_port::ADDRESSES, switch_port::ENABLED][choice % 3]
            }
            _ => return,
        };
        self.database.set(table, uuid, column, Value::from("altered"));
    }
}
