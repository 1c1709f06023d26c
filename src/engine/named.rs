//! What a half shows of names: how many it offers, and which of the other side guests of its network
//! are told.

use uuid::Uuid;

use crate::declare::HalfKey;
use crate::northbound::owner::{END_KEY, end_tag};
use crate::northbound::tables::{DNS, dns};
use crate::northbound::{Answer, End, Northbound};
use crate::ovsdb::TableId;
use crate::peering::{Resolver, end_of};
use crate::view::{NameView, NamesView};

/// The names of a half.
pub(super) fn names(resolver: &Resolver, half: &HalfKey) -> Option<NamesView> {
    let pair = resolver.pair_of(half)?;
    let naming = resolver.link(pair)?.end(end_of(pair, &half.network)).naming.as_deref()?;
    let told = naming.told.iter().map(|(name, answer)| NameView {
        name: name.to_string(),
        answers: match answer {
            Answer::Addresses(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Answer::Name(_, name) => vec![name.to_string()],
        },
    });
    Some(NamesView {
        offered: naming.offered,
        told: told.collect(),
        taken: naming.taken.iter().map(|name| name.to_string()).collect(),
    })
}

/// Whether a row has the names that guests of an end are told.
pub(super) fn is_told_to(end: End, (table, row): (TableId, Uuid), northbound: &Northbound) -> bool {
    let row = northbound.replica().row(table, row).filter(|_| table == DNS);
    row.is_some_and(|row| row.get(dns::EXTERNAL_IDS).holds(END_KEY, end_tag(end)))
}
