//! The first time: what the northbound remembers comes before what the files say now.
//!
//! A file that does not parse keeps its last good halves over a restart too, and the
//! mass-withdrawal guard measures against what stood: so the registrations are read into the book
//! before the first reading. Readings that come earlier are kept, one text per file.

use std::collections::BTreeMap;

use crate::declare::{Book, Directory, FileId, Half, Network, Reading, Settings, SourceFile};
use crate::northbound::Northbound;
use crate::northbound::registration::{half_records, network_record};
use crate::northbound::router::cell;
use crate::northbound::tables::{ADDRESS_SET, address_set};

use super::state::State;

/// What is kept until the northbound has been read.
#[derive(Debug)]
pub(super) struct Startup {
    settings: Settings,
    early: Option<Early>,
}

#[derive(Debug, Default)]
struct Early {
    files: BTreeMap<FileId, SourceFile>,
    directories: BTreeMap<Directory, Result<(), String>>,
}

impl Startup {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { settings: settings.clone(), early: Some(Early::default()) }
    }

    pub(super) fn configure(&mut self, settings: &Settings) {
        self.settings = settings.clone();
    }

    /// Whether the northbound has been read once.
    pub(super) fn begun(&self) -> bool {
        self.early.is_none()
    }

    /// Keeps what was read for as long as it may have to be read again.
    pub(super) fn keep(&mut self, reading: &Reading) {
        let Some(early) = &mut self.early else { return };
        for (directory, result) in &reading.directories {
            if reading.complete && result.is_ok() {
                early.files.retain(|id, _| id.directory != *directory);
            }
            early.directories.insert(*directory, result.clone());
        }
        for id in &reading.removed {
            early.files.remove(id);
        }
        for file in &reading.files {
            early.files.insert(file.id.clone(), file.clone());
        }
    }

    /// Begins anew with what the northbound remembers, then with what was kept. Only once.
    pub(super) fn begin(&mut self, state: &mut State, northbound: &Northbound) {
        let Some(early) = self.early.take() else { return };
        let mut book = Book::new(&self.settings);
        remember(&mut book, northbound);
        if !early.directories.is_empty() {
            book.fold(Reading {
                complete: true,
                files: early.files.into_values().collect(),
                removed: Vec::new(),
                directories: early.directories.into_iter().collect(),
            });
        }
        *state = State::with(book, std::mem::take(&mut state.host));
        state.declare_all();
        state.resolver.mark_all(northbound);
    }
}

/// Reads the registrations: each file's last good contribution.
fn remember(book: &mut Book, northbound: &Northbound) {
    let mut files: BTreeMap<FileId, (Vec<Network>, Vec<Half>)> = BTreeMap::new();
    for (_, row) in northbound.replica().rows(ADDRESS_SET) {
        let tags = cell(row, address_set::EXTERNAL_IDS);
        let Some(network) = network_record(tags) else { continue };
        if let Some((file, binding)) = network.bound() {
            files.entry(file).or_default().0.push(binding);
        }
        for (name, record) in half_records(tags) {
            let Some(record) = record else { continue };
            let (file, half) = record.declaration(network.key(), name);
            files.entry(file).or_default().1.push(half);
        }
    }
    for (file, (networks, halves)) in files {
        book.remember(file, networks, halves);
    }
}
