//! How far each link has come: committed, and acted on by OVN.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::declare::PeeringKey;

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its rows are not all in the northbound.
    Uncommitted,
    /// They are; ovn-northd has yet to reach this `nb_cfg`.
    Committed(i64),
    /// OVN has acted on them.
    Acted,
}

/// The stages of all links.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stages: HashMap<PeeringKey, Stage>,
    waiting: BTreeMap<i64, BTreeSet<PeeringKey>>,
}

impl Progress {
    pub(super) fn stage(&self, pair: &PeeringKey) -> Stage {
        self.stages.get(pair).copied().unwrap_or(Stage::Uncommitted)
    }

    /// A pair was decided: one without a link has no stage.
    pub(super) fn resolved(&mut self, pair: &PeeringKey, linked: bool) {
        if !linked {
            self.forget(pair);
        }
    }

    /// The rows of a link are in the northbound. What OVN has acted on stays so: repairs and
    /// followed changes do not take a peering out of service.
    pub(super) fn committed(&mut self, pair: &PeeringKey, nb_cfg: Option<i64>) {
        if self.stage(pair) != Stage::Uncommitted {
            return;
        }
        let target = nb_cfg.unwrap_or(0);
        self.stages.insert(pair.clone(), Stage::Committed(target));
        self.waiting.entry(target).or_default().insert(pair.clone());
    }

    /// The sequence numbers as they are now; returns the links that OVN has acted on since.
    pub(super) fn sequence(
        &mut self,
        nb_cfg: Option<i64>,
        sb_cfg: Option<i64>,
    ) -> BTreeSet<PeeringKey> {
        let (Some(nb_cfg), Some(sb_cfg)) = (nb_cfg, sb_cfg) else { return BTreeSet::new() };
        // A northbound restored from a backup counts from an older number.
        if let Some(beyond) = nb_cfg.checked_add(1) {
            for pair in self.waiting.split_off(&beyond).into_values().flatten() {
                self.stages.insert(pair.clone(), Stage::Committed(nb_cfg));
                self.waiting.entry(nb_cfg).or_default().insert(pair);
            }
        }
        let mut acted = BTreeSet::new();
        while let Some(entry) = self.waiting.first_entry() {
            if *entry.key() > sb_cfg {
                break;
            }
            for pair in entry.remove() {
                self.stages.insert(pair.clone(), Stage::Acted);
                acted.insert(pair);
            }
        }
        acted
    }

    fn forget(&mut self, pair: &PeeringKey) {
        let Some(Stage::Committed(target)) = self.stages.remove(pair) else { return };
        if let Some(pairs) = self.waiting.get_mut(&target) {
            pairs.remove(pair);
            if pairs.is_empty() {
                self.waiting.remove(&target);
            }
        }
    }
}
