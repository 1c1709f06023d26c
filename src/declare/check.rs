//! The offline check: everything that can be said about a configuration without OVN.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::Book;
use super::diagnostic::{Diagnostic, Severity};
use super::page::nearest;
use super::settings::Settings;
use super::source::{ParsedFile, Reading};

/// What a configuration says and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// In the order of files, lines and columns.
    pub diagnostics: Vec<Diagnostic>,
    /// How many networks are bound.
    pub networks: usize,
    /// How many halves are declared.
    pub halves: usize,
}

/// Checks one complete reading by itself, as a daemon that remembers nothing would see it.
#[must_use]
pub fn check(settings: &Settings, reading: impl Into<Reading<ParsedFile>>) -> Checked {
    let mut book = Book::new(settings);
    book.fold(reading);
    let mut diagnostics: Vec<Diagnostic> = book.diagnostics().cloned().collect();
    diagnostics.extend(unbound(&book));
    diagnostics.extend(mute(&book));
    diagnostics.extend(shared(&book));
    diagnostics.sort();
    diagnostics.dedup();
    Checked { diagnostics, networks: book.networks().count(), halves: book.halves().count() }
}

/// Halves that announce nothing: their peering carries nothing either.
fn mute(book: &Book) -> impl Iterator<Item = Diagnostic> {
    let mute = book
        .halves()
        .filter(|half| half.terms().export.filter.rules().is_some_and(<[_]>::is_empty));
    mute.filter_map(|half| {
        let (file, position) = book.place_of_half(&half.key)?;
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Warning,
            message: format!("half {} exports nothing, so nothing crosses its peering", half.key),
            hint: Some(
                "name prefixes in `export`, or remove it to announce all that the network has"
                    .to_owned(),
            ),
        })
    })
}

/// Networks whose router is another network's, too: neither peers.
fn shared(book: &Book) -> impl Iterator<Item = Diagnostic> {
    let mut first = BTreeMap::new();
    book.networks().filter_map(move |network| {
        let other = first.insert(network.router.clone(), &network.key)?;
        let (file, position) = book.place_of_network(&network.key)?;
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Error,
            message: format!(
                "network {} is on router {}, as is network {other}",
                network.key, network.router
            ),
            hint: Some("a router serves one network: remove one of the two".to_owned()),
        })
    })
}

/// Halves whose own network no file binds. Their targets are not looked at: whether those exist
/// is for their owners to know.
fn unbound(book: &Book) -> impl Iterator<Item = Diagnostic> {
    let unbound = book.halves().filter(|half| book.network(&half.key.network).is_none());
    unbound.filter_map(|half| {
        let (file, position) = book.place_of_half(&half.key)?;
        let network = &half.key.network;
        let bound = book.networks().filter(|other| other.key.project == network.project);
        let hint = match nearest(&network.name, bound.map(|other| &*other.key.name)) {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => "the operator binds it to a Logical_Router in networks.d".to_owned(),
        };
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Warning,
            message: format!("network {network} is bound in no file of networks.d"),
            hint: Some(hint),
        })
    })
}
