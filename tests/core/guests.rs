//! What guests are told, in this world: rows of DHCP_Options and router advertisements of others, what
//! they do with them, and what must stand there: small, slow, obvious.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use ovn_peerd::northbound::PORT_KEY;
use ovn_peerd::northbound::guest_routes::{CLASSLESS, MS_CLASSLESS, ROUTE_INFO};
use ovn_peerd::northbound::tables::{DHCP_OPTIONS, ROUTER_PORT, dhcp_options, router_port};
use ovn_peerd::ovsdb::{ColumnId, TableId, Value};
use uuid::Uuid;

use crate::database::Rows;
use crate::world::{PREFIXES, World, prefix};

const LENT: [&str; 3] = [CLASSLESS, MS_CLASSLESS, ROUTE_INFO];
const MAPS: [(TableId, ColumnId); 2] =
    [(DHCP_OPTIONS, dhcp_options::OPTIONS), (ROUTER_PORT, router_port::IPV6_RA_CONFIGS)];

/// What others have there.
#[derive(Debug, Default)]
pub struct Leases {
    /// Row -> its subnet, and the router whose port it names.
    rows: BTreeMap<Uuid, (usize, Option<usize>)>,
    /// What a map held when its owner wrote it last.
    owned: BTreeMap<Uuid, BTreeMap<String, String>>,
}

impl Leases {
    /// Leaves out what may be lent: it is looked at by itself.
    pub fn without_borrowed(&self, rows: &mut Rows) {
        for ((table, _), row) in rows {
            for (_, column) in MAPS.iter().filter(|(of, _)| of == table) {
                let others = row.get(*column).entries().filter(|(key, _)| !LENT.contains(key));
                let others = map(others.map(|(key, text)| (key.to_owned(), text.to_owned())));
                *row = row.with(*column, others.view());
            }
        }
    }
}

fn map(entries: impl Iterator<Item = (String, String)>) -> Value {
    Value::map(entries.map(|(key, text)| (key.as_str().into(), text.as_str().into())).collect())
}

/// What an owner may have as routes of his own.
fn own_routes(choice: usize) -> Option<&'static str> {
    let texts = [
        None,
        Some("{169.254.169.254/32,10.0.0.2,  0.0.0.0/0,10.0.0.1}"),
        Some("{ 172.16.0.0/12 10.0.0.9 }"),
        Some("$broken"),
    ];
    texts[choice % texts.len()]
}

impl World {
    /// Somebody makes a row for a subnet, which says whose it is or does not; or removes one.
    pub fn toggle_lease(&mut self, subnet: usize, choice: usize) {
        let there = self.leases.rows.iter().find(|(_, (of, _))| *of == subnet).map(|(row, _)| *row);
        if let Some(row) = there.filter(|_| choice.is_multiple_of(3)) {
            self.leases.rows.remove(&row);
            self.database.rows.remove(&(DHCP_OPTIONS, row));
            return;
        }
        let row =
            self.database.insert(DHCP_OPTIONS, &[(dhcp_options::CIDR, PREFIXES[subnet].into())]);
        let router = (choice / 3).is_multiple_of(2).then_some(choice / 6 % 5);
        if let Some(router) = router {
            let tags = map([(PORT_KEY.to_owned(), format!("r{router}-{subnet}"))].into_iter());
            self.database.set(DHCP_OPTIONS, row, dhcp_options::EXTERNAL_IDS, tags);
        }
        self.leases.rows.insert(row, (subnet, router));
        self.write_owned(DHCP_OPTIONS, row, [("mtu", "1442")].into_iter());
    }

    /// The owner of a row writes all of its options anew, or one beside those that are there.
    pub fn rewrite_options(&mut self, choice: usize) {
        let rows: Vec<Uuid> = self.leases.rows.keys().copied().collect();
        let Some(row) = rows.get(choice % rows.len().max(1)).copied() else { return };
        let choice = choice / 7;
        if choice.is_multiple_of(4) {
            let lease_time = format!("{}", choice % 99);
            return self.write_beside(DHCP_OPTIONS, row, "lease_time", &lease_time);
        }
        let mut options = vec![("mtu", "1400")];
        let gateway = [None, Some("10.0.0.254"), Some("10.0.0.1"), Some("nowhere")][choice / 4 % 4];
        options.extend(gateway.map(|text| ("router", text)));
        options.extend(own_routes(choice / 16).map(|text| (CLASSLESS, text)));
        options.extend(own_routes(choice / 64).map(|text| (MS_CLASSLESS, text)));
        self.write_owned(DHCP_OPTIONS, row, options.into_iter());
    }

    /// The owner of a router port has it send advertisements, with routes of his own, or none.
    pub fn rewrite_advertisements(&mut self, choice: usize) {
        let ports = self.routers.values().flat_map(|router| &router.ports);
        let ports: Vec<Uuid> = ports.map(|(_, port)| *port).collect();
        let Some(port) = ports.get(choice % ports.len().max(1)).copied() else { return };
        let choice = choice / 7;
        let configs: &[(&str, &str)] = match choice % 5 {
            0 => &[],
            1 => return self.write_beside(ROUTER_PORT, port, "mtu", "1400"),
            2 => &[("address_mode", "slaac"), (ROUTE_INFO, "HIGH-fd77::1/48")],
            3 => &[("address_mode", "slaac"), (ROUTE_INFO, "BEST-fd77::/48")],
            _ => &[("address_mode", "dhcpv6_stateful")],
        };
        self.write_owned(ROUTER_PORT, port, configs.iter().copied());
    }

    fn write_owned<'a>(
        &mut self,
        table: TableId,
        row: Uuid,
        entries: impl Iterator<Item = (&'a str, &'a str)>,
    ) {
        let owned: BTreeMap<String, String> =
            entries.map(|(key, text)| (key.to_owned(), text.to_owned())).collect();
        let (_, column) = MAPS.into_iter().find(|(of, _)| *of == table).unwrap();
        self.database.set(table, row, column, map(owned.clone().into_iter()));
        self.leases.owned.insert(row, owned);
    }

    fn write_beside(&mut self, table: TableId, row: Uuid, key: &str, text: &str) {
        let (_, column) = MAPS.into_iter().find(|(of, _)| *of == table).unwrap();
        let cell = self.database.cell(table, row, column);
        let others = cell.entries().filter(|(other, _)| *other != key);
        let others = others.map(|(key, text)| (key.to_owned(), text.to_owned()));
        let all = others.chain([(key.to_owned(), text.to_owned())]);
        self.database.set(table, row, column, map(all));
        self.leases.owned.entry(row).or_default().insert(key.to_owned(), text.to_owned());
    }

    /// The router that a row serves: that whose port it names, or the only one on its subnet if it is
    /// the only row that says nothing.
    fn served(&self, row: Uuid) -> Option<usize> {
        let (subnet, named) = self.leases.rows[&row];
        let on = |router: &usize| self.routers[router].ports.contains_key(&subnet);
        let on: Vec<usize> = self.routers.keys().copied().filter(on).collect();
        if let Some(router) = named {
            return on.contains(&router).then_some(router);
        }
        let silent = self.leases.rows.values().filter(|of| **of == (subnet, None)).count();
        (on.len() == 1 && silent == 1).then(|| on[0])
    }
}

/// Every lent key holds what its owner has, byte by byte, and what the guests are to be told, no less
/// and no more.
pub fn check(world: &World, routed: &BTreeMap<(usize, usize), BTreeSet<IpNet>>, step: &str) {
    let wanted = |router: usize, v4: bool| -> BTreeSet<IpNet> {
        let of = |network: usize| {
            world.tells.contains(&network) && world.bindings.get(&network) == Some(&router)
        };
        let routed = routed.iter().filter(|((network, _), _)| of(*network));
        routed
            .flat_map(|(_, nets)| nets)
            .filter(|net| net.addr().is_ipv4() == v4)
            .copied()
            .collect()
    };
    for (row, (subnet, _)) in &world.leases.rows {
        let owned = world.leases.owned.get(row).cloned().unwrap_or_default();
        let gateway = owned.get("router").map(String::as_str);
        let router = world.served(*row).filter(|_| gateway != Some("nowhere"));
        let nets =
            router.filter(|_| prefix(*subnet).addr().is_ipv4()).map(|router| wanted(router, true));
        let nets = nets.unwrap_or_default();
        let own = prefix(*subnet).hosts().next().unwrap().to_string();
        for key in [CLASSLESS, MS_CLASSLESS] {
            let found = world.database.cell(DHCP_OPTIONS, *row, dhcp_options::OPTIONS).get(key);
            let theirs = owned.get(key).map(String::as_str);
            let in_121_alone =
                key == MS_CLASSLESS && owned.contains_key(CLASSLESS) && theirs.is_none();
            if nets.is_empty() || theirs == Some("$broken") || in_121_alone {
                assert_eq!(found, theirs, "{key} of its owner alone: {step}");
                continue;
            }
            let kept = theirs.map_or("{", |text| text.trim_end_matches('}').trim_end());
            let found = found.unwrap_or_else(|| panic!("no {key}: {step}"));
            let added = found
                .strip_prefix(kept)
                .unwrap_or_else(|| panic!("{found} for {theirs:?}: {step}"));
            let mut told = BTreeSet::new();
            let mut default = None;
            for pair in added.trim_end_matches('}').split(", ").filter(|pair| !pair.is_empty()) {
                match pair.split_once(',').unwrap() {
                    ("0.0.0.0/0", by) => default = Some(by),
                    (net, by) => {
                        assert_eq!(by, own, "the next hop: {step}");
                        told.insert(net.parse().unwrap());
                    }
                }
            }
            assert_eq!(grains(&told), grains(&nets), "what is told by {key}: {step}");
            assert_eq!(default, gateway.filter(|_| theirs.is_none()), "the default: {step}");
        }
    }
    for (index, router) in &world.routers {
        for (subnet, port) in &router.ports {
            let found = world.database.cell(ROUTER_PORT, *port, router_port::IPV6_RA_CONFIGS);
            let owned = world.leases.owned.get(port).cloned().unwrap_or_default();
            let theirs = owned.get(ROUTE_INFO).map(String::as_str);
            let sends = owned.contains_key("address_mode") && !prefix(*subnet).addr().is_ipv4();
            let nets = if sends { wanted(*index, false) } else { BTreeSet::new() };
            let found = found.get(ROUTE_INFO);
            if nets.is_empty() || theirs.is_some_and(|text| text.starts_with("BEST")) {
                assert_eq!(found, theirs, "route_info of its owner alone: {step}");
                continue;
            }
            let found = found.unwrap_or_else(|| panic!("no route_info: {step}"));
            let added = found.strip_prefix(theirs.unwrap_or_default()).unwrap();
            let words = added.split(',').filter(|word| !word.is_empty());
            let told = words.map(|word| word.strip_prefix("MEDIUM-").unwrap().parse().unwrap());
            assert_eq!(grains(&told.collect()), grains(&nets), "what is advertised: {step}");
        }
    }
}

/// The same addresses, in pieces of one size.
fn grains(nets: &BTreeSet<IpNet>) -> BTreeSet<IpNet> {
    let grain = |net: &IpNet| net.subnets(if net.addr().is_ipv4() { 25 } else { 64 }).unwrap();
    nets.iter().flat_map(grain).collect()
}
