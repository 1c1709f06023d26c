//! UUIDs of networks and halves.
//!
//! A declaration may give one. Otherwise it follows from the names: the same on all hosts, and
//! whoever knows it learns no more than whoever knows the names.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::model::{Half, HalfKey, Network, NetworkKey};

/// The UUID of a network that is bound.
#[must_use]
pub fn uuid_of_network(network: &Network) -> Uuid {
    network.uuid.unwrap_or_else(|| default_of_network(&network.key))
}

/// The UUID of a half.
#[must_use]
pub fn uuid_of_half(half: &Half) -> Uuid {
    half.uuid.unwrap_or_else(|| default_of_half(&half.key))
}

/// The UUID of a network that has none of its own.
#[must_use]
pub fn default_of_network(key: &NetworkKey) -> Uuid {
    uuid(&["network", &key.project, &key.name])
}

fn default_of_half(key: &HalfKey) -> Uuid {
    uuid(&["half", &key.network.project, &key.network.name, &key.name])
}

/// A UUID of version 8 (RFC 9562 section 5.8).
fn uuid(parts: &[&str]) -> Uuid {
    Builder::from_custom_bytes(digest(parts)).into_uuid()
}

/// The first bytes of a digest of names. Each part has its length before it, so that no two lists of
/// parts give the same bytes.
#[must_use]
pub fn digest<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; N];
    for (place, byte) in bytes.iter_mut().zip(hash.finalize()) {
        *place = byte;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_stable_because_others_keep_them() {
        let web = NetworkKey::new("blue", "web");
        let uuid = default_of_network(&web);
        assert_eq!(uuid.get_version_num(), 8);
        assert_eq!(uuid.to_string(), "85e07d96-3c37-8d9b-8d38-fb67af5e522e");
        let half = default_of_half(&HalfKey::new(web, "to-db"));
        assert_eq!(half.to_string(), "23cd53c7-59da-87e7-a6e3-33b2c10c6e73");
        let other = default_of_network(&NetworkKey::new("blu", "eweb"));
        assert_ne!(other, uuid);
    }
}
