//! The names of the other side's guests that guests of a link's ends are told: a row of `DNS` an
//! end, with the references of its switches.
//!
//! A switch never refers to the other side's own row: that may have names of guests whose addresses
//! do not cross, and its owner could write any name there later.

use crate::northbound::tables::{DNS, dns};
use crate::northbound::{Answer, End};
use crate::ovsdb::Datum;

use super::contributor::{Unit, Wants};

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Link(link) = unit else { return };
    for end in End::BOTH {
        let Some(naming) = link.end(end).naming.as_deref() else { continue };
        if naming.told.is_empty() {
            continue;
        }
        let records = naming.told.iter().map(|(name, answer)| (name.to_string(), text(answer)));
        let mut row = wants.row(DNS, None).set(dns::RECORDS, Datum::map(records));
        row.end = Some(end);
        row.referrers.clone_from(&naming.switches);
        wants.rows.push(row);
    }
}

/// An answer as OVN reads it.
fn text(answer: &Answer) -> String {
    match answer {
        Answer::Addresses(addresses) => {
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        }
        Answer::Name(_, name) => name.to_string(),
    }
}
