//! The counter of each host: how often it has changed its entries in registrations.
//!
//! The counters are entries of one Address_Set of ours that belongs to no network. A host raises
//! its own counter in the transaction that changes its entries. So a counter that is lower than
//! before shows that the northbound was restored from a backup. The set stays when all
//! registrations have ended, because the counter of a host that has withdrawn everything counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declare::Host;
use crate::ovsdb::ValueRef;

/// The name of the Address_Set.
pub const COUNTERS_NAME: &str = "ovn_peerd_hosts";
/// The key of a host's counter is this and the host's name.
const COUNTER_PREFIX: &str = "ovn-peerd-counter:";

/// Before a host's name, the key of the mark of its last change of the store.
const STORED_PREFIX: &str = "ovn-peerd-stored:";

/// Counters by host.
pub type HostCounters = BTreeMap<Host, u64>;

/// The key of a host's counter.
#[must_use]
pub fn counter_key(host: &str) -> String {
    format!("{COUNTER_PREFIX}{host}")
}

/// The key of the store's counter as the last change by this host has set it.
#[must_use]
pub fn stored_mark(host: &str) -> String {
    format!("{STORED_PREFIX}{host}")
}

/// All counters. One that is no number counts as missing.
#[must_use]
pub fn counters(external_ids: ValueRef<'_>) -> HostCounters {
    let counters = external_ids.entries().filter_map(|(key, text)| {
        let host = key.strip_prefix(COUNTER_PREFIX)?;
        Some((Arc::from(host), text.parse().ok()?))
    });
    counters.collect()
}
