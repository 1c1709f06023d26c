//! Networks, guests and declarations that these tests share.

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::topology::Network;

/// A network of a project of the same name, with a guest.
pub(crate) struct Tenant {
    pub(crate) name: &'static str,
    pub(crate) network: Network,
    pub(crate) guest: Host,
}

impl Tenant {
    /// `index` gives its subnets, 10.`index`.0.0/24 and fd0`index`::/64, and its guest's chassis.
    pub(crate) fn new(lab: &Lab, name: &'static str, index: usize) -> Self {
        let subnet = format!("10.{index}.0.0/24 fd0{index}::/64");
        let network = lab.add_network(name, &[&subnet]);
        let guest = lab.add_guest(&network, &format!("{name}-vm"), index);
        Self { name, network, guest }
    }
}

/// Binds every tenant's network, under the name `net`.
pub(crate) fn bind(daemon: &Daemon, tenants: &[&Tenant]) {
    for tenant in tenants {
        daemon.bind_network(tenant.name, "net", tenant.network.router());
    }
}

/// The text of a project's halves with these targets; each is named after its target.
pub(crate) fn halves(targets: &[&str]) -> String {
    targets
        .iter()
        .map(|target| {
            format!(
                "[[peering]]\nname = \"to-{target}\"\nnetwork = \"net\"\ntarget_project = \"{target}\"\ntarget_network = \"net\"\n"
            )
        })
        .collect()
}

/// Waits until both halves of a pair are active.
pub(crate) fn wait_active(daemon: &Daemon, one: &str, other: &str) {
    daemon.wait_state(one, "net", &format!("to-{other}"), "active");
    daemon.wait_state(other, "net", &format!("to-{one}"), "active");
}
