//! What the server does not take, as long as that lasts.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::ovsdb::TransactError;
use crate::view::RefusalView;

use super::state::Unit;

/// The last trouble.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    last: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    view: RefusalView,
    /// What it was about.
    units: BTreeSet<Unit>,
}

impl Troubles {
    /// Notes an error; tells whether it is another one than before. Rows that were outrun are no trouble.
    pub(super) fn note(
        &mut self,
        error: &TransactError,
        units: &BTreeSet<Unit>,
        now: Timestamp,
    ) -> bool {
        if error.is_outrun() {
            return true;
        }
        let error = error.to_string();
        if let Some(last) = self.last.as_mut().filter(|last| last.view.error == error) {
            last.view.times += 1;
            last.units.extend(units.iter().cloned());
            return false;
        }
        let view = RefusalView { error, since: now, times: 1 };
        self.last = Some(Trouble { view, units: units.clone() });
        true
    }

    /// Something was written: with it goes the trouble about these. What was refused about others stays.
    pub(super) fn written(&mut self, units: &BTreeSet<Unit>, is_refused: impl Fn(&Unit) -> bool) {
        self.last.take_if(|last| {
            last.units.retain(|unit| !units.contains(unit) && is_refused(unit));
            last.units.is_empty()
        });
    }

    /// These are as they shall be, whoever saw to that.
    pub(super) fn clean(&mut self, units: &BTreeSet<Unit>) {
        self.last.take_if(|last| {
            last.units.retain(|unit| !units.contains(unit));
            last.units.is_empty()
        });
    }

    pub(super) fn view(&self) -> Option<RefusalView> {
        self.last.as_ref().map(|last| last.view.clone())
    }
}
