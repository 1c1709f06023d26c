//! Certificates that are about to expire.

use jiff::{SignedDuration, Timestamp};

use crate::ovsdb::client::Certificates;
use crate::view::CertificatesView;

/// The daemon warns this long before a certificate expires.
const AHEAD: SignedDuration = SignedDuration::from_hours(14 * 24);

/// The certificates of the session, or of the last one.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    certificates: Option<Certificates>,
    /// The warnings that are in the log already.
    reported: Vec<String>,
}

impl Expiry {
    /// Notes the certificates of a new session. Returns whether the problem with them is another
    /// one than before.
    pub(super) fn note(&mut self, certificates: Certificates) -> bool {
        let problem = |of: &Option<Certificates>| of.as_ref().and_then(|of| of.problem.clone());
        let before = problem(&self.certificates);
        self.certificates = Some(certificates);
        before != problem(&self.certificates)
    }

    pub(super) fn problem(&self) -> Option<&str> {
        self.certificates.as_ref()?.problem.as_deref()
    }

    /// The warnings about certificates that expire soon, without those that are in the log already.
    pub(super) fn news(&mut self, now: Timestamp) -> Vec<String> {
        let warnings = self.warnings(now);
        let news = warnings.iter().filter(|text| !self.reported.contains(text)).cloned().collect();
        self.reported = warnings;
        news
    }

    /// When the next warning is due.
    pub(super) fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let moments = self.ends().filter_map(|(_, at)| at.checked_sub(AHEAD).ok());
        moments.filter(|at| *at > now).min()
    }

    pub(super) fn view(&self, now: Option<Timestamp>) -> Option<CertificatesView> {
        let certificates = self.certificates.as_ref()?;
        Some(CertificatesView {
            expires: certificates.expires,
            server_expires: certificates.server_expires,
            problem: certificates.problem.clone(),
            warnings: now.map(|now| self.warnings(now)).unwrap_or_default(),
        })
    }

    fn ends(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let found = self.certificates.as_ref();
        let own = found.and_then(|it| it.expires).map(|at| ("this daemon's certificate", at));
        let server = found.and_then(|it| it.server_expires);
        own.into_iter().chain(server.map(|at| ("the northbound server's certificate", at)))
    }

    fn warnings(&self, now: Timestamp) -> Vec<String> {
        let soon =
            self.ends().filter(|(_, at)| at.checked_sub(AHEAD).is_ok_and(|from| from <= now));
        soon.map(|(whose, at)| format!("{whose} is valid until {at}: renew it")).collect()
    }
}
