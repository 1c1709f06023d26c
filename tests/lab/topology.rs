//! Builds tenants' networks in the northbound, their guests, and their uplinks.
//!
//! Owns the shapes and names of the rows: network `a` is router `a`; its nth subnet is switch `a-s<n>` on router port
//! `a-r<n>`; its uplink is router port `a-up` on switch `a-ext`. A router has the first address of each prefix, guests
//! those from .10 on.
//! May not: write anything that peers networks; that is what tests are about.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use ipnet::IpNet;

use super::Lab;
use super::chassis::{EXTERNAL_BRIDGE, PHYSICAL_NETWORK};
use super::host::Host;
use super::netns::Netns;

/// Room for geneve's headers on an underlay of 1500 bytes.
const GUEST_MTU: u32 = 1400;
/// The host part of a subnet's first guest.
const FIRST_GUEST: u128 = 10;
/// The uplinks' common subnets, and in them the host beyond.
const OUTSIDE: [(&str, &str, u8); 2] = [("172.31.0.", "254", 24), ("fd31::", "fe", 64)];

/// A tenant's network: a Logical_Router with one Logical_Switch for each subnet.
#[derive(Debug)]
pub struct Network {
    /// Its name, and its router's.
    pub name: String,
    /// Its subnets, in the order in which they were given.
    pub subnets: Vec<Subnet>,
    /// This lab's number of it: the host part of its uplink addresses.
    number: u32,
}

/// A Logical_Switch on a router.
#[derive(Debug)]
pub struct Subnet {
    /// The Logical_Switch.
    pub switch: String,
    /// The Logical_Router_Port.
    pub router_port: String,
    /// Its prefixes, of one family or both.
    pub prefixes: Vec<IpNet>,
    guests: AtomicU32,
}

impl Subnet {
    /// A switch that somebody else made, with its router's port and prefixes: guests can be added to it.
    pub fn of_others(switch: &str, router_port: &str, prefixes: &[&str]) -> Subnet {
        Subnet {
            switch: switch.to_owned(),
            router_port: router_port.to_owned(),
            prefixes: prefixes.iter().map(|p| p.parse().expect("a prefix")).collect(),
            guests: AtomicU32::new(0),
        }
    }
}

/// Where a network meets the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// IPv4 leaves with the router's own uplink address.
    Source,
    /// Addresses are routed as they are.
    None,
}

impl Network {
    /// Its Logical_Router's name.
    pub fn router(&self) -> &str {
        &self.name
    }

    /// The router's own addresses on all its subnets.
    pub fn router_addresses(&self) -> Vec<IpAddr> {
        self.prefixes().map(|p| nth_address(&p, 1)).collect()
    }

    /// The prefixes of all its subnets.
    pub fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.subnets.iter().flat_map(|s| s.prefixes.clone())
    }

    /// The name of its uplink's Logical_Router_Port.
    pub fn uplink_port(&self) -> String {
        format!("{}-up", self.name)
    }

    /// The router's address on its uplink, in the family of `like`.
    pub fn uplink_address(&self, like: IpAddr) -> IpAddr {
        let (stem, _, _) = OUTSIDE[usize::from(like.is_ipv6())];
        format!("{stem}{}", self.number).parse().expect("an address")
    }
}

impl Lab {
    /// Adds a network. Each subnet is written as its prefixes, one of a family: `"10.1.0.0/24 fd01::/64"`.
    #[track_caller]
    pub fn add_network(&self, name: &str, subnets: &[&str]) -> Network {
        let parsed = subnets.iter().enumerate().map(|(n, prefixes)| Subnet {
            switch: format!("{name}-s{n}"),
            router_port: format!("{name}-r{n}"),
            prefixes: prefixes.split(' ').map(|p| p.parse().expect("a prefix")).collect(),
            guests: AtomicU32::new(0),
        });
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let network = Network { name: name.to_owned(), subnets: parsed.collect(), number };
        let mut lines = format!("lr-add {name}\n");
        for subnet in &network.subnets {
            lines += &self.subnet_rows(name, subnet);
        }
        self.nbctl_batch(&lines);
        network
    }

    /// Adds one more subnet to a network.
    #[track_caller]
    pub fn add_subnet(&self, network: &mut Network, prefixes: &str) {
        let n = network.subnets.len();
        let subnet = Subnet {
            switch: format!("{}-s{n}", network.name),
            router_port: format!("{}-r{n}", network.name),
            prefixes: prefixes.split(' ').map(|p| p.parse().expect("a prefix")).collect(),
            guests: AtomicU32::new(0),
        };
        self.nbctl_batch(&self.subnet_rows(&network.name, &subnet));
        network.subnets.push(subnet);
    }

    fn subnet_rows(&self, router: &str, subnet: &Subnet) -> String {
        let Subnet { switch, router_port, prefixes, .. } = subnet;
        let address = |p: &IpNet| format!("{}/{}", nth_address(p, 1), p.prefix_len());
        let addresses: Vec<_> = prefixes.iter().map(address).collect();
        format!(
            "ls-add {switch}\n\
             lrp-add {router} {router_port} {} {}\n\
             lsp-add {switch} {switch}-r\n\
             lsp-set-type {switch}-r router\n\
             lsp-set-addresses {switch}-r router\n\
             lsp-set-options {switch}-r router-port={router_port}\n",
            self.fresh_mac(),
            addresses.join(" ")
        )
    }

    /// Adds a guest to a network's first subnet, on the `nth` chassis.
    #[track_caller]
    pub fn add_guest(&self, network: &Network, name: &str, nth: usize) -> Host {
        self.add_guest_in(&network.subnets[0], name, nth)
    }

    /// Adds a guest to a subnet, on the `nth` chassis ([`Lab::hypervisor`]).
    #[track_caller]
    pub fn add_guest_in(&self, subnet: &Subnet, name: &str, nth: usize) -> Host {
        let number = u128::from(subnet.guests.fetch_add(1, Ordering::Relaxed)) + FIRST_GUEST;
        self.add_guest_at(subnet, name, nth, number)
    }

    /// The same with a host part of one's own, in a subnet that is too small for the usual one.
    #[track_caller]
    pub fn add_guest_at(&self, subnet: &Subnet, name: &str, nth: usize, number: u128) -> Host {
        let addresses: Vec<_> = subnet.prefixes.iter().map(|p| nth_address(p, number)).collect();
        let mac = self.fresh_mac();
        let texts: Vec<_> = addresses.iter().map(IpAddr::to_string).collect();
        let switch = &subnet.switch;
        self.nbctl_batch(&format!(
            "lsp-add {switch} {name}\nlsp-set-addresses {name} '{mac} {}'",
            texts.join(" ")
        ));
        let netns = Netns::new(&self.scope, name);
        let port = format!("p{}", self.numbers.fetch_add(1, Ordering::Relaxed));
        self.hypervisor(nth).plug("br-int", &port, netns.name(), Some(name));
        let mut lines = vec![format!("link set eth0 address {mac} mtu {GUEST_MTU} up")];
        for (prefix, address) in subnet.prefixes.iter().zip(&addresses) {
            lines.push(assign(*address, prefix.prefix_len()));
        }
        // One of a family: the first.
        for six in [false, true] {
            let gateway = subnet.prefixes.iter().find(|prefix| prefix.addr().is_ipv6() == six);
            lines.extend(gateway.map(|prefix| default_route(nth_address(prefix, 1))));
        }
        self.host_in(netns, name, &mac, addresses, &lines)
    }

    /// Gives a network an uplink: a distributed gateway port on the gateway chassis, default routes to
    /// [`Lab::outside`], and NAT if asked.
    #[track_caller]
    pub fn add_uplink(&self, network: &Network, nat: Nat) {
        let outside = self.outside();
        let name = &network.name;
        let port = network.uplink_port();
        let own = |(stem, _, len): (&str, &str, u8)| format!("{stem}{}/{len}", network.number);
        let mut lines = format!(
            "ls-add {name}-ext\n\
             lrp-add {name} {port} {} {} {}\n\
             lrp-set-gateway-chassis {port} {}\n\
             lsp-add {name}-ext {name}-ext-r\n\
             lsp-set-type {name}-ext-r router\n\
             lsp-set-addresses {name}-ext-r router\n\
             lsp-set-options {name}-ext-r router-port={port}\n\
             lsp-add {name}-ext {name}-ext-ln\n\
             lsp-set-type {name}-ext-ln localnet\n\
             lsp-set-addresses {name}-ext-ln unknown\n\
             lsp-set-options {name}-ext-ln network_name={PHYSICAL_NETWORK}\n",
            self.fresh_mac(),
            own(OUTSIDE[0]),
            own(OUTSIDE[1]),
            self.gateway().name()
        );
        for address in &outside.addresses {
            let all = if address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            lines += &format!("lr-route-add {name} {all} {address}\n");
        }
        for prefix in network.prefixes() {
            let own = network.uplink_address(prefix.addr());
            outside.ip(&[format!("route add {prefix} via {own}")]);
            if nat == Nat::Source && own.is_ipv4() {
                lines += &format!("lr-nat-add {name} snat {own} {prefix}\n");
            }
        }
        self.nbctl_batch(&lines);
    }

    /// The host beyond all uplinks. It has routes to every network that has one, as a hostile neighbour would.
    #[track_caller]
    pub fn outside(&self) -> Host {
        let mut made = self.outside.lock().expect("no holder panics");
        if let Some(host) = made.as_ref() {
            return host.clone();
        }
        let netns = Netns::new(&self.scope, "outside");
        self.gateway().plug(EXTERNAL_BRIDGE, "outside", netns.name(), None);
        let parse = |(stem, host, _)| format!("{stem}{host}").parse().expect("an address");
        let addresses: Vec<IpAddr> = OUTSIDE.into_iter().map(parse).collect();
        let mac = self.fresh_mac();
        let mut lines = vec![format!("link set eth0 address {mac} up")];
        lines.extend(addresses.iter().zip(OUTSIDE).map(|(a, o)| assign(*a, o.2)));
        let host = self.host_in(netns, "outside", &mac, addresses, &lines);
        *made = Some(host.clone());
        host
    }

    #[track_caller]
    fn host_in(
        &self,
        netns: Netns,
        name: &str,
        mac: &str,
        addresses: Vec<IpAddr>,
        lines: &[String],
    ) -> Host {
        netns.ip(lines);
        netns.run(&["ethtool", "-K", "eth0", "tx", "off"]);
        let host = Host::new(name, netns.name(), mac, addresses);
        self.namespaces.lock().expect("no holder panics").push(netns);
        host
    }

    /// A locally administered unicast address that this lab has not used.
    pub fn fresh_mac(&self) -> String {
        let [_, b, c, d] = self.numbers.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        format!("0a:00:00:{b:02x}:{c:02x}:{d:02x}")
    }
}

/// The address with host part `n` in a prefix.
pub fn nth_address(prefix: &IpNet, n: u128) -> IpAddr {
    match prefix.network() {
        IpAddr::V4(base) => {
            let n = u32::try_from(n).expect("the host part fits");
            IpAddr::V4((u32::from(base) + n).into())
        }
        IpAddr::V6(base) => IpAddr::V6((u128::from(base) + n).into()),
    }
}

fn assign(address: IpAddr, prefix_len: u8) -> String {
    // Without duplicate address detection an IPv6 address can be used at once.
    let nodad = if address.is_ipv6() { " nodad" } else { "" };
    format!("address add {address}/{prefix_len} dev eth0{nodad}")
}

fn default_route(router: IpAddr) -> String {
    let all = if router.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
    format!("route add {all} via {router}")
}
