//! What a gateway router must not translate: a set per family of all prefixes that it reaches over
//! links of ours, lent to its NAT rows as `exempted_ext_ips` (northbound.md section 2).

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;

use crate::northbound::owner::{Id, remotes_set_name};
use crate::northbound::tables::{ADDRESS_SET, NAT, address_set, nat};
use crate::northbound::{Family, UnitId};
use crate::ovsdb::Datum;
use crate::peering::Ready;

use super::lent::{Cell, Loan};
use super::row::DesiredRow;

/// The sets of a network: none that no NAT row needs.
#[must_use]
pub fn exempt_rows(network: Id, ready: &Ready, remote: &BTreeSet<IpNet>) -> Vec<DesiredRow> {
    let unit: Arc<str> = UnitId::Network(network).tag().into();
    let of = |family: Family| {
        let prefixes: Vec<String> = remote
            .iter()
            .filter(|prefix| Family::of(prefix) == family)
            .map(ToString::to_string)
            .collect();
        if prefixes.is_empty() || loans_of(network, ready, family).next().is_none() {
            return None;
        }
        let row = DesiredRow::new(ADDRESS_SET, None, Arc::clone(&unit))
            .set(address_set::NAME, remotes_set_name(network, family))
            .set(address_set::ADDRESSES, Datum::strings(prefixes));
        Some(row)
    };
    Family::BOTH.into_iter().filter_map(of).collect()
}

/// The NAT rows that are to refer to them.
#[must_use]
pub fn exempt_loans(network: Id, ready: &Ready, remote: &BTreeSet<IpNet>) -> Vec<Loan> {
    let needed = |family: &Family| remote.iter().any(|prefix| Family::of(prefix) == *family);
    let families = Family::BOTH.into_iter().filter(needed);
    families.flat_map(|family| loans_of(network, ready, family)).collect()
}

/// A row whose owner has chosen the destinations is left alone.
fn loans_of(network: Id, ready: &Ready, family: Family) -> impl Iterator<Item = Loan> {
    let rows = ready.router.translations.iter();
    let rows = rows.filter(move |nat| nat.chosen.is_none() && Family::of(&nat.sources) == family);
    rows.map(move |translation| Loan {
        cell: Cell { table: NAT, row: translation.row, column: nat::EXEMPTED_EXT_IPS, key: None },
        ours: remotes_set_name(network, family),
        before: None,
    })
}
