//! How far each link has come: whether its rows are committed, whether OVN has acted on them, and
//! whether OVN has acted on later changes of them.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use crate::declare::PeeringKey;
use crate::northbound::{Touched, UnitId};

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Some of its rows are not in the northbound.
    Uncommitted,
    /// All of its rows are. ovn-northd has not reached this `nb_cfg` yet.
    Committed(i64),
    /// OVN has acted on them.
    Acted,
    /// OVN has acted on them once. It has not reached this `nb_cfg` yet, which covers a later
    /// change.
    Changed(i64),
}

/// The stages of all links.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stages: HashMap<PeeringKey, Stage>,
    waiting: BTreeMap<i64, BTreeSet<PeeringKey>>,
    /// Peerings whose rows changed and that are not verified since. The value is the `nb_cfg` that
    /// covers the change: OVN has acted on the change when it reaches that number.
    touched: BTreeMap<UnitId, i64>,
    /// The last `nb_cfg` seen.
    nb_cfg: i64,
}

impl Progress {
    pub(super) fn stage(&self, pair: &PeeringKey) -> Stage {
        self.stages.get(pair).copied().unwrap_or(Stage::Uncommitted)
    }

    /// The rules decided a pair. One without a link has no stage.
    pub(super) fn resolved(&mut self, pair: &PeeringKey, linked: bool) {
        if !linked {
            self.forget(pair);
        }
    }

    /// Rows changed, by us or by another host, and OVN has to act on them. If the same update
    /// raised `nb_cfg`, that number covers them, else the next one does.
    pub(super) fn touched(&mut self, touched: &Touched, nb_cfg: Option<i64>) {
        let nb_cfg = nb_cfg.unwrap_or_default();
        let target = if nb_cfg > self.nb_cfg { nb_cfg } else { nb_cfg.saturating_add(1) };
        let peerings = touched.units.iter().filter(|unit| matches!(unit, UnitId::Peering(_)));
        self.touched.extend(peerings.map(|unit| (*unit, target)));
    }

    /// A unit has no differences. Returns the `nb_cfg` that covers its last change, if it changed.
    pub(super) fn settled(&mut self, unit: UnitId) -> Option<i64> {
        self.touched.remove(&unit)
    }

    /// The links with a change that OVN has not acted on yet.
    pub(super) fn changed(&self) -> Vec<PeeringKey> {
        let waiting = self.waiting.values().flatten();
        waiting.filter(|pair| matches!(self.stage(pair), Stage::Changed(_))).cloned().collect()
    }

    /// Whether a link waits for an `nb_cfg` that nobody has set yet.
    pub(super) fn is_uncovered(&self) -> bool {
        self.waiting.last_key_value().is_some_and(|(target, _)| *target > self.nb_cfg)
    }

    /// The rows of a link are in the northbound for the first time.
    pub(super) fn committed(&mut self, pair: &PeeringKey) {
        if self.stage(pair) == Stage::Uncommitted {
            self.wait(pair, Stage::Committed(self.nb_cfg), self.nb_cfg);
        }
    }

    /// Rows of a link changed. A repair or a later change does not take a peering out of service,
    /// but it waits for OVN as well.
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

    /// Notes the current sequence numbers. Returns the links that OVN has acted on since.
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

    /// A northbound that was restored from a backup continues from an older number.
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
