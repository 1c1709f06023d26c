//! Certificates that are replaced while they are in use.
//!
//! Owns which ones the next connection is made with: those on disk if they can be used, else those that were last. Before
//! those on disk take the place of those in use they are tried on a connection of their own; until then the session goes on.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use tokio_rustls::rustls::ClientConfig;

use super::backlog::Backlog;
use super::config::Config;
use super::error::{SessionError, chain};
use super::event::Certificates;
use super::link::Link;
use super::opening;
use super::remote::Remote;
use super::tls::{self, TlsError, TlsFiles};
use super::transport::Heard;

/// Files that do not go together may be about to: so long they are looked at again before it is told.
const HALF_WRITTEN: Duration = Duration::from_secs(2);
/// How often they are looked at meanwhile.
const GLANCE: Duration = Duration::from_millis(250);
/// How often those that the server refuses are tried again: it may get its own later.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Certificate, key and authorities as they were read at one time.
#[derive(Clone, Debug)]
pub(super) struct Material {
    pub(super) config: Arc<ClientConfig>,
    digest: [u8; 32],
    validity: Option<(Timestamp, Timestamp)>,
}

/// What connections are made with.
#[derive(Debug)]
pub(super) struct Keys {
    files: TlsFiles,
    /// Those of the last session.
    used: Option<Material>,
    /// On disk, and refused by the server while those in use are not.
    refused: Option<[u8; 32]>,
    told: Certificates,
}

/// What became of a look at the files.
#[derive(Debug)]
pub(super) enum Look {
    /// They are those in use.
    Same,
    /// They were tried, and shall be used.
    Good,
    /// They cannot be read, or do not go together, or are out of date.
    Bad(String),
    /// The server does not take them.
    Refused([u8; 32], String),
}

impl Keys {
    pub(super) fn new(files: TlsFiles) -> Self {
        Self { files, used: None, refused: None, told: Certificates::default() }
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

    /// A session has begun with these; tells what is to be told.
    pub(super) fn begun(&mut self, material: Material, server: Option<Timestamp>) -> Certificates {
        self.told.expires = material.validity.map(|(_, until)| until);
        self.told.server_expires = server;
        if Material::read(&self.files).is_ok_and(|found| found.digest == material.digest) {
            (self.told.problem, self.refused) = (None, None);
        }
        self.used = Some(material);
        self.told.clone()
    }

    /// No session could be begun: where there are two kinds to choose from, the other one comes next.
    pub(super) fn failed(&mut self) {
        let found = Material::read(&self.files).map(|found| found.digest).ok();
        let other =
            found.filter(|found| self.used.as_ref().is_some_and(|used| used.digest != *found));
        self.refused = if self.refused.is_some() { None } else { other };
    }

    /// Notes what a look has shown; tells what is to be told now.
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
        if self.told.problem == problem {
            return None;
        }
        self.told.problem = problem;
        Some(self.told.clone())
    }

    /// Looks at the files, and tries them where they are others than those in use.
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
    /// When to look again, after nobody said that the files changed.
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
        let validity = super::x509::validity(&leaf);
        Ok(Self { config: Arc::new(config), digest: digest.finalize().into(), validity })
    }

    fn out_of_date(&self, files: &TlsFiles) -> Option<String> {
        let (from, until) = self.validity?;
        let (now, path) = (Timestamp::now(), files.certificate.display());
        if until < now {
            return Some(format!("the certificate in {path} expired at {until}: renew it"));
        }
        (now < from).then(|| {
            format!("the certificate in {path} is valid from {from} on: correct this host's clock, or wait")
        })
    }
}

/// A whole round trip: with TLS 1.3 a client's certificate is refused only after the handshake.
async fn tried(config: &Config, remote: &Remote, material: &Material) -> Result<(), SessionError> {
    let opened = opening::connected(config, remote, Some(material)).await?;
    let backlog = Backlog::new(config.backlog);
    let mut link = Link::new(opened.halves, config, &Heard::new(), &backlog);
    let none: [&str; 0] = [];
    link.call::<IgnoredAny>("list_dbs", none, config.answer_timeout).await.map(drop)
}
