//! The routes that guests learn, as texts in borrowed keys of maps.

use super::super::borrowed::BorrowedField;
use super::contributor::{Unit, Wants};

pub(super) fn contribute(unit: &Unit<'_>, wants: &mut Wants) {
    let Unit::Network(network) = unit else { return };
    wants.borrowed.extend(network.guests.cells.iter().map(|entry| BorrowedField {
        ours: entry.syntax.added(entry.before.as_deref(), &entry.routes),
        field: entry.cell.clone(),
        before: entry.before.clone(),
    }));
}
