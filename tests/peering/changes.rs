//! Random changes of declarations and of the northbound, with the daemon killed in between.
//!
//! Owns: what may happen, and what has been declared and built so far. A seed gives the same changes; the moments at
//! which they meet the daemon are the machine's.
//! May not: tell what must come of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::owned::{foreign, owned};
use crate::tenants::{disabled, half};

const CHANGES: usize = 200;
/// The networks: `p<n>/net` on router `r<n>`, one for each project.
pub(crate) const NETWORKS: usize = 6;
/// What a half may have besides, each as often: what may be opened, and ways out by a gateway.
const TERMS: [&str; 8] = [
    "",
    "in = [{ protocol = \"tcp\", ports = [22, \"80-90\"] }]\n",
    "in = [{ action = \"deny\", remote = [\"10.0.0.0/25\"] }, {}]\nout = []\n",
    "out = [{ protocol = \"udp\" }, { protocol = \"icmp\", types = [\"echo-request\"] }]\n",
    "in = []\nout = []\n",
    "gateway = \"offer\"\nin = [{ protocol = \"udp\", ports = [53] }]\n",
    "use_gateway = true\nin = [{}]\n",
    "use_gateway = [\"10.98.0.0/16\"]\n",
];
/// Sets the seed of a run, which every run prints.
const SEED: &str = "PEERING_SEED";

/// xorshift64*, so that a seed gives the same run everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(bits).expect("31 bits fit") % below
    }
}

/// What has been declared and built so far.
pub(crate) struct World<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) daemon: Daemon,
    random: Random,
    /// Whether each half, from a network to another, is up.
    pub(crate) halves: BTreeMap<(usize, usize), bool>,
    /// What halves have besides, by its place in [`TERMS`].
    terms: BTreeMap<(usize, usize), usize>,
    /// Names of the subnets' ports beyond the first.
    subnets: BTreeSet<(usize, usize)>,
    /// Routers that are there.
    pub(crate) routers: BTreeSet<usize>,
    made: usize,
    /// Whether subnets are chosen so that they often clash.
    clashing: bool,
    kills: usize,
}

impl World<'_> {
    /// Writes a project's file anew, or removes it with its last half.
    pub(crate) fn declare(&self, from: usize) {
        let halves: String = (self.halves.range((from, 0)..(from + 1, 0)))
            .map(|(key, up)| {
                let (write, to) = (if *up { half } else { disabled }, key.1);
                let terms = TERMS[self.terms.get(key).copied().unwrap_or(0)];
                // Each exports its balancer to some, and some use it.
                let balancers = match (from + to) % 3 {
                    0 => "use_load_balancers = true\n".to_owned(),
                    1 => format!("use_load_balancers = true\nload_balancers = [\"lb{from}\"]\n"),
                    _ => format!("load_balancers = [\"lb{from}\"]\n"),
                };
                write(&format!("to-{to}"), "net", &format!("p{to}/net")) + terms + &balancers
            })
            .collect();
        let project = format!("p{from}");
        if !halves.is_empty() {
            self.daemon.declare(&project, &halves);
        } else if self.daemon.dir().join(format!("peerings.d/{project}.toml")).exists() {
            self.daemon.withdraw(&project);
        }
    }

    fn change_a_half(&mut self) {
        let from = self.random.next(NETWORKS);
        let to = (from + 1 + self.random.next(NETWORKS - 1)) % NETWORKS;
        match self.random.next(5) {
            0 => drop(self.halves.remove(&(from, to))),
            1 => drop(self.halves.insert((from, to), false)),
            _ => drop(self.halves.insert((from, to), true)),
        }
        if self.random.next(2) == 0 {
            self.terms.insert((from, to), self.random.next(TERMS.len()));
        }
        self.declare(from);
        // Often the other side agrees at once.
        if self.halves.get(&(from, to)) == Some(&true) && self.random.next(2) == 0 {
            self.halves.insert((to, from), true);
            self.declare(to);
        }
    }

    /// Without gateways: what is wrong with those is said of halves that are active.
    pub(crate) fn forget_gateways(&mut self) {
        self.terms.retain(|_, terms| !TERMS[*terms].contains("gateway"));
    }

    /// A subnet comes or goes, on a router that is there.
    fn change_a_subnet(&mut self) {
        let router = self.random.next(NETWORKS);
        if !self.routers.contains(&router) {
            return;
        }
        let here = self.subnets.range((router, 0)..(router + 1, 0)).next().copied();
        if let Some((_, n)) = here.filter(|_| self.random.next(2) == 0) {
            self.subnets.remove(&(router, n));
            self.lab.nbctl(&["lrp-del", &format!("r{router}-x{n}")]);
            return;
        }
        self.made += 1;
        let n = self.made;
        self.subnets.insert((router, n));
        let third = if self.clashing { self.random.next(4) } else { n };
        let second = if self.clashing { 99 } else { 100 + router };
        let [mac, net] = [self.lab.fresh_mac(), format!("10.{second}.{third}.1/24")];
        self.lab.nbctl(&["lrp-add", &format!("r{router}"), &format!("r{router}-x{n}"), &mac, &net]);
    }

    /// A router becomes a gateway router, moves to another chassis, or is distributed again.
    fn change_a_kind(&mut self) {
        let n = self.random.next(NETWORKS);
        if !self.routers.contains(&n) {
            return;
        }
        let router = format!("r{n}");
        match self.random.next(3) {
            0 => self.lab.nbctl(&["remove", "Logical_Router", &router, "options", "chassis"]),
            hv => {
                let chassis = format!("options:chassis=hv{hv}");
                self.lab.nbctl(&["set", "Logical_Router", &router, &chassis])
            }
        };
    }

    /// The owner of a NAT row writes it anew, as he knows it.
    fn rewrite_a_nat(&mut self) {
        let n = self.random.next(NETWORKS);
        if self.routers.contains(&n) {
            let (router, inner) = (format!("r{n}"), format!("10.{n}.0.0/24"));
            self.lab.nbctl(&["lr-nat-del", &router, "snat", &inner]);
            self.lab.nbctl(&["lr-nat-add", &router, "snat", &format!("198.51.100.{n}"), &inner]);
        }
    }

    /// A router goes with all that it has; before another one goes, it comes again.
    pub(crate) fn change_a_router(&mut self) {
        if let Some(n) = (0..NETWORKS).find(|n| !self.routers.contains(n)) {
            return self.add_router(n);
        }
        let n = self.random.next(NETWORKS);
        self.routers.remove(&n);
        self.subnets.retain(|(router, _)| *router != n);
        self.lab.nbctl_batch(&format!("lr-del r{n}\nls-del s{n}\nlb-del lb{n}"));
    }

    fn add_router(&mut self, n: usize) {
        self.routers.insert(n);
        let mac = self.lab.fresh_mac();
        self.lab.nbctl_batch(&format!(
            "lr-add r{n}\nlrp-add r{n} r{n}-p {mac} 10.{n}.0.1/24 fd0{n}::1/64\n\
             lr-route-add r{n} 192.0.2.0/24 10.{n}.0.9\n\
             lr-policy-add r{n} 32100 'ip4.dst == 192.0.2.0/24' drop\n\
             lr-nat-add r{n} snat 198.51.100.{n} 10.{n}.0.0/24\n\
             ls-add s{n}\nlsp-add s{n} s{n}-r\nlsp-set-type s{n}-r router\n\
             lsp-set-options s{n}-r router-port=r{n}-p\n\
             lb-add lb{n} 10.{n}.0.200:80 10.{n}.0.10:80,10.{n}.0.11:80\nls-lb-add s{n} lb{n}"
        ));
        // Two of them can offer a gateway.
        if n < 2 {
            let [mac, port] = [self.lab.fresh_mac(), format!("r{n}-up")];
            self.lab.nbctl_batch(&format!(
                "lrp-add r{n} {port} {mac} 172.31.0.{}/24\nlrp-set-gateway-chassis {port} hv1",
                n + 1
            ));
        }
    }

    /// Somebody damages or deletes rows of ours.
    pub(crate) fn damage(&mut self) {
        let rows = owned(&self.lab.dump());
        for _ in 0..=self.random.next(3) {
            if rows.is_empty() {
                return;
            }
            let row = &rows[self.random.next(rows.len())];
            let altered = match row.table.as_str() {
                "Logical_Router_Port" => "mac=\"0a:00:00:00:00:99\"",
                "Logical_Router_Static_Route" => "nexthop=10.99.0.1",
                "Logical_Router_Policy" => "action=drop",
                "Logical_Switch" => "name=altered",
                "Logical_Switch_Port" => "addresses=unknown",
                "Load_Balancer" => "protocol=udp",
                "NAT" => "external_ip=203.0.113.9",
                _ => "addresses=10.99.0.0/24",
            };
            // The daemon may have taken the row away since.
            if self.random.next(2) == 0 {
                row.delete(self.lab);
            } else {
                self.lab.nbctl(&["--if-exists", "set", &row.table, &row.uuid, altered]);
            }
        }
    }

    fn change(&mut self) {
        match self.random.next(14) {
            0..6 => self.change_a_half(),
            6..8 => self.change_a_subnet(),
            8 => self.change_a_router(),
            9 => self.change_a_kind(),
            10 => self.rewrite_a_nat(),
            _ => self.damage(),
        }
    }

    /// Kills the daemon, often, a little after the change; and starts it again, sometimes after a while.
    fn crash(&mut self) {
        let databases = self.lab.databases();
        if self.daemon.process().is_running() && self.random.next(2) == 0 {
            // Sometimes what the daemon has sent is acted on after its death, sometimes by a server that dies too.
            let frozen = self.random.next(4) == 0;
            if frozen {
                databases.nb.pause();
            }
            let after = u64::try_from(self.random.next(60)).expect("milliseconds");
            std::thread::sleep(Duration::from_millis(after));
            self.daemon.kill9();
            self.kills += 1;
            if frozen {
                databases.nb.resume();
            }
        }
        if self.random.next(20) == 0 {
            databases.nb.kill9();
            databases.start_nb_again();
        }
        if !self.daemon.process().is_running() && self.random.next(3) > 0 {
            self.daemon.process().start_again();
        }
    }

    /// Halves whose other side has declared too, both up, both routers there.
    pub(crate) fn mutual(&self) -> BTreeSet<(usize, usize)> {
        let up = |key: &(usize, usize)| self.halves.get(key) == Some(&true);
        let there =
            |key: &(usize, usize)| self.routers.contains(&key.0) && self.routers.contains(&key.1);
        let keys = self.halves.keys().filter(|key| up(key) && up(&(key.1, key.0)) && there(key));
        keys.copied().collect()
    }
}

/// The seed of this run: of the environment, or a new one.
fn seed() -> u64 {
    let given = std::env::var(SEED).ok().and_then(|s| s.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let since = std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970");
        u64::from(since.subsec_nanos()) | 1
    });
    println!("{SEED}={seed}");
    seed
}

/// 200 changes with crashes in between; at the end the daemon runs.
pub(crate) fn run(lab: &Lab, clashing: bool) -> World<'_> {
    let seed = seed();
    let daemon = Daemon::start(lab);
    for n in 0..NETWORKS {
        daemon.bind_network(&format!("p{n}"), "net", &format!("r{n}"));
    }
    let mut world = World {
        lab,
        daemon,
        random: Random(seed),
        halves: BTreeMap::new(),
        terms: BTreeMap::new(),
        subnets: BTreeSet::new(),
        routers: BTreeSet::new(),
        made: 0,
        clashing,
        kills: 0,
    };
    (0..NETWORKS).for_each(|n| world.add_router(n));
    for _ in 0..CHANGES {
        world.change();
        // What others own is now as this change left it, and stays so until the next.
        let theirs = foreign(lab);
        world.crash();
        foreign(lab).assert_same_as(&theirs);
    }
    if !world.daemon.process().is_running() {
        world.daemon.process().start_again();
    }
    poll("the daemon answers", Duration::from_secs(10), || {
        let answer = world.daemon.ctl(&["status"]);
        if answer.status.success() { Ok(()) } else { Err(world.daemon.log()) }
    });
    println!("{} kills, {} mutual halves, seed {seed}", world.kills, world.mutual().len());
    world
}
