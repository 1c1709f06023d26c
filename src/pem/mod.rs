//! Certificates and keys in PEM files, for both ends of TLS: the northbound's client and the listeners.
//!
//! Owns how such a file is read, how its fault is worded, and until when a certificate is valid. May
//! not touch what a certificate is for.

mod validity;

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::RootCertStore;

pub(crate) use validity::validity;

/// A file that does not do.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be read.
    #[error("cannot read the {what} in {}: check the path and that this user may read it", .path.display())]
    Read {
        /// Which file it is.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not have the expected content.
    #[error("there is no usable {what} in {}: {reason}; it must be in PEM", .path.display())]
    Content {
        /// Which file it is.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// The certificates of a file, at least one.
pub(crate) fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let found = read().map_err(|error| pem_error(what, path, error))?;
    if found.is_empty() { Err(pem_error(what, path, pem::Error::NoItemsFound)) } else { Ok(found) }
}

/// The private key of a file, in PKCS#1, PKCS#8 or SEC1.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| pem_error("private key", path, error))
}

/// The authorities of a file.
pub(crate) fn roots(what: &'static str, path: &Path) -> Result<RootCertStore, PemError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(what, path)? {
        roots.add(certificate).map_err(|error| PemError::Content {
            what,
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// Why a certificate is not to be used now, if so.
pub(crate) fn out_of_date(
    path: &Path,
    validity: Option<(Timestamp, Timestamp)>,
    now: Timestamp,
) -> Option<String> {
    let (from, until) = validity?;
    let path = path.display();
    if until < now {
        return Some(format!("the certificate in {path} expired at {until}: renew it"));
    }
    (now < from).then(|| {
        format!(
            "the certificate in {path} is valid from {from} on: correct this host's clock, or wait"
        )
    })
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
fn pem_error(what: &'static str, path: &Path, error: pem::Error) -> PemError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => PemError::Read { what, path, source },
        // The enum is open, and its own words suffice.
        other => PemError::Content { what, path, reason: other.to_string() },
    }
}
