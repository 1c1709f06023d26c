//! Rows by a text in them; several indexes use it.
//!
//! It does not store the texts, which are in the rows. It finds rows by a digest of the text, and
//! the caller compares the text itself.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use uuid::Uuid;

use super::super::members::Members;

/// Rows by a text in them.
#[derive(Clone, Debug, Default)]
pub(super) struct ByText {
    hasher: DefaultHashBuilder,
    rows: HashTable<(u32, Uuid)>,
}

impl ByText {
    /// The rows that may hold this text, in order. A wrong one is among them only if the digests
    /// collide.
    pub(super) fn candidates(&self, text: &str) -> Members<Uuid> {
        let digest = self.digest(text);
        let mut found = Members::default();
        for (_, row) in self.rows.iter_hash(spread(digest)).filter(|(other, _)| *other == digest) {
            found.insert(*row);
        }
        found
    }

    /// The text of a row changed. Returns whether the two differ.
    pub(super) fn update(&mut self, row: Uuid, [before, after]: [Option<&str>; 2]) -> bool {
        if before == after {
            return false;
        }
        if let Some(text) = before {
            self.remove(text, row);
        }
        if let Some(text) = after {
            self.insert(text, row);
        }
        true
    }

    fn insert(&mut self, text: &str, row: Uuid) {
        let entry = (self.digest(text), row);
        let present = self.rows.entry(spread(entry.0), |it| *it == entry, |it| spread(it.0));
        present.or_insert(entry);
    }

    fn remove(&mut self, text: &str, row: Uuid) {
        let entry = (self.digest(text), row);
        if let Ok(present) = self.rows.find_entry(spread(entry.0), |it| *it == entry) {
            present.remove();
        }
    }

    /// Half of a hash is enough, because the caller compares the texts.
    fn digest(&self, text: &str) -> u32 {
        (self.hasher.hash_one(text) >> 32) as u32
    }
}

/// The table takes a position from the lowest bits of a hash, and compares neighbours by the
/// highest.
fn spread(digest: u32) -> u64 {
    u64::from(digest) << 32 | u64::from(digest)
}
