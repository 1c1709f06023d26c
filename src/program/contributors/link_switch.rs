//! The switch of ours between two routers that cannot be linked port to port, because one of them
//! is a gateway router. It connects the two ports; addresses and routes are the same as without it.

use crate::northbound::End;
use crate::northbound::owner::{link_port_name, link_switch_name, link_switch_port_name};
use crate::northbound::tables::{LOGICAL_SWITCH, SWITCH_PORT, logical_switch, switch_port};
use crate::ovsdb::Datum;

use super::super::row::Parent;
use super::contributor::{Unit, Wants};

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    if !link.has_switch {
        return;
    }
    let switch = wants
        .row(LOGICAL_SWITCH, None)
        .labelled(link.key.to_string())
        .set(logical_switch::NAME, link_switch_name(link.id));
    wants.rows.push(switch);
    for end in End::BOTH {
        let router_port = [("router-port", link_port_name(link.id, end))];
        let port = wants
            .row(SWITCH_PORT, Some(Parent::LinkSwitch(None)))
            .set(switch_port::NAME, link_switch_port_name(link.id, end))
            .set(switch_port::TYPE, "router")
            .set(switch_port::ADDRESSES, Datum::strings(["router"]))
            .set(switch_port::OPTIONS, Datum::map(router_port));
        wants.rows.push(port);
    }
}
