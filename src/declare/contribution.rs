//! What one file contributes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Position};
use super::model::{Half, Network, Rejection, RouterRef};
use super::source::{FileId, Origin, Owner};
use super::tool_network::ToolNetwork;

/// The declarations of one file, with their positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    pub(super) networks: Vec<(Option<Position>, Arc<Network>)>,
    pub(super) halves: Vec<(Option<Position>, Half)>,
    pub(super) rejections: Vec<(Option<Position>, Rejection)>,
}

impl Entries {
    /// Adds further declarations of the same file.
    pub(super) fn extend(&mut self, other: Self) {
        self.networks.extend(other.networks);
        self.halves.extend(other.halves);
        self.rejections.extend(other.rejections);
    }
}

/// A file as it was read, parsed.
#[derive(Clone, Debug)]
pub struct ParsedFile {
    /// Which one.
    pub id: FileId,
    pub(super) path: Arc<str>,
    /// Who owns it, or is to answer for that it cannot be read; `None` when that is unknown.
    pub owner: Option<Owner>,
    /// `None` if the file has an error: a file counts as a whole or not at all.
    pub(super) entries: Option<Entries>,
    /// The project of a file of `peerings.d`, and where the file names it.
    pub(super) project: Option<(Arc<str>, Position)>,
    /// In the order of the text.
    pub(super) diagnostics: Vec<Diagnostic>,
}

impl ParsedFile {
    /// The faults of its text.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The tools' networks that networks of it are bound to.
    pub fn tool_networks(&self) -> impl Iterator<Item = &Arc<ToolNetwork>> {
        let networks = self.entries.iter().flat_map(|entries| &entries.networks);
        networks.filter_map(|(_, network)| network.of.as_ref())
    }

    /// Binds its networks to the routers that are those of tools' networks; to none where that is not known.
    pub fn bind(&mut self, router: impl Fn(&ToolNetwork) -> Option<Arc<str>>) {
        for (_, network) in self.entries.iter_mut().flat_map(|entries| &mut entries.networks) {
            if let Some(of) = &network.of
                && let Some(name) = router(of)
            {
                Arc::make_mut(network).router = RouterRef::named(&name);
            }
        }
    }
}

/// The declarations of a file that may speak for them.
#[derive(Clone, Debug)]
pub(super) struct Contribution {
    pub(super) origin: Arc<Origin>,
    pub(super) entries: Entries,
}

/// New contributions by file; `None` for a file that is gone.
pub(super) type Outcomes = BTreeMap<FileId, Option<Contribution>>;
