//! The certificate and key for clients, replaced while they are in use.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::task;
use tokio::time::{self, Instant};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::{self, ServerConfig};
use tracing::{info, warn};

use crate::declare::ListenSettings;
use crate::pem::{self, PemError};

/// Files that do not match may be in the middle of a replacement: for this long they are read again
/// before they are reported.
const HALF_WRITTEN: Duration = Duration::from_secs(2);
/// How often they are read meanwhile.
const GLANCE: Duration = Duration::from_millis(250);
/// How often unusable files are read again after that.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Files that give no TLS configuration.
#[derive(Debug, thiserror::Error)]
enum KeysError {
    #[error(transparent)]
    File(#[from] PemError),
    #[error(
        "the certificate in {} and the private key in {} cannot be used together: name the key that the \
         certificate was made for", .certificate.display(), .private_key.display()
    )]
    Pair {
        certificate: PathBuf,
        private_key: PathBuf,
        #[source]
        source: rustls::Error,
    },
    #[error("the authorities in {} cannot be used", .path.display())]
    Authorities {
        path: PathBuf,
        #[source]
        source: VerifierBuilderError,
    },
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    #[error("{0}")]
    OutOfDate(String),
}

/// The files of TLS for clients.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    private_key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What the next connection uses.
#[derive(Debug, Default)]
struct InUse {
    config: Option<Arc<ServerConfig>>,
    expires: Option<Timestamp>,
    problem: Option<String>,
}

/// The certificates for connections.
#[derive(Debug)]
pub(super) struct Keys {
    what: &'static str,
    files: Files,
    in_use: Mutex<InUse>,
    renew: Notify,
}

impl Keys {
    /// Reads the files; `None` if the settings name none. Unusable files are reported, and read
    /// again until they are usable.
    pub(super) fn read(what: &'static str, settings: &ListenSettings) -> Option<Self> {
        let (Some(certificate), Some(private_key)) =
            (settings.certificate.clone(), settings.private_key.clone())
        else {
            return None;
        };
        let files = Files { certificate, private_key, client_ca: settings.client_ca.clone() };
        let keys = Self { what, files, in_use: Mutex::default(), renew: Notify::new() };
        match keys.files.read() {
            Ok(found) => keys.use_now(found),
            Err(error) => {
                keys.report(&error);
                keys.renew.notify_one();
            }
        }
        Some(keys)
    }

    /// For the next connection; `None` while there is none that is usable.
    pub(super) fn config(&self) -> Option<Arc<ServerConfig>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).config.clone()
    }

    /// Until when the certificate in use is valid.
    pub(super) fn expires(&self) -> Option<Timestamp> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).expires
    }

    /// What is wrong with the files, if so; those in use stay.
    pub(super) fn problem(&self) -> Option<String> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Has the files read again.
    pub(super) fn renew(&self) {
        self.renew.notify_one();
    }

    /// Reads the files whenever it is asked to; for ever.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            self.renew.notified().await;
            let since = Instant::now();
            loop {
                let files = self.files.clone();
                match task::spawn_blocking(move || files.read()).await {
                    Ok(Ok(found)) => {
                        self.use_now(found);
                        break;
                    }
                    Ok(Err(error)) if since.elapsed() >= HALF_WRITTEN => self.report(&error),
                    // A thread that panicked has reported that.
                    Ok(Err(_)) | Err(_) => {}
                }
                let pause = if since.elapsed() < HALF_WRITTEN { GLANCE } else { TRY_AGAIN };
                let _ = time::timeout(pause, self.renew.notified()).await;
            }
        }
    }

    fn use_now(&self, (config, expires): (ServerConfig, Option<Timestamp>)) {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = in_use.config.is_none();
        *in_use = InUse { config: Some(Arc::new(config)), expires, problem: None };
        drop(in_use);
        if !is_first {
            info!("{}: the certificate for clients is read again", self.what);
        }
    }

    fn report(&self, error: &KeysError) {
        let mut problem = error.to_string();
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            problem = format!("{problem}: {cause}");
            source = cause.source();
        }
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if in_use.problem.as_ref() == Some(&problem) {
            return;
        }
        let meanwhile = if in_use.config.is_some() {
            "the one in use stays"
        } else {
            "clients are refused until it is usable"
        };
        warn!("{}: {problem}; {meanwhile}", self.what);
        in_use.problem = Some(problem);
    }
}

impl Files {
    fn read(&self) -> Result<(ServerConfig, Option<Timestamp>), KeysError> {
        let chain = pem::certificates("certificate", &self.certificate)?;
        let key = pem::private_key(&self.private_key)?;
        let validity = chain.first().and_then(|leaf| pem::validity(leaf));
        if let Some(why) = pem::out_of_date(&self.certificate, validity, Timestamp::now()) {
            return Err(KeysError::OutOfDate(why));
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(KeysError::Setup)?;
        let builder = match &self.client_ca {
            Some(path) => {
                let roots = Arc::new(pem::roots("client CA certificate", path)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                let verifier = verifier
                    .map_err(|source| KeysError::Authorities { path: path.clone(), source })?;
                builder.with_client_cert_verifier(verifier)
            }
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_single_cert(chain, key).map_err(|source| KeysError::Pair {
                certificate: self.certificate.clone(),
                private_key: self.private_key.clone(),
                source,
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((config, validity.map(|(_, until)| until)))
    }
}
