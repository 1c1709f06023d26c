//! The use of a gateway over a peering, as the owner of a half reads it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// One side leaves by the gateway of the other one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayView {
    /// Whose gateway it is: `local` or `remote`.
    pub of: String,
    /// The destinations that the other side of the gateway reaches by it; `None` for all that it
    /// does not reach otherwise.
    pub destinations: Option<Vec<IpNet>>,
    /// The addresses that leave as others; only for the side whose gateway it is.
    pub translated: Vec<TranslatedView>,
}

/// Sources that leave with another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TranslatedView {
    /// The sources.
    pub from: IpNet,
    /// The address that replaces them.
    pub to: IpAddr,
}
