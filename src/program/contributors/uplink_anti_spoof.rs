//! Drops packets from outside with a source in the network's own prefixes.
//!
//! The match lists the prefixes instead of the registration's Address_Set: if somebody deleted that
//! set, OVN would silently ignore a policy that names it, and a missing drop fails open.

use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{Sources, priority};

use super::super::matches::{inport, outport};
use super::super::row::{Parent, RouterRow};
use super::contributor::{Unit, Wants};

/// How ovn-northd marks packets that it looped back at the port (REGBIT_EGRESS_LOOPBACK); nobody
/// outside can set it.
const TURNED_AROUND: &str = "reg9[0] == 1";

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Network(network) = unit else { return };
    let Some(ready) = network.linked.filter(|ready| !ready.router.uplinks.is_empty()) else {
        return;
    };
    let router = &ready.router;
    let uplinks = || router.uplinks.iter().map(AsRef::as_ref);
    let (inward, outward) = (inport(uplinks()), outport(uplinks()));
    let own = Sources::of(&ready.prefixes);
    let policy = |priority, text, action| {
        let on = RouterRow { uuid: router.uuid, name: router.name.clone() };
        wants.row(ROUTER_POLICY, Some(Parent::Router(on))).policy(priority, text, action)
    };
    let rows = [
        // Legitimate packets with an own source at an uplink: replies of the router itself, which
        // have the inport of the request and leave by the same uplink; and packets to a floating IP
        // of the same router, which OVN loops back at the gateway port.
        policy(
            priority::PASS,
            format!("{inward} && ({outward} || {TURNED_AROUND}) && ({own})"),
            "allow",
        ),
        policy(priority::SPOOF, format!("{inward} && ({own})"), "drop"),
    ];
    wants.rows.extend(rows);
}
