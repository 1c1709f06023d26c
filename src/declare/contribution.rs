//! The contribution of one file.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, Network, Rejection};
use super::toml_reader::TomlReader;

/// The declarations of one file without errors, with their positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Contribution {
    /// The uid of the file's owner then.
    pub(super) owner: Option<u32>,
    pub(super) networks: Vec<(Option<Position>, Arc<Network>)>,
    pub(super) halves: Vec<(Option<Position>, Half)>,
    pub(super) rejections: Vec<(Option<Position>, Rejection)>,
}

impl Contribution {
    /// An empty contribution, from a file of this owner.
    pub(super) fn of(owner: Option<u32>) -> Self {
        Self { owner, ..Self::default() }
    }

    /// Adds another contribution of the same file.
    pub(super) fn join(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.halves.extend(other.halves);
        self.rejections.extend(other.rejections);
    }
}

/// The result of parsing one file.
#[derive(Clone, Debug)]
pub(super) struct Parsed {
    /// `None` if the file has an error: a file counts as a whole or not at all.
    pub(super) contribution: Option<Contribution>,
    /// The project of a file of `peerings.d`, and where the file names it.
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
