//! The first time: what the northbound remembers comes before what the files say, and much of it is looked at before all
//! of it is there.

use jiff::Timestamp;

use crate::declare::{Changed, Giver, Remembered};
use crate::northbound::declared::{declared_by, network_of};
use crate::northbound::tables::{ROUTER_POLICY, STEPS, Step};
use crate::northbound::{Id, Northbound, Touched, UnitId};
use crate::ovsdb::TableId;

use super::state::State;

impl State {
    /// A part of the first dump has come: rows of these tables. How many peerings were decided is returned.
    pub(super) fn part(
        &mut self,
        tables: &[TableId],
        mut touched: Touched,
        northbound: &Northbound,
        now: Timestamp,
    ) -> usize {
        if self.begun {
            if tables == [ROUTER_POLICY] {
                touched.units.retain(|unit| !self.awaits_policies(*unit));
            }
            self.register(&touched.declared, northbound);
            self.resolver.touched(&touched, northbound);
        } else {
            self.recall(northbound);
        }
        let mut decided = 0;
        // A table without rows does not come.
        let is_time = |first: &TableId| tables.iter().any(|table| table >= first);
        for (_, step) in STEPS.iter().filter(|(first, _)| is_time(first)) {
            match step {
                Step::Declare if self.recalled => self.begin(northbound),
                Step::Survey if self.begun => self.resolver.survey(&self.roll, northbound),
                Step::Decide if self.begun => decided = self.look_ahead(northbound, now),
                Step::Declare | Step::Survey | Step::Decide => {}
            }
        }
        decided
    }

    /// Decides, and compares what is there, while the server composes the last policies. Nothing is told or written by that; of what
    /// comes later the rules are told like of any change. How many peerings were decided is returned.
    fn look_ahead(&mut self, northbound: &Northbound, now: Timestamp) -> usize {
        // A decision is noted for later ones to go on from: none is made without what was recorded, which nobody may have been.
        if registered(northbound).next().is_none() || self.reads_policies() {
            return 0;
        }
        let resolved = self.resolve(northbound, now, usize::MAX);
        self.verify(northbound);
        resolved.pairs.len()
    }

    /// Whether decisions are made from policies, too: where somebody makes the routes, they alone say what a router believes.
    fn reads_policies(&self) -> bool {
        self.roll.halves().iter().any(|half| {
            let said = self.resolver.said(half, &self.roll);
            said.is_some_and(|said| said.value.has_manual_routes())
        })
    }

    /// Whether a unit that was decided is to be compared yet, as it misses policies by then: that these come is no news for
    /// the rules.
    fn awaits_policies(&self, unit: UnitId) -> bool {
        self.is_declared(unit) && self.dirty.contains(unit)
    }

    /// Takes in what the northbound remembers of this host's files, as soon as its registrations are
    /// there: all of them come in one part of the first dump. Only once.
    fn recall(&mut self, northbound: &Northbound) {
        let registrations = || registered(northbound).filter_map(|id| northbound.registration(id));
        if !self.recalled && registrations().next().is_some() {
            self.recalled = true;
            self.roll.book.remember(remembered(self.roll.host(), northbound));
        }
    }

    /// Takes the other hosts' registrations in, and everything on the roll to the rules: until then
    /// there is nothing that they could be applied to. Only once; what comes afterwards is told as it
    /// comes.
    pub(super) fn begin(&mut self, northbound: &Northbound) {
        if self.begun {
            return;
        }
        self.register_all(northbound);
        self.declare_all(northbound);
        self.resolver.mark_all(northbound);
    }

    /// Takes over what other hosts declare in all registrations. What differs by that is returned.
    pub(super) fn register_all(&mut self, northbound: &Northbound) -> Changed {
        self.register(&registered(northbound).collect(), northbound)
    }

    /// What was taken from a first dump that has not come to its end counts no more, but for what this host was reminded of.
    pub(super) fn begin_anew(&mut self) {
        if self.begun {
            self.roll.forget_others();
            let recalled = self.recalled;
            *self = Self::with(self.roll.clone(), self.policy().clone());
            self.recalled = recalled;
        }
    }
}

fn registered(northbound: &Northbound) -> impl Iterator<Item = Id> {
    northbound.inventory().units().filter_map(|unit| match unit {
        UnitId::Network(id) => Some(id),
        UnitId::Peering(_) => None,
    })
}

/// Reads the registrations: the last good declarations of each of this host's files.
fn remembered(host: &str, northbound: &Northbound) -> Remembered {
    let mut files = Remembered::new();
    for id in registered(northbound) {
        let Some(tags) = northbound.registration(id) else { continue };
        let Some(network) = network_of(tags) else { continue };
        let own = declared_by(host, &network, tags);
        if let Some((file, binding)) = own.binding {
            files.entry(Giver { file, owner: None }).or_default().networks.push(binding);
        }
        for (giver, half) in own.halves {
            files.entry(giver).or_default().halves.push(half);
        }
        for (giver, rejection) in own.rejections {
            files.entry(giver).or_default().rejections.push(rejection);
        }
    }
    files
}
