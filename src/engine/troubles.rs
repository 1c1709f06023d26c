//! The last error with which the server rejected a transaction, until the cause is gone.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::northbound::UnitId;
use crate::ovsdb::TransactError;
use crate::view::RefusalView;

/// The last error.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    last: Option<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    view: RefusalView,
    /// The units that it is about.
    units: BTreeSet<UnitId>,
}

impl Troubles {
    /// Notes an error. Returns whether it is another one than before. A transaction that lost a
    /// race against another client is no trouble.
    pub(super) fn note(
        &mut self,
        error: &TransactError,
        units: &BTreeSet<UnitId>,
        now: Timestamp,
    ) -> bool {
        if error.is_outrun() {
            return true;
        }
        let error = error.to_string();
        if let Some(last) = self.last.as_mut().filter(|last| last.view.error == error) {
            last.view.times += 1;
            last.units.extend(units);
            return false;
        }
        let view = RefusalView { error, since: now, times: 1 };
        self.last = Some(Trouble { view, units: units.clone() });
        true
    }

    /// Units were written, so the error about these is over. An error about others stays.
    pub(super) fn written(
        &mut self,
        units: &BTreeSet<UnitId>,
        is_refused: impl Fn(UnitId) -> bool,
    ) {
        self.last.take_if(|last| {
            last.units.retain(|unit| !units.contains(unit) && is_refused(*unit));
            last.units.is_empty()
        });
    }

    /// These units have no differences any more, whoever wrote them.
    pub(super) fn clean(&mut self, units: &BTreeSet<UnitId>) {
        self.last.take_if(|last| {
            last.units.retain(|unit| !units.contains(unit));
            last.units.is_empty()
        });
    }

    pub(super) fn view(&self) -> Option<RefusalView> {
        self.last.as_ref().map(|last| last.view.clone())
    }
}
