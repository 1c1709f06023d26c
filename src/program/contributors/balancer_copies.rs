//! The copies of load balancers that guests of a link's ends use, with the references of their
//! switches.
//!
//! A switch never refers to the other side's own row: its owner could write any address there later,
//! and take the guests' traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::northbound::tables::{HEALTH_CHECK, LOAD_BALANCER, health_check, load_balancer};
use crate::northbound::{Balancer, End, Vip};
use crate::ovsdb::Datum;

use super::super::row::{DesiredRow, Parent};
use super::contributor::{Unit, Wants};

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    for end in End::BOTH {
        let Some(balancing) = &link.end(end).balancing else { continue };
        for copy in &balancing.copies {
            let name: Arc<str> = copy.name.as_str().into();
            let mut row = content(&copy.content, wants.row(LOAD_BALANCER, None))
                .set(load_balancer::NAME, copy.name.as_str());
            row.referrers.clone_from(&balancing.switches);
            wants.rows.push(row);
            for vip in &copy.content.vips {
                let parent = Parent::Named(Arc::clone(&name), None);
                let row = wants.row(HEALTH_CHECK, Some(parent));
                wants.rows.extend(check(vip, row));
            }
        }
    }
}

fn content(balancer: &Balancer, row: DesiredRow) -> DesiredRow {
    let backends = |vip: &Vip| {
        let backends: Vec<String> = vip.backends.iter().map(|it| it.at.to_string()).collect();
        backends.join(",")
    };
    let vips = balancer.vips.iter().map(|vip| (vip.at.to_string(), backends(vip)));
    let mut row = row.set(load_balancer::VIPS, Datum::map(vips));
    if let Some(protocol) = balancer.protocol {
        row = row.set(load_balancer::PROTOCOL, protocol);
    }
    if !balancer.selection_fields.is_empty() {
        let fields = balancer.selection_fields.iter().copied();
        row = row.set(load_balancer::SELECTION_FIELDS, Datum::strings(fields));
    }
    let reject = balancer.reject.map(|reject| ("reject", reject.to_string()));
    let affinity = balancer.affinity_timeout.map(|it| ("affinity_timeout", it.to_string()));
    let options: Vec<_> = reject.into_iter().chain(affinity).collect();
    if !options.is_empty() {
        row = row.set(load_balancer::OPTIONS, Datum::map(options));
    }
    let backends = balancer.vips.iter().flat_map(|vip| &vip.backends);
    let checked: BTreeMap<_, _> = backends.filter_map(|it| it.checked.clone()).collect();
    if !checked.is_empty() {
        row = row.set(load_balancer::IP_PORT_MAPPINGS, Datum::map(checked));
    }
    row
}

/// The health check of a virtual address, if its owner has one.
fn check(vip: &Vip, row: DesiredRow) -> Option<DesiredRow> {
    let options = vip.check.as_ref()?;
    let row = row.set(health_check::VIP, vip.at.to_string());
    if options.is_empty() {
        return Some(row);
    }
    let options = options.iter().map(|(key, number)| (*key, number.to_string()));
    Some(row.set(health_check::OPTIONS, Datum::map(options)))
}
