//! A network's own guard: its prefixes are not believed when they come from outside.
//!
//! Prefixes are written out, not named by the registration's set: if somebody deletes that set,
//! a match that names it is silently absent, and a drop that is absent fails open.

use std::sync::Arc;

use crate::northbound::owner::Id;
use crate::northbound::tables::{ROUTER_POLICY, router_policy};
use crate::northbound::{Sources, UnitId, priority};
use crate::peering::Ready;

use super::matches::{inport, outport};
use super::row::{DesiredRow, Parent, RouterRow};

/// How northd marks what it turned around there (REGBIT_EGRESS_LOOPBACK); nobody outside can set it.
const TURNED_AROUND: &str = "reg9[0] == 1";

/// The policies on the uplinks of a network that has a peering; none without an uplink.
#[must_use]
pub fn guard_rows(network: Id, ready: &Ready) -> Vec<DesiredRow> {
    let router = &ready.router;
    if router.uplinks.is_empty() {
        return Vec::new();
    }
    let uplinks = || router.uplinks.iter().map(AsRef::as_ref);
    let (inward, outward) = (inport(uplinks()), outport(uplinks()));
    let own = Sources::of(&ready.prefixes);
    let unit: Arc<str> = UnitId::Network(network).tag().into();
    let policy = |priority: i64, text: String, action: &str| {
        let on = RouterRow { uuid: router.uuid, name: router.name.clone() };
        DesiredRow::new(ROUTER_POLICY, Some(Parent::Router(on)), Arc::clone(&unit))
            .set(router_policy::PRIORITY, priority)
            .set(router_policy::MATCH, text)
            .set(router_policy::ACTION, action)
    };
    vec![
        // What has an own source at an uplink for a good reason: answers of the router itself, which leave as
        // if they had come in where the request did, so out of an uplink again; and what OVN turns around at
        // the gateway port on its way to a floating IP of the same router.
        policy(
            priority::PASS,
            format!("{inward} && ({outward} || {TURNED_AROUND}) && ({own})"),
            "allow",
        ),
        policy(priority::SPOOF, format!("{inward} && ({own})"), "drop"),
    ]
}
