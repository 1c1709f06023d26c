//! The wire between the nodes of a lab with several chassis, and the nodes' namespaces on it.
//!
//! Owns the addresses of the nodes. The wire is a kernel bridge in a namespace of its own, so that nothing of it shows in
//! the host's.

use super::netns::Netns;
use super::scope::Scope;

/// The interface by which a node is on the wire.
pub const PORT: &str = "eth1";
/// Where the southbound listens (RFC 5737 addresses: they cannot be those of a network that a test peers).
pub const CENTRAL: &str = "192.0.2.2";
/// The southbound's port (ovn-sb(5)).
pub const SB_PORT: u16 = 6642;

/// A chassis-to-be.
#[derive(Debug)]
pub struct Node {
    pub name: &'static str,
    pub address: String,
    pub netns: Netns,
}

/// The wire and all that is on it.
#[derive(Debug)]
pub struct Underlay {
    pub wire: Netns,
    pub central: Netns,
    pub nodes: Vec<Node>,
}

impl Underlay {
    /// Builds the wire, the central node with its address, and bare nodes: a chassis' address belongs on a bridge that its
    /// ovs-vswitchd has yet to make.
    #[track_caller]
    pub fn build(scope: &Scope, names: &[&'static str]) -> Underlay {
        let wire = Netns::new(scope, "wire");
        wire.ip(&["link add br0 type bridge".to_owned(), "link set br0 up".to_owned()]);
        let central = Netns::new(scope, "central");
        connect(&wire, &central, "central");
        central.ip(&[format!("address add {CENTRAL}/24 dev {PORT}")]);
        let node = |(index, &name): (usize, &&'static str)| {
            let netns = Netns::new(scope, name);
            connect(&wire, &netns, name);
            Node { name, address: format!("192.0.2.{}", 11 + index), netns }
        };
        let nodes = names.iter().enumerate().map(node).collect();
        Underlay { wire, central, nodes }
    }
}

#[track_caller]
fn connect(wire: &Netns, node: &Netns, port: &str) {
    wire.ip(&[
        format!("link add {port} type veth peer name {PORT} netns {}", node.name()),
        format!("link set {port} master br0 up"),
    ]);
    node.ip(&[format!("link set {PORT} up")]);
    // As at a guest: the userspace datapath does not complete checksums.
    node.run(&["ethtool", "-K", PORT, "tx", "off"]);
}
