//! What several hosts say of one thing, and which of it counts.

use std::sync::Arc;

use jiff::Timestamp;

use super::model::{Half, Host, Network};
use super::registered::ByHost;
use super::stored::STORE;

/// The declaration of one thing by all hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a, T> {
    /// The declaration that counts.
    pub value: &'a T,
    /// The hosts in dispute, if some differ.
    pub dispute: Option<Dispute>,
}

/// Hosts that declare one half or network differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// All hosts that declare it.
    pub hosts: Vec<Host>,
    /// Whether an existing link uses one of the declarations, so that it stays in effect.
    pub stands: bool,
}

impl<T> Said<'_, T> {
    /// Whether it counts: no host differs, or an existing link uses this declaration.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.dispute.as_ref().is_none_or(|dispute| dispute.stands)
    }
}

/// Something that several hosts may declare.
pub(super) trait Shared {
    /// Whether both mean the same. Texts for people may differ.
    fn agrees(&self, other: &Self) -> bool;

    /// Of declarations that agree, the one with the greatest weight counts; of equal ones, that of
    /// the first host.
    fn weight(&self) -> Option<Timestamp>;
}

impl Shared for Arc<Network> {
    fn agrees(&self, other: &Self) -> bool {
        self == other || self.is_same(other)
    }

    fn weight(&self) -> Option<Timestamp> {
        None
    }
}

impl Shared for Half {
    fn agrees(&self, other: &Self) -> bool {
        self.target == other.target
            && self.configured_status == other.configured_status
            && self.terms == other.terms
    }

    /// The latest request counts, so a host with older files does not undo a renewal.
    fn weight(&self) -> Option<Timestamp> {
        self.requested
    }
}

/// The declarations of others that count: that of the store only if no file declares the same.
fn in_effect<T>(in_own_file: bool, others: &[ByHost<T>]) -> impl Iterator<Item = &ByHost<T>> {
    let is_stored = |by_host: &ByHost<T>| *by_host.host == *STORE;
    let in_file = in_own_file || others.iter().any(|it| !is_stored(it));
    others.iter().filter(move |it| !in_file || !is_stored(it))
}

/// What the store has of it.
pub(super) fn stored<T>(all: Option<&Vec<ByHost<T>>>) -> Option<&ByHost<T>> {
    all?.iter().find(|by_host| *by_host.host == *STORE)
}

fn weightiest<'a, T: Shared>(values: impl Iterator<Item = &'a T>) -> Option<&'a T> {
    values.reduce(|best, next| if next.weight() > best.weight() { next } else { best })
}

/// The declaration that counts, of what this host and others declare.
pub(super) fn choose<'a, T: Shared>(
    host: &'a Host,
    own: Option<&'a T>,
    others: &'a [ByHost<T>],
    stands: impl Fn(&T) -> bool,
) -> Option<Said<'a, T>> {
    let mut others = in_effect(own.is_some(), others).peekable();
    if others.peek().is_none() {
        return own.map(|value| Said { value, dispute: None });
    }
    let mut all: Vec<(&Host, &T)> = others.map(|by_host| (&by_host.host, &by_host.value)).collect();
    all.extend(own.map(|own| (host, own)));
    all.sort_by_key(|(host, _)| *host);
    let (_, first) = *all.first()?;
    let values = || all.iter().map(|(_, value)| *value);
    if values().all(|value| value.agrees(first)) {
        return Some(Said { value: weightiest(values()).unwrap_or(first), dispute: None });
    }
    let standing = weightiest(values().filter(|value| stands(value)));
    let hosts = all.iter().map(|(host, _)| Arc::clone(host)).collect();
    let dispute = Some(Dispute { hosts, stands: standing.is_some() });
    Some(Said { value: standing.unwrap_or(first), dispute })
}

/// The hosts whose declarations count, in order.
pub(super) fn hosts_in_effect<T>(
    host: &Host,
    own: Option<&T>,
    others: Option<&Vec<ByHost<T>>>,
) -> Vec<Host> {
    let others = others.map(Vec::as_slice).unwrap_or_default();
    let others = in_effect(own.is_some(), others).map(|by_host| Arc::clone(&by_host.host));
    let mut hosts: Vec<Host> = others.chain(own.map(|_| Arc::clone(host))).collect();
    hosts.sort();
    hosts
}
