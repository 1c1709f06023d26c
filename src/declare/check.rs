//! The offline check: everything that can be said about a configuration without OVN.

use std::sync::Arc;

use super::book::Book;
use super::diagnostic::{Diagnostic, Severity};
use super::page::nearest;
use super::settings::Settings;
use super::source::Reading;

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
pub fn check(settings: &Settings, reading: Reading) -> Checked {
    let mut book = Book::new(settings);
    book.fold(reading);
    let mut diagnostics: Vec<Diagnostic> = book.diagnostics().cloned().collect();
    diagnostics.extend(unbound(&book));
    diagnostics.sort();
    Checked { diagnostics, networks: book.networks().count(), halves: book.halves().count() }
}

/// Halves whose own network no file binds. Their targets are not looked at: whether those exist
/// is for their owners to know (S0.10).
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
