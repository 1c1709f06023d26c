//! The entries of the store: declarations by command, in the registration of their network.

use sha2::{Digest, Sha256};

use crate::declare::{Half, NetworkKey, RejectionKey, STORE, Source, Stored};

use super::declared::{half_entry_key, half_entry_of, rejection_entry_key, rejection_entry_of};

/// The entry of a stored half.
#[must_use]
pub fn stored_half_entry(half: &Half, stored: &Stored) -> (String, String) {
    half_entry_of(STORE, half, &Source::Store(stored.clone()))
}

/// The key of the entry of a stored half.
#[must_use]
pub fn stored_half_key(name: &str) -> String {
    half_entry_key(STORE, name)
}

/// The entry of a stored rejection.
#[must_use]
pub fn stored_rejection_entry(key: &RejectionKey, stored: &Stored) -> (String, String) {
    rejection_entry_of(STORE, key, &Source::Store(stored.clone()))
}

/// The key of the entry of a stored rejection.
#[must_use]
pub fn stored_rejection_key(from: &NetworkKey) -> String {
    rejection_entry_key(STORE, from)
}

/// A tag that changes with a half's declaration, whoever has stored it and when.
#[must_use]
pub fn etag(half: &Half) -> String {
    let nobody = Stored { by: String::new(), at: jiff::Timestamp::UNIX_EPOCH };
    let digest = Sha256::digest(stored_half_entry(half, &nobody).1);
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
