//! What is shown of load balancers.

use serde::{Deserialize, Serialize};

/// A virtual address of a load balancer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualAddressView {
    /// The address, with its port if it has one.
    pub address: String,
    /// `tcp`, `udp` or `sctp`; `None` without a port: then it takes all traffic.
    pub protocol: Option<String>,
    /// Its backends, as the balancer has them.
    pub backends: Vec<String>,
}
