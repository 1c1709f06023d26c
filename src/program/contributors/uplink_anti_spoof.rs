//! A network's own prefixes are not believed when they come from outside.
//!
//! Prefixes are written out, not named by the registration's set: if somebody deletes that set, a
//! match that names it is silently absent, and a drop that is absent fails open.

use crate::northbound::tables::ROUTER_POLICY;
use crate::northbound::{Sources, priority};

use super::super::matches::{inport, outport};
use super::super::row::{Parent, RouterRow};
use super::contributor::{Unit, Wants};

/// How northd marks what it turned around there (REGBIT_EGRESS_LOOPBACK); nobody outside can set
/// it.
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
        // What has an own source at an uplink for a good reason: answers of the router itself,
        // which leave as if they had come in where the request did, so out of an uplink again; and
        // what OVN turns around at the gateway port on its way to a floating IP of the same router.
        policy(
            priority::PASS,
            format!("{inward} && ({outward} || {TURNED_AROUND}) && ({own})"),
            "allow",
        ),
        policy(priority::SPOOF, format!("{inward} && ({own})"), "drop"),
    ];
    wants.rows.extend(rows);
}
