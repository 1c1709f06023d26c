//! What is in the northbound, and what is declared: networks 0 to n, a hub, its spokes, and pairs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::server::Server;
use super::wire::Connection;

/// Networks of one project, so that files have the size that tenants give them.
const NETWORKS_OF_A_PROJECT: usize = 100;
const NETWORKS_OF_A_FILE: usize = 20;
/// With prefix filters a half is some 150 words and signs, with traffic filters 500.
const HUB_HALVES_OF_A_FILE: usize = 200;
/// Networks made by one transaction.
const BATCH: usize = 250;
/// Guests on each switch, beside its router.
const GUESTS: usize = 4;
/// Members of a mesh: ovn-controller follows about so many routers in a row.
const MESH: usize = 49;
/// So many peerings in a row may be added between pairs: a longer chain is deeper than the daemon allows.
const CHAIN: usize = 8;
/// The router that nobody declares.
pub(crate) const STRANGER: &str = "stranger";
const STRANGER_ROUTES: usize = 250;

/// The sizes, and who peers with whom.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// How many networks there are.
    pub(crate) networks: usize,
    /// Spokes of network 0, which are networks 1 and on.
    pub(crate) spokes: usize,
    /// All peerings: the hub's first.
    pub(crate) peerings: Vec<(usize, usize)>,
    /// What every half has beside its target.
    keys: Keys,
}

/// What a half has beside its target.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keys {
    /// Nothing.
    None,
    /// Filters of prefixes, of some entries each.
    Prefixes,
    /// Filters of traffic, of so many entries each.
    Traffic(usize),
}

impl Plan {
    /// A fifth of the peerings share the hub, the others are pairs.
    pub(crate) fn new(networks: usize, peerings: usize) -> Self {
        let spokes = peerings / 5;
        let pairs = peerings - spokes;
        assert!(1 + spokes + 2 * pairs <= networks, "{peerings} peerings need more networks");
        assert!(networks < 1 << 16, "addresses are made for 65,535 networks");
        let hub = (1..=spokes).map(|spoke| (0, spoke));
        let pairs = (0..pairs).map(|pair| (1 + spokes + 2 * pair, 2 + spokes + 2 * pair));
        Self { networks, spokes, peerings: hub.chain(pairs).collect(), keys: Keys::None }
    }

    /// The hub and its spokes alone.
    pub(crate) fn hub(&self, keys: Keys) -> Self {
        Self { peerings: self.peerings[..self.spokes].to_vec(), keys, ..self.clone() }
    }

    /// So many of the peerings.
    pub(crate) fn first(&self, peerings: usize) -> Self {
        let most = self.peerings.len().min(peerings);
        Self { peerings: self.peerings[..most].to_vec(), ..self.clone() }
    }

    /// All with all, of so many networks as OVN can connect in a row.
    pub(crate) fn mesh(&self) -> Self {
        let members = MESH.min(self.networks);
        let peerings = (0..members).flat_map(|a| (a + 1..members).map(move |b| (a, b)));
        Self { peerings: peerings.collect(), keys: Keys::None, ..self.clone() }
    }

    /// The `k`th peering that may be added to those that stand: between two pairs.
    pub(crate) fn probe(&self, k: usize) -> (usize, usize) {
        let pairs = &self.peerings[self.spokes..];
        let first = k + k / CHAIN;
        (pairs[first % pairs.len()].0, pairs[(first + 1) % pairs.len()].1)
    }

    /// Makes the networks in a database of its own, and gives the file.
    pub(crate) fn build(&self, dir: &Path) -> PathBuf {
        let server = Server::create(dir);
        let mut connection = Connection::open(&server.socket());
        let global = json!({"op": "insert", "table": "NB_Global", "row": {}});
        connection.transact(vec![global]);
        for first in (0..self.networks).step_by(BATCH) {
            let indices = first..(first + BATCH).min(self.networks);
            connection.transact(indices.flat_map(network).collect());
        }
        connection.transact(stranger());
        server.stop()
    }

    /// The files of `networks.d`: name and text.
    pub(crate) fn network_files(&self) -> BTreeMap<String, String> {
        self.network_files_of(Share::ALL)
    }

    /// Those of one host's networks.
    pub(crate) fn network_files_of(&self, share: Share) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for index in (0..self.networks).filter(|index| share.has(self, *index)) {
            let text: &mut String = files.entry(format!("{}.toml", project(index))).or_default();
            let (project, name) = (project(index), name(index));
            let _ = writeln!(
                text,
                "[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{}\"",
                router(index)
            );
        }
        files
    }

    /// The files of `peerings.d`, with both halves of every peering.
    pub(crate) fn peering_files(&self) -> BTreeMap<String, String> {
        self.peering_files_of(Share::ALL)
    }

    /// Those with the halves of one host's networks.
    pub(crate) fn peering_files_of(&self, share: Share) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for (a, b) in &self.peerings {
            let halves = [(*a, *b), (*b, *a)].into_iter();
            for (local, remote) in halves.filter(|(local, _)| share.has(self, *local)) {
                let text: &mut String =
                    files.entry(file(local, remote)).or_insert_with(|| head(local));
                text.push_str(&half(local, remote));
                text.push_str(&self.keys.of(local, remote, true));
            }
        }
        files
    }

    /// The file that a spoke's half is in: its name, its text before the half's keys, and after it.
    pub(crate) fn cut_spoke_file(&self, spoke: usize) -> (String, String, String) {
        let name = file(spoke, 0);
        let text = &self.peering_files()[&name];
        let keys = self.keys.of(spoke, 0, true);
        let (before, after) = text.split_once(&keys).expect("the spoke's half is there");
        (name, before.to_owned(), after.to_owned())
    }

    /// That file, with the keys as they were or edited.
    pub(crate) fn spoke_file(
        &self,
        (_, before, after): &(String, String, String),
        as_before: bool,
    ) -> String {
        format!("{before}{}{after}", self.keys.of(self.spokes, 0, as_before))
    }
}

impl Keys {
    /// The keys of one half, as they are at first or edited.
    fn of(self, local: usize, remote: usize, as_before: bool) -> String {
        match self {
            Self::None => String::new(),
            Self::Prefixes => prefix_filters(local, remote, as_before),
            Self::Traffic(entries) => traffic_filters(entries, remote, as_before),
        }
    }
}

/// Ping and some ports, of which an edit moves the first.
fn traffic_filters(entries: usize, remote: usize, as_before: bool) -> String {
    let (v4, v6) = prefixes(remote);
    let first = if as_before { 5432 } else { 5433 };
    let entries: Vec<String> = (1..entries)
        .map(|n| match n {
            1 => format!("{{ protocol = \"tcp\", ports = [{first}] }}"),
            n if n % 3 == 0 => format!("{{ action = \"deny\", protocol = \"udp\", ports = [{n}] }}"),
            n => format!("{{ protocol = \"tcp\", ports = [{n}, \"80{n}0-80{n}8\"], remote = [\"{v4}\", \"{v6}\"] }}"),
        })
        .collect();
    format!(
        "in = [{}, {{ protocol = \"icmp\", types = [\"echo-request\"] }}]\n",
        entries.join(", ")
    )
}

/// Filters of some entries each, which let through what the two have; edited, the half announces
/// IPv4 alone.
fn prefix_filters(local: usize, remote: usize, both_families: bool) -> String {
    let (v4, v6) = prefixes(local);
    let (their_v4, their_v6) = prefixes(remote);
    let six = if both_families { format!(", \"{v6}\"") } else { String::new() };
    let denied = "{ prefix = \"10.254.0.0/16\", le = 32, action = \"deny\" }";
    format!(
        "export = [{denied}, \"{v4}\"{six}]\n\
         import = [{denied}, {{ prefix = \"172.16.0.0/12\", le = 24 }}, {{ prefix = \"{their_v4}\", ge = 24 }}, \
         {{ prefix = \"{their_v6}\", le = 64 }}]\nmax_prefixes = 10\n"
    )
}

/// The prefixes of a network.
fn prefixes(index: usize) -> (String, String) {
    let (high, low) = (index >> 8, index & 255);
    (format!("10.{high}.{low}.0/24"), format!("fd00:0:0:{index:x}::/64"))
}

/// The address of a guest.
pub(crate) fn address(index: usize) -> String {
    let (high, low) = (index >> 8, index & 255);
    format!("10.{high}.{low}.10")
}

/// The networks that are declared on one of several hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// Which host.
    pub(crate) host: usize,
    /// How many there are.
    pub(crate) hosts: usize,
}

impl Share {
    /// The only host has everything.
    pub(crate) const ALL: Self = Self { host: 0, hosts: 1 };

    /// Neighbours peer with each other, and are on different hosts.
    fn has(self, plan: &Plan, network: usize) -> bool {
        let block = plan.networks.div_ceil(self.hosts);
        (network / block + network % 2) % self.hosts == self.host
    }
}

/// A file with one half.
pub(crate) fn half_file(local: usize, remote: usize) -> String {
    head(local) + &half(local, remote)
}

fn head(index: usize) -> String {
    format!("project = \"{}\"\n", project(index))
}

fn half(local: usize, remote: usize) -> String {
    format!(
        "[[peering]]\nname = \"to-{remote}\"\nnetwork = \"{}\"\ntarget_project = \"{}\"\n\
         target_network = \"{}\"\n",
        name(local),
        project(remote),
        name(remote)
    )
}

/// The file of a half. A hub has its own, and others share one, so that none has more halves than a
/// file may have, nor more words and signs.
fn file(index: usize, remote: usize) -> String {
    match index {
        0 => format!("hub-{}.toml", remote / HUB_HALVES_OF_A_FILE),
        _ => format!("{}-{:03}.toml", project(index), index / NETWORKS_OF_A_FILE),
    }
}

pub(crate) fn project(index: usize) -> String {
    format!("p{:03}", index / NETWORKS_OF_A_PROJECT)
}

pub(crate) fn name(index: usize) -> String {
    format!("n{index}")
}

/// A network's router.
pub(crate) fn router(index: usize) -> String {
    format!("router-{index}")
}

/// A network's own router port.
pub(crate) fn router_port(index: usize) -> String {
    format!("inward-{index}")
}

fn network(index: usize) -> Vec<Value> {
    let (high, low) = (index >> 8, index & 255);
    let mac = |host: usize| format!("0a:00:{high:02x}:{low:02x}:00:{host:02x}");
    let subnets =
        json!(["set", [format!("10.{high}.{low}.1/24"), format!("fd00:0:0:{index:x}::1/64")]]);
    let reference = |name: String| json!(["named-uuid", name]);
    let port = router_port(index);
    let mut operations = vec![
        json!({"op": "insert", "table": "Logical_Router_Port", "uuid-name": format!("rp{index}"),
            "row": {"name": port, "mac": mac(1), "networks": subnets}}),
        json!({"op": "insert", "table": "Logical_Router",
            "row": {"name": router(index), "ports": reference(format!("rp{index}"))}}),
        json!({"op": "insert", "table": "Logical_Switch_Port", "uuid-name": format!("sp{index}x0"),
            "row": {"name": format!("switch-{index}-router"), "type": "router", "addresses": "router",
                "options": ["map", [["router-port", port]]]}}),
    ];
    for guest in 1..=GUESTS {
        let host = guest + 9;
        let addresses =
            format!("{} 10.{high}.{low}.{host} fd00:0:0:{index:x}::{host:x}", mac(host));
        operations.push(json!({"op": "insert", "table": "Logical_Switch_Port",
            "uuid-name": format!("sp{index}x{guest}"),
            "row": {"name": format!("switch-{index}-guest-{guest}"), "addresses": addresses,
                "port_security": addresses}}));
    }
    let ports: Vec<Value> =
        (0..=GUESTS).map(|port| reference(format!("sp{index}x{port}"))).collect();
    operations.push(json!({"op": "insert", "table": "Logical_Switch",
        "row": {"name": format!("switch-{index}"), "ports": ["set", ports]}}));
    operations
}

/// Routes that nobody's peering concerns: so many that two changes of one of them are far apart.
fn stranger() -> Vec<Value> {
    let routes = (0..STRANGER_ROUTES).map(|k| {
        json!({"op": "insert", "table": "Logical_Router_Static_Route", "uuid-name": format!("route{k}"),
            "row": {"ip_prefix": format!("198.51.100.{k}/32"), "nexthop": "192.0.2.1"}})
    });
    let names: Vec<Value> =
        (0..STRANGER_ROUTES).map(|k| json!(["named-uuid", format!("route{k}")])).collect();
    let router = json!({"op": "insert", "table": "Logical_Router",
        "row": {"name": STRANGER, "static_routes": ["set", names]}});
    routes.chain([router]).collect()
}
