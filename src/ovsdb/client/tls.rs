//! TLS for `ssl:` remotes, as OVS does it: verifies the chain always, and the name only on request.
//!
//! Owns the TLS configuration and the advice for its failures. `keys` decides which files are read
//! and when. May not touch the protocol above.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};

use crate::pem::{self, PemError};

/// The files of an `ssl:` remote, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that may have signed the server's (OVS: `--ca-cert`). For
    /// servers of ovs-pki that is `switchca/cacert.pem`.
    pub ca_cert: PathBuf,
    /// This client's certificate, with intermediates after it (OVS: `--certificate`).
    pub certificate: PathBuf,
    /// Its private key, in PKCS#1, PKCS#8 or SEC1 (OVS: `--private-key`).
    pub private_key: PathBuf,
    /// Whether the server's certificate must be for the remote's host. OVS never checks that, and
    /// ovs-pki's certificates do not allow it.
    pub verify_name: bool,
}

/// Files that give no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file does not do.
    #[error(transparent)]
    File(#[from] PemError),
    /// Certificate and key do not match.
    #[error(
        "the certificate in {} and the private key in {} cannot be used together: name the key that the \
         certificate was made for", .certificate.display(), .private_key.display()
    )]
    Pair {
        /// The certificate's path.
        certificate: PathBuf,
        /// The key's path.
        private_key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The certificate is of X.509 version 1, which has no extensions.
    #[error(
        "the certificate in {} is of X.509 version 1, which cannot be used: issue one of version 3 \
         (openssl x509 -req with -extfile, or ovs-pki)", .path.display()
    )]
    Version {
        /// The certificate's path.
        path: PathBuf,
    },
    /// The TLS library supports none of the protocol versions.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// Reads the files; returns this client's certificate in DER as well.
///
/// # Errors
/// If a file cannot be read or does not have the expected content, or certificate and key do not
/// match.
pub(super) fn client_config(files: &TlsFiles) -> Result<(ClientConfig, Vec<u8>), TlsError> {
    let provider = Arc::new(ring::default_provider());
    let verifier = ChainVerifier {
        roots: pem::roots("CA certificate", &files.ca_cert)?,
        algorithms: provider.signature_verification_algorithms,
        verify_name: files.verify_name,
    };
    let chain = pem::certificates("certificate", &files.certificate)?;
    let key = pem::private_key(&files.private_key)?;
    let leaf = chain.first().map(|leaf| leaf.to_vec()).unwrap_or_default();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)
        .map_err(|source| unusable(files, source))?;
    Ok((config, leaf))
}

/// Why this client's certificate and key are not accepted.
fn unusable(files: &TlsFiles, source: rustls::Error) -> TlsError {
    let certificate = files.certificate.clone();
    if let rustls::Error::InvalidCertificate(reason) = &source
        && is_version_1(reason)
    {
        return TlsError::Version { path: certificate };
    }
    TlsError::Pair { certificate, private_key: files.private_key.clone(), source }
}

/// It has no variant of its own; only its text identifies it.
fn is_version_1(reason: &CertificateError) -> bool {
    format!("{reason:?}").contains("UnsupportedCertVersion")
}

/// The same failure without the current time in its text, so that a repeated failure has the same
/// text.
pub(super) fn timeless(error: io::Error) -> io::Error {
    let moment = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX)
    };
    let rustls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    match rustls {
        Some(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
            not_after,
            ..
        })) => io::Error::other(format!("it was valid until {}", moment(not_after))),
        Some(rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext {
            not_before,
            ..
        })) => io::Error::other(format!("it is valid from {} on", moment(not_before))),
        _ => error,
    }
}

/// The name of `host` in a TLS handshake. A host that is not valid there (an address with a zone)
/// gets a name that matches no certificate.
pub(super) fn server_name(host: &str) -> ServerName<'static> {
    let address = host.split('%').next().unwrap_or(host).parse::<std::net::IpAddr>();
    match (address, ServerName::try_from(host.to_owned())) {
        (Ok(address), _) => ServerName::IpAddress(address.into()),
        (Err(_), Ok(name)) => name,
        (Err(_), Err(_)) => ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into()),
    }
}

/// Verifies the chain to the configured authorities, and the name on request.
#[derive(Debug)]
struct ChainVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    verify_name: bool,
}

impl ServerCertVerifier for ChainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &self.roots,
            intermediates,
            now,
            self.algorithms.all,
        )?;
        if self.verify_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What an operator should do about a TLS failure. With TLS 1.3 a refused client certificate shows
/// only at the first read, so every read error gets its remedy here.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
pub(super) fn remedy(error: &io::Error) -> Option<&'static str> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(reason) => Some(certificate_remedy(reason)),
        rustls::Error::AlertReceived(alert) => Some(alert_remedy(*alert)),
        rustls::Error::InvalidMessage(_) => Some(
            "the server does not speak TLS on this port: name the remote as tcp:, or correct the port",
        ),
        rustls::Error::PeerIncompatible(_) => {
            Some("the server offers no version or cipher of TLS 1.2 or 1.3: widen its settings")
        }
        _ => None,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
fn certificate_remedy(reason: &CertificateError) -> &'static str {
    if is_version_1(reason) {
        return "the server's certificate, or one that has signed it, is of X.509 version 1: issue one of \
                version 3 (openssl x509 -req with -extfile, or ovs-pki)";
    }
    // It has no variant of its own, either.
    if format!("{reason:?}").contains("CaUsedAsEndEntity") {
        return "the server uses a self-signed or CA certificate as its own: make a CA, and sign a \
                server certificate with it (CA:FALSE, as `ovs-pki req+sign` does)";
    }
    match reason {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is not signed by the authority in ca_cert: with ovs-pki that is \
             switchca/cacert.pem, where the server's certificate was signed as a switch"
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired: renew it, or correct this host's clock"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: correct this host's clock"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is not for this host: issue one that names it, or turn verify_name off"
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not for servers: issue one with extendedKeyUsage serverAuth"
        }
        _ => "the server's certificate cannot be verified: issue it anew",
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign and open enum; only some have a word"
)]
fn alert_remedy(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateExpired => {
            "the server says that this client's certificate has expired: renew it"
        }
        AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity => {
            "the server offers no version or cipher of TLS 1.2 or 1.3: widen its settings"
        }
        AlertDescription::UnknownCA
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRequired
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError
        | AlertDescription::HandshakeFailure => {
            "the server refuses this client's certificate: it must be signed by the authority that the \
             server trusts (with ovs-pki its --ca-cert is controllerca/cacert.pem)"
        }
        _ => "the server has ended the TLS session; its log says why",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn files_that_do_not_do_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let empty = directory.path().join("empty.pem");
        std::fs::write(&empty, "nothing here").unwrap();
        let files = |ca_cert: &Path| TlsFiles {
            ca_cert: ca_cert.to_owned(),
            certificate: empty.clone(),
            private_key: empty.clone(),
            verify_name: false,
        };
        let missing = client_config(&files(Path::new("/nowhere/ca.pem"))).unwrap_err().to_string();
        assert!(missing.contains("cannot read the CA certificate in /nowhere/ca.pem"), "{missing}");
        let empty = client_config(&files(&empty)).unwrap_err().to_string();
        assert!(
            empty.contains("no usable CA certificate") && empty.contains("empty.pem"),
            "{empty}"
        );
    }

    #[test]
    fn every_host_has_a_name() {
        assert!(matches!(server_name("::1"), ServerName::IpAddress(_)));
        assert!(matches!(server_name("fe80::1%eth0"), ServerName::IpAddress(_)));
        assert!(matches!(server_name("db.example"), ServerName::DnsName(_)));
        assert!(matches!(server_name("not_a name"), ServerName::IpAddress(_)));
    }
}
