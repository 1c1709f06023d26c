//! Names of guests in random worlds: rows of others, whose names say whose guests they are.

use std::net::IpAddr;

use ovn_peerd::northbound::tables::{
    DNS, LOGICAL_SWITCH, SWITCH_PORT, dns, logical_switch, switch_port,
};
use ovn_peerd::ovsdb::Value;

use crate::terms::DOMAIN;
use crate::world::{World, prefix};

/// An address that no network announces.
const NOBODYS: &str = "10.77.0.10";

/// The address of the guest with a name in a subnet.
pub(crate) fn guest(subnet: usize) -> IpAddr {
    prefix(subnet).hosts().nth(9).expect("a host")
}

/// Names of a guest behind a router, which name the router; and one that nobody may be told.
pub(crate) fn name_guests(world: &mut World, router: usize, subnet: usize) {
    let database = &mut world.database;
    let leads = [("router-port".into(), format!("r{router}-{subnet}").as_str().into())];
    let port = database.insert(SWITCH_PORT, &[(switch_port::TYPE, "router".into())]);
    database.set(SWITCH_PORT, port, switch_port::OPTIONS, Value::map(leads.to_vec()));
    let address = guest(subnet).to_string();
    let records = [
        (format!("r{router}-g"), address.clone()),
        (format!("r{router}-g.{DOMAIN}"), format!("{address} {NOBODYS}")),
        (format!("r7-secret.{DOMAIN}"), NOBODYS.to_owned()),
    ];
    let records = records.iter().map(|(name, text)| (name.as_str().into(), text.as_str().into()));
    let row = database.insert(DNS, &[]);
    database.set(DNS, row, dns::RECORDS, Value::map(records.collect()));
    let switch = database.insert(LOGICAL_SWITCH, &[]);
    database.set(LOGICAL_SWITCH, switch, logical_switch::PORTS, Value::set(vec![port.into()]));
    database.set(LOGICAL_SWITCH, switch, logical_switch::DNS_RECORDS, Value::set(vec![row.into()]));
}
