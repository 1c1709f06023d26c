//! The guard of a `stateful` half: on the switches of its network, ACLs that drop what the router
//! lets pass as a reply and is none.
//!
//! One Port_Group brings the ACLs to whole switches by a port of each, so that no row of others
//! changes. The references to ports are weak: if an owner makes such a port anew, the group has lost
//! it until the next comparison. So the guard is not what a peering is closed by.

use std::sync::Arc;

use crate::northbound::owner::guard_name;
use crate::northbound::priority;
use crate::northbound::tables::{ACL, PORT_GROUP, acl, port_group};
use crate::ovsdb::Datum;
use crate::traffic::Policy;

use super::super::matches::any;
use super::super::row::{DesiredRow, Parent};
use super::contributor::{Unit, Wants};
use super::link_side::LinkSide;
use super::link_traffic::packets;

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    let Some(traffic) = &link.traffic else { return };
    for side in LinkSide::both(link) {
        let guard = &traffic.policies(side.end).guard;
        if guard.is_empty() {
            continue;
        }
        let name: Arc<str> = guard_name(link.id, side.end).into();
        let ports = traffic.anchors(side.end).iter().map(|port| Datum::Uuid(*port));
        let group = wants
            .row(PORT_GROUP, None)
            .set(port_group::NAME, &*name)
            .set(port_group::PORTS, Datum::Set(ports.collect()));
        wants.rows.push(group);
        let row = |wants: &Wants, priority: i64, text: String, action: &str| -> DesiredRow {
            let parent = Parent::Named(Arc::clone(&name), None);
            wants
                .row(ACL, Some(parent))
                .set(acl::PRIORITY, priority)
                .set(acl::DIRECTION, "to-lport")
                .set(acl::MATCH, text)
                .set(acl::ACTION, action)
        };
        // It matches nothing, but with it the switch tracks connections.
        wants.rows.push(row(wants, 0, "0".to_owned(), "allow-related"));
        let text = any(&guard
            .chunk_by(Policy::is_beside)
            .flat_map(|alike| packets(&side, alike))
            .collect::<Vec<_>>());
        wants.rows.push(row(wants, priority::GUARD, text, "drop"));
    }
}
