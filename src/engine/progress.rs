//! How far each link has come: committed, and acted on by OVN; and whether a later change of it has.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::declare::PeeringKey;
use crate::northbound::{Touched, UnitId};

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its rows are not all in the northbound.
    Uncommitted,
    /// They are; ovn-northd has yet to reach this `nb_cfg`.
    Committed(i64),
    /// OVN has acted on them.
    Acted,
    /// OVN has acted on them once, and has yet to act on what changed since.
    Changed(i64),
}

/// The stages of all links.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stages: HashMap<PeeringKey, Stage>,
    waiting: BTreeMap<i64, BTreeSet<PeeringKey>>,
    /// Peerings whose rows changed, until they are found to be as they shall be: the `nb_cfg` that says
    /// of OVN that it has acted on that.
    touched: BTreeMap<UnitId, i64>,
    /// The last `nb_cfg`.
    nb_cfg: i64,
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

    /// Rows changed, by us or another host: OVN has to act on them. An `nb_cfg` that was raised with them
    /// covers them, else the next one will.
    pub(super) fn touched(&mut self, touched: &Touched, nb_cfg: Option<i64>) {
        let nb_cfg = nb_cfg.unwrap_or_default();
        let target = if nb_cfg > self.nb_cfg { nb_cfg } else { nb_cfg.saturating_add(1) };
        let peerings = touched.units.iter().filter(|unit| matches!(unit, UnitId::Peering(_)));
        self.touched.extend(peerings.map(|unit| (*unit, target)));
    }

    /// A unit is as it shall be; which `nb_cfg` covers what changed of it, if anything did.
    pub(super) fn settled(&mut self, unit: UnitId) -> Option<i64> {
        self.touched.remove(&unit)
    }

    /// The links of which a change waits for OVN.
    pub(super) fn changed(&self) -> Vec<PeeringKey> {
        let waiting = self.waiting.values().flatten();
        waiting.filter(|pair| matches!(self.stage(pair), Stage::Changed(_))).cloned().collect()
    }

    /// Whether a link waits for an `nb_cfg` that nobody has raised yet.
    pub(super) fn is_uncovered(&self) -> bool {
        self.waiting.last_key_value().is_some_and(|(target, _)| *target > self.nb_cfg)
    }

    /// The rows of a link are in the northbound for the first time.
    pub(super) fn committed(&mut self, pair: &PeeringKey) {
        if self.stage(pair) == Stage::Uncommitted {
            self.wait(pair, Stage::Committed(self.nb_cfg), self.nb_cfg);
        }
    }

    /// Rows of a link changed. Repairs and followed changes do not take a peering out of service,
    /// but wait for OVN as well.
    pub(super) fn changed_until(&mut self, pair: &PeeringKey, target: i64) {
        if matches!(self.stage(pair), Stage::Acted | Stage::Changed(_)) {
            self.forget(pair);
            self.wait(pair, Stage::Changed(target), target);
        }
    }

    fn wait(&mut self, pair: &PeeringKey, stage: Stage, target: i64) {
        self.stages.insert(pair.clone(), stage);
        self.waiting.entry(target).or_default().insert(pair.clone());
    }

    /// The sequence numbers as they are now; returns the links that OVN has acted on since.
    pub(super) fn sequence(
        &mut self,
        nb_cfg: Option<i64>,
        sb_cfg: Option<i64>,
    ) -> BTreeSet<PeeringKey> {
        let (Some(nb_cfg), Some(sb_cfg)) = (nb_cfg, sb_cfg) else { return BTreeSet::new() };
        let before = std::mem::replace(&mut self.nb_cfg, nb_cfg);
        if nb_cfg < before {
            self.restored(nb_cfg);
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

    /// A northbound restored from a backup counts from an older number.
    fn restored(&mut self, nb_cfg: i64) {
        let Some(beyond) = nb_cfg.checked_add(1) else { return };
        for pair in self.waiting.split_off(&beyond).into_values().flatten() {
            match self.stage(&pair) {
                Stage::Changed(_) => self.wait(&pair, Stage::Changed(beyond), beyond),
                Stage::Uncommitted | Stage::Committed(_) | Stage::Acted => {
                    self.wait(&pair, Stage::Committed(nb_cfg), nb_cfg);
                }
            }
        }
        self.touched.values_mut().for_each(|target| *target = (*target).min(beyond));
    }

    fn forget(&mut self, pair: &PeeringKey) {
        let Some(Stage::Committed(target) | Stage::Changed(target)) = self.stages.remove(pair)
        else {
            return;
        };
        if let Some(pairs) = self.waiting.get_mut(&target) {
            pairs.remove(pair);
            if pairs.is_empty() {
                self.waiting.remove(&target);
            }
        }
    }
}
