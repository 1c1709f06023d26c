//! NAT exemptions of a gateway router: an Address_Set per family with all prefixes that it reaches
//! over links of ours. Its NAT rows refer to the set by `exempted_ext_ips`.

use crate::northbound::Family;
use crate::northbound::borrowed::{Field, Kind};
use crate::northbound::owner::remotes_set_name;
use crate::northbound::tables::{ADDRESS_SET, NAT, address_set, nat};
use crate::ovsdb::Datum;

use super::super::borrowed::BorrowedField;
use super::contributor::{Unit, Wants};

/// There is a set only if a NAT row needs it. If the owner of a row has set the destinations, the
/// row stays as it is.
pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Network(network) = unit else { return };
    let translations = network.linked.map(|ready| &ready.router.translations);
    let Some(translations) = translations.filter(|rows| !rows.is_empty()) else { return };
    let remote = (network.remote)();
    for family in Family::BOTH {
        let set = remotes_set_name(network.id, family);
        let ours = |row| BorrowedField {
            field: Field { table: NAT, row, column: nat::EXEMPTED_EXT_IPS, kind: Kind::Reference },
            ours: set.clone(),
            before: None,
        };
        let of_family = |prefix: &&ipnet::IpNet| Family::of(prefix) == family;
        let free = translations.iter().filter(|nat| nat.chosen.is_none());
        let rows = free.filter(|nat| of_family(&&nat.sources)).map(|nat| ours(nat.row));
        let (rows, prefixes): (Vec<_>, Vec<_>) =
            (rows.collect(), remote.iter().filter(of_family).map(ToString::to_string).collect());
        if prefixes.is_empty() || rows.is_empty() {
            continue;
        }
        wants.borrowed.extend(rows);
        let set = wants
            .row(ADDRESS_SET, None)
            .set(address_set::NAME, set)
            .set(address_set::ADDRESSES, Datum::strings(prefixes));
        wants.rows.push(set);
    }
}
