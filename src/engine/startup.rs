//! The first time: what the northbound remembers comes before what the files say.

use crate::declare::Remembered;
use crate::northbound::Northbound;
use crate::northbound::registration::{half_records, network_record};
use crate::northbound::router::cell;
use crate::northbound::tables::{ADDRESS_SET, address_set};

use super::state::State;

impl State {
    /// Takes the registrations into the book, and everything in the book to the rules: until then
    /// there is nothing that they could be applied to. Only once.
    pub(super) fn begin(&mut self, northbound: &Northbound) {
        if self.begun {
            return;
        }
        self.book.remember(remembered(northbound));
        self.declare_all();
        self.resolver.mark_all(northbound);
    }
}

/// Reads the registrations: each file's last good declarations.
fn remembered(northbound: &Northbound) -> Remembered {
    let mut files = Remembered::new();
    for (_, row) in northbound.replica().rows(ADDRESS_SET) {
        let tags = cell(row, address_set::EXTERNAL_IDS);
        let Some(network) = network_record(tags) else { continue };
        if let Some((file, binding)) = network.bound() {
            files.entry(file).or_default().0.push(binding);
        }
        for (name, record) in half_records(tags) {
            let Some(record) = record else { continue };
            let (file, half) = record.declaration(network.key(), name);
            files.entry(file).or_default().1.push(half);
        }
    }
    files
}
