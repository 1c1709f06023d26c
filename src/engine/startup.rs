//! The first time: what the northbound remembers comes before what the files say, and much of it is looked at before all
//! of it is there.

use crate::declare::{Changed, Remembered};
use crate::northbound::declared::{declared_by, network_of};
use crate::northbound::tables::{LAST_OF_NETWORKS, TIME_TO_DECLARE};
use crate::northbound::{Id, Northbound, Touched, UnitId};
use crate::ovsdb::TableId;
use crate::peering::Resolver;

use super::state::State;

impl State {
    /// A part of the first dump has come: rows of these tables.
    pub(super) fn part(&mut self, tables: &[TableId], touched: &Touched, northbound: &Northbound) {
        if self.begun {
            self.touched(touched, northbound);
            if tables.contains(&LAST_OF_NETWORKS) {
                self.resolver.survey(&self.roll, northbound);
            }
            return;
        }
        self.recall(northbound);
        if self.recalled && tables.contains(&TIME_TO_DECLARE) {
            self.begin(northbound);
        }
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
    /// there is nothing that they could be applied to. Only once; of what comes afterwards [`touched`](Self::touched) is
    /// to tell.
    pub(super) fn begin(&mut self, northbound: &Northbound) {
        if self.begun {
            return;
        }
        self.register(&registered(northbound).collect(), northbound);
        self.declare_all(northbound);
        self.resolver.mark_all(northbound);
    }

    /// Takes note of what changed in the northbound. What other hosts declare otherwise by that is returned.
    pub(super) fn touched(&mut self, touched: &Touched, northbound: &Northbound) -> Changed {
        let changed = self.register(&touched.declared, northbound);
        self.resolver.touched(touched, northbound);
        changed
    }

    /// What was taken from a first dump that has not come to its end counts no more.
    pub(super) fn begin_anew(&mut self) {
        if self.begun {
            self.begun = false;
            self.roll.forget_others();
            self.resolver = Resolver::default();
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
            files.entry(file).or_default().networks.push(binding);
        }
        for (file, half) in own.halves {
            files.entry(file).or_default().halves.push(half);
        }
        for (file, rejection) in own.rejections {
            files.entry(file).or_default().rejections.push(rejection);
        }
    }
    files
}
