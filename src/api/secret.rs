//! Secrets of tokens: made once, and only their digests kept.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::crypto::ring;

/// The system gives no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random numbers: wait until it has started, and repeat the command")]
pub struct NoRandom;

/// Random bytes.
///
/// # Errors
/// The system has none.
pub fn random<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    ring::default_provider().secure_random.fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(bytes)
}

/// A new secret, of 256 random bits.
///
/// # Errors
/// The system has no random numbers.
pub fn new() -> Result<String, NoRandom> {
    random::<32>().map(|bytes| hexadecimal(&bytes))
}

/// The digest of a secret, as a `[[token]]` has it.
#[must_use]
pub fn digest(secret: &str) -> String {
    hexadecimal(&Sha256::digest(secret))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
