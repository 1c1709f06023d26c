//! What one file gives to the whole.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, Network, Rejection};
use super::toml_reader::TomlReader;

/// The declarations of one file that is free of errors, with their places.
#[derive(Clone, Debug, Default)]
pub(super) struct Contribution {
    /// The uid of whoever owned the file then.
    pub(super) owner: Option<u32>,
    pub(super) networks: Vec<(Option<Position>, Arc<Network>)>,
    pub(super) halves: Vec<(Option<Position>, Half)>,
    pub(super) rejections: Vec<(Option<Position>, Rejection)>,
}

impl Contribution {
    /// Nothing, from a file of this owner.
    pub(super) fn of(owner: Option<u32>) -> Self {
        Self { owner, ..Self::default() }
    }

    /// Adds what the same file gave besides.
    pub(super) fn join(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.halves.extend(other.halves);
        self.rejections.extend(other.rejections);
    }
}

/// What reading one file gave.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// `None` when anything is wrong: a file counts as a whole or not at all.
    pub(super) contribution: Option<Contribution>,
    /// The project that a file of `peerings.d` speaks for, and where it says so.
    pub(super) project: Option<(Arc<str>, Position)>,
    /// In the order of the text.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl Parsed {
    pub(super) fn new(
        reader: TomlReader<'_>,
        contribution: Contribution,
        project: Option<(Arc<str>, Position)>,
    ) -> Self {
        let contribution = (!reader.is_bad()).then_some(contribution);
        Self { contribution, project, diagnostics: reader.close() }
    }
}
