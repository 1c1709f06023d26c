//! All contributors: the desired rows of a unit.
//!
//! Each is a file of its own, with the same shape. A further kind of row is a further file, named
//! here, and a line in [`CONTRIBUTORS`].

mod appliance_routes;
mod balancer_copies;
mod contributor;
mod guest_routes;
mod link_gateway;
mod link_guard;
mod link_policies;
mod link_ports;
mod link_routes;
mod link_side;
mod link_switch;
mod link_through;
mod link_traffic;
mod nat_exemption;
mod told_names;
mod uplink_anti_spoof;

use contributor::Contributor;
pub use contributor::{Network, Unit, Wants};

/// A row comes after its parent if that is a row of the same unit.
const CONTRIBUTORS: &[Contributor] = &[
    link_switch::contribute,
    link_ports::contribute,
    link_routes::contribute,
    link_policies::contribute,
    link_traffic::contribute,
    link_guard::contribute,
    balancer_copies::contribute,
    told_names::contribute,
    link_gateway::contribute,
    link_through::contribute,
    appliance_routes::contribute,
    uplink_anti_spoof::contribute,
    nat_exemption::contribute,
    guest_routes::contribute,
];

/// The rows and fields of all contributors for a unit.
#[must_use]
pub fn wants(unit: &Unit<'_>) -> Wants {
    let mut wants = Wants::of(unit);
    for contribute in CONTRIBUTORS {
        contribute(unit, &mut wants);
    }
    wants
}
