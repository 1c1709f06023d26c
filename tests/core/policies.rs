//! The links and the policies of routers in a world, as OVN would read them, and what becomes of a packet by them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use ovn_peerd::northbound::owner::peering_of_link_port;
use ovn_peerd::northbound::tables::{
    ADDRESS_SET, LOGICAL_ROUTER, ROUTER_POLICY, ROUTER_PORT, address_set, logical_router,
    router_policy, router_port,
};
use ovn_peerd::ovsdb::ColumnId;
use uuid::Uuid;

use crate::matches::{Match, Sets};
use crate::packets::Packet;
use crate::world::World;

/// A policy, as OVN would read it.
pub struct Policy {
    pub priority: i64,
    pub text: String,
    read: Match,
    pub allows: bool,
}

impl World {
    /// The router at the other end of a link port.
    pub fn beyond(&self, router: usize, port: &str) -> Option<usize> {
        let peering = peering_of_link_port(port).expect("a link port");
        let mut others = self.routers.keys().filter(|other| **other != router);
        let has_end = |other: &&usize| {
            let mut ports = self.refers_to(**other, logical_router::PORTS).into_iter();
            ports.any(|port| {
                let name = self.database.cell(ROUTER_PORT, port, router_port::NAME).string();
                peering_of_link_port(name) == Some(peering)
            })
        };
        others.find(has_end).copied()
    }

    /// The name of a router's port of the link to another one, and its addresses.
    pub fn link(&self, router: usize, other: usize) -> Option<(String, Vec<IpAddr>)> {
        let own: BTreeSet<_> = self.own_rows().into_iter().collect();
        let ports = self.refers_to(router, logical_router::PORTS).into_iter();
        let mut ports = ports.filter(|port| own.contains(&(ROUTER_PORT, *port)));
        ports.find_map(|port| {
            let cell = |column| self.database.cell(ROUTER_PORT, port, column);
            let name = cell(router_port::NAME).string().to_owned();
            let nets = cell(router_port::NETWORKS).strings();
            let addresses = nets.map(|net| net.parse::<IpNet>().unwrap().addr()).collect();
            (self.beyond(router, &name) == Some(other)).then_some((name, addresses))
        })
    }

    pub fn refers_to(&self, router: usize, column: ColumnId) -> Vec<Uuid> {
        let router = self.routers[&router].uuid;
        self.database.cell(LOGICAL_ROUTER, router, column).uuids().collect()
    }

    /// All Address_Sets.
    pub fn sets(&self) -> Sets {
        let rows = self.database.rows.iter().filter(|((table, _), _)| *table == ADDRESS_SET);
        rows.map(|(_, row)| {
            let nets = row.get(address_set::ADDRESSES).strings();
            let nets = nets.filter_map(|text| text.parse().ok()).collect();
            (row.get(address_set::NAME).string().to_owned(), nets)
        })
        .collect()
    }

    /// All of a router.
    pub fn policies(&self, router: usize) -> Vec<Policy> {
        let (database, sets) = (&self.database, self.sets());
        let rows = self.refers_to(router, logical_router::POLICIES).into_iter().map(|uuid| {
            let cell = |column| database.cell(ROUTER_POLICY, uuid, column);
            let text = cell(router_policy::MATCH).string().to_owned();
            let read = Match::parse(&text, &sets).unwrap_or_else(|why| panic!("{why}"));
            let priority = cell(router_policy::PRIORITY).integer().unwrap();
            let allows = match cell(router_policy::ACTION).string() {
                "allow" => true,
                "drop" => false,
                other => panic!("{other}"),
            };
            Policy { priority, text, read, allows }
        });
        let rows: Vec<Policy> = rows.collect();
        let distinct: BTreeSet<_> = rows.iter().map(|row| (row.priority, &row.text)).collect();
        assert_eq!(distinct.len(), rows.len(), "a policy of router {router} is there twice");
        rows
    }
}

/// What becomes of a packet by the highest policies that match it, and which these are. Where none matches, OVN goes on.
#[track_caller]
pub fn decided(rows: &[Policy], packet: &Packet) -> (bool, String) {
    let matching: Vec<&Policy> = rows.iter().filter(|row| row.read.holds(packet)).collect();
    let Some(highest) = matching.iter().map(|row| row.priority).max() else {
        return (true, "none".into());
    };
    let highest: Vec<_> = matching.iter().filter(|row| row.priority == highest).collect();
    let allows = highest[0].allows;
    let texts: Vec<_> =
        highest.iter().map(|row| format!("{} {} {}", row.priority, row.allows, row.text)).collect();
    // Of two with one priority, OVN takes either.
    assert!(highest.iter().all(|row| row.allows == allows), "undecided by {texts:?}: {packet:?}");
    (allows, texts.join(" and "))
}
