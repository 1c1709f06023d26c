//! Replacing certificates while they are in use.
//!
//! Owns which certificates the next connection uses: those on disk if they are usable, else the
//! last usable ones. A connection of its own tries certificates from disk before they replace those
//! in use; until then the session continues.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::ClientConfig;

use super::backlog::Backlog;
use super::config::Config;
use super::connection::Connection;
use super::error::{SessionError, chain};
use super::event::Certificates;
use super::opening;
use super::remote::Remote;
use super::tls::{self, TlsError, TlsFiles};
use super::transport::Heard;
use crate::pem;

/// Files that do not match may be in the middle of a replacement: for this long they are read again
/// before the client reports them.
const HALF_WRITTEN: Duration = Duration::from_secs(2);
/// How often they are read meanwhile.
const GLANCE: Duration = Duration::from_millis(250);
/// How often certificates that the server refuses are tried again: it may be updated later.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Certificate, key and authorities as they were read at one time.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) config: Arc<ClientConfig>,
    digest: [u8; 32],
    validity: Option<(Timestamp, Timestamp)>,
}

/// The certificates for connections.
#[derive(Debug)]
pub(super) struct Keys {
    files: TlsFiles,
    /// Those of the last session.
    used: Option<Material>,
    /// The certificates on disk, if the server refuses them and accepts those in use.
    refused: Option<[u8; 32]>,
    reported: Certificates,
}

/// The result of reading the files.
#[derive(Debug)]
pub(super) enum Look {
    /// The files contain the certificates in use.
    Same,
    /// A trial accepted them; they are to be used.
    Good,
    /// They cannot be read, do not match, or are not valid now.
    Bad(String),
    /// The server refuses them.
    Refused([u8; 32], String),
}

impl Keys {
    pub(super) fn new(files: TlsFiles) -> Self {
        Self { files, used: None, refused: None, reported: Certificates::default() }
    }

    /// For the next connection.
    pub(super) fn for_connection(&self) -> Result<Material, TlsError> {
        match (Material::read(&self.files), &self.used) {
            (Ok(found), Some(used)) if self.refused == Some(found.digest) => Ok(used.clone()),
            (Ok(found), _) => Ok(found),
            (Err(_), Some(used)) => Ok(used.clone()),
            (Err(error), None) => Err(error),
        }
    }

    /// Notes that a session has begun with these; returns what to report.
    pub(super) fn begun(&mut self, material: Material, server: Option<Timestamp>) -> Certificates {
        self.reported.expires = material.validity.map(|(_, until)| until);
        self.reported.server_expires = server;
        if Material::read(&self.files).is_ok_and(|found| found.digest == material.digest) {
            (self.reported.problem, self.refused) = (None, None);
        }
        self.used = Some(material);
        self.reported.clone()
    }

    /// Notes that no session could begin: if there are two sets of certificates, the next attempt
    /// uses the other one.
    pub(super) fn failed(&mut self) {
        let found = Material::read(&self.files).map(|found| found.digest).ok();
        let other =
            found.filter(|found| self.used.as_ref().is_some_and(|used| used.digest != *found));
        self.refused = if self.refused.is_some() { None } else { other };
    }

    /// Notes the result of a reading; returns what to report now.
    pub(super) fn looked(&mut self, look: &Look, since: Duration) -> Option<Certificates> {
        let problem = match look {
            Look::Same | Look::Good => None,
            Look::Bad(_) if since < HALF_WRITTEN => return None,
            Look::Bad(why) => Some(why.clone()),
            Look::Refused(digest, why) => {
                self.refused = Some(*digest);
                Some(why.clone())
            }
        };
        if problem.is_none() {
            self.refused = None;
        }
        if self.reported.problem == problem {
            return None;
        }
        self.reported.problem = problem;
        Some(self.reported.clone())
    }

    /// Reads the files, and tries them if they differ from those in use.
    pub(super) fn look(
        &self,
        config: &Config,
        remote: &Remote,
    ) -> impl Future<Output = Look> + use<> {
        let (files, config, remote) = (self.files.clone(), config.clone(), remote.clone());
        let used = self.used.as_ref().map(|used| used.digest);
        async move {
            let found = match Material::read(&files) {
                Ok(found) if used == Some(found.digest) => return Look::Same,
                Ok(found) => found,
                Err(error) => return Look::Bad(chain(&error)),
            };
            if let Some(why) = found.out_of_date(&files) {
                return Look::Bad(why);
            }
            match tried(&config, &remote, &found).await {
                Ok(()) => Look::Good,
                Err(error) => Look::Refused(found.digest, chain(&error)),
            }
        }
    }
}

impl Look {
    /// When to read the files again without a notice of a change.
    pub(super) fn again(&self, since: Duration) -> Option<Duration> {
        match self {
            Self::Same | Self::Good => None,
            Self::Bad(_) if since < HALF_WRITTEN => Some(GLANCE),
            Self::Bad(_) | Self::Refused(..) => Some(TRY_AGAIN),
        }
    }
}

impl Material {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        let (config, leaf) = tls::client_config(files)?;
        let mut digest = Sha256::new();
        for path in [&files.ca_cert, &files.certificate, &files.private_key] {
            let bytes = std::fs::read(path).unwrap_or_default();
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        }
        let validity = pem::validity(&leaf);
        Ok(Self { config: Arc::new(config), digest: digest.finalize().into(), validity })
    }

    fn out_of_date(&self, files: &TlsFiles) -> Option<String> {
        pem::out_of_date(&files.certificate, self.validity, Timestamp::now())
    }
}

/// A whole round trip: with TLS 1.3 a server refuses a client's certificate only after the
/// handshake.
async fn tried(config: &Config, remote: &Remote, material: &Material) -> Result<(), SessionError> {
    let opened = opening::connected(config, remote, Some(material)).await?;
    let backlog = Backlog::new(config.backlog);
    let mut connection = Connection::new(opened.streams, config, &Heard::new(), &backlog);
    let none: [&str; 0] = [];
    connection.call::<IgnoredAny>("list_dbs", none, config.answer_timeout).await.map(drop)
}
