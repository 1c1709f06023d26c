//! Declarations from before a restart: each file's last good ones, as the northbound has recorded
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declare::contribution::{Contribution, Entries, Outcomes};
use crate::declare::model::{Half, Network, Rejection};
use crate::declare::source::{FileId, Giver, Origin};

/// The last accepted contribution of each file, with its owner of then.
pub type Remembered = BTreeMap<Giver, LastGood>;

/// The contribution of one file then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LastGood {
    /// Its networks.
    pub networks: Vec<Network>,
    /// Its halves.
    pub halves: Vec<Half>,
    /// Its rejections.
    pub rejections: Vec<Rejection>,
}

/// The recorded contributions; `path` says how diagnostics show a file.
pub(super) fn contributions(
    remembered: Remembered,
    path: impl Fn(&FileId) -> Arc<str>,
) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for (giver, good) in remembered {
        let file = giver.file.clone();
        let mut entries = Entries {
            networks: good.networks.into_iter().map(|it| (None, Arc::new(it))).collect(),
            halves: good.halves.into_iter().map(|half| (None, half)).collect(),
            rejections: good.rejections.into_iter().map(|it| (None, it)).collect(),
        };
        // A file that got another owner while the daemon was stopping may have recorded
        // contributions of both.
        if let Some(Some(other)) = outcomes.remove(&file) {
            entries.extend(other.entries);
        }
        let origin = Arc::new(Origin { giver, path: path(&file) });
        outcomes.insert(file, Some(Contribution { origin, entries }));
    }
    outcomes
}
