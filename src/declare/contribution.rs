//! What one file gives to the whole.

use std::sync::Arc;

use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, Network, Rejection};
use super::page::Page;

/// The declarations of one file that is free of errors, with their places.
#[derive(Clone, Debug, Default)]
pub(super) struct Contribution {
    pub(super) networks: Vec<(Option<Position>, Arc<Network>)>,
    pub(super) halves: Vec<(Option<Position>, Half)>,
    pub(super) rejections: Vec<(Option<Position>, Rejection)>,
}

/// What reading one file gave.
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
        page: Page<'_>,
        contribution: Contribution,
        project: Option<(Arc<str>, Position)>,
    ) -> Self {
        let contribution = (!page.is_bad()).then_some(contribution);
        Self { contribution, project, diagnostics: page.close() }
    }
}
