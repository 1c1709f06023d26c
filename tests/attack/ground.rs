//! The host: one tenant attacks, two others peer and must not notice. What the daemon spends on an attack is read from
//! the kernel, so that a busy machine does not count as an attack.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::manager::Manager;
use crate::site::{BLUE, BROWN, GREEN, OCHRE, Setup, Site, Tenant, half};

/// Who attacks; its network is `blue/web`.
pub(crate) const ATTACKER: Tenant = BLUE;
/// Who peers with [`PEER`]; its network is `green/db`.
pub(crate) const VICTIM: Tenant = GREEN;
/// The other side; its network is `brown/lab`.
pub(crate) const PEER: Tenant = BROWN;
/// Who owns `ochre/shop` and has declared nothing.
pub(crate) const BYSTANDER: Tenant = OCHRE;

/// How much time the service manager allows: the watchdog is fed twice in it. Short, so that a loop that does not come
/// round is seen.
const WATCHDOG: Duration = Duration::from_millis(2);

/// The host, and who listens to its daemon.
pub(crate) struct Ground {
    pub(crate) site: Site,
    pub(crate) manager: Manager,
}

impl Ground {
    /// Every tenant has its network; [`VICTIM`] and [`PEER`] are peered.
    #[track_caller]
    pub(crate) fn new() -> Self {
        Self::with("")
    }

    /// The same, with these lines in `[policy]`.
    #[track_caller]
    pub(crate) fn with(policy: &str) -> Self {
        let manager = Manager::new();
        let (socket, limit) = (manager.socket(), WATCHDOG.as_micros().to_string());
        let environment = [("NOTIFY_SOCKET", &*socket), ("WATCHDOG_USEC", &*limit)];
        let site = Site::with(&Setup { policy, environment: &environment });
        let networks = [
            (ATTACKER, "web", "10.1.0.0/24"),
            (VICTIM, "db", "10.2.0.0/24"),
            (PEER, "lab", "10.9.0.0/24"),
            (BYSTANDER, "shop", "10.3.0.0/24"),
        ];
        let bound = networks.map(|(Tenant { project, .. }, name, subnet)| {
            let router = format!("{project}{name}");
            site.lab.add_network(&router, &[subnet]);
            format!(
                "[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n"
            )
        });
        site.operator_writes("networks.d/all.toml", &bound.concat());
        site.declare(VICTIM, &half("to-lab", "db", "brown/lab"));
        site.declare(PEER, &half("to-db", "lab", "green/db"));
        site.wait_state("green/db/to-lab", "active");
        site.wait_state("brown/lab/to-db", "active");
        Self { site, manager }
    }

    /// What the victims have: their halves' states, and since when.
    pub(crate) fn standing(&self) -> Value {
        let halves = self.site.json(0, &["list"]);
        let victims =
            halves.as_array().unwrap().iter().filter(|half| {
                [VICTIM, PEER].iter().any(|tenant| half["project"] == tenant.project)
            });
        let facts = ["project", "network", "name", "state", "reason", "since", "degraded"];
        victims.map(|half| facts.map(|fact| half[fact].clone())).map(|facts| json!(facts)).collect()
    }

    /// Writes one more file of the attacker's, which the operator has linked.
    pub(crate) fn further(&self, number: usize, text: &str) {
        let name = format!("more{number}.toml");
        self.site.write_as(ATTACKER, &name, text);
        let link = self.site.root().join(format!("etc/peerings.d/{name}"));
        if !link.is_symlink() {
            std::os::unix::fs::symlink(self.site.own(ATTACKER).join(&name), link).unwrap();
        }
    }

    /// The daemon's memory now, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// The most memory that it ever had.
    pub(crate) fn most_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> usize {
        let text = fs::read_to_string(format!("/proc/{}/status", self.site.pid())).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
    }
}
