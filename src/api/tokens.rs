//! Who may use the API: the tokens of the settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::control::Actor;
use crate::declare::{RateSettings, Settings};
use crate::view::Viewer;

/// What the settings say of the API, beside where it listens.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    tokens: Vec<Arc<Token>>,
    /// How often each may ask.
    pub(super) rate: RateSettings,
    /// How many peerings a project may have.
    pub(super) max_peerings: Option<u32>,
}

/// One token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: Arc<str>,
    /// `None` for an operator's.
    pub(super) project: Option<Arc<str>>,
    pub(super) read_only: bool,
    expires: Option<Timestamp>,
    sha256: [u8; 32],
}

/// What a client shows of itself.
#[derive(PartialEq, Eq)]
pub(super) struct Credentials {
    /// `Basic` names the token, too.
    name: Option<String>,
    secret: String,
}

impl Tokens {
    /// Those of the settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let tokens = settings.tokens.iter().map(|token| {
            Arc::new(Token {
                name: token.name.as_str().into(),
                project: token.project.as_deref().map(Into::into),
                read_only: token.read_only,
                expires: token.expires,
                sha256: token.sha256,
            })
        });
        Self {
            tokens: tokens.collect(),
            rate: settings.api.rate,
            max_peerings: settings.policy.quotas.per_project,
        }
    }

    /// Whose halves a client sees that shows this header `Authorization`; `None` if it is no token's.
    #[must_use]
    pub fn viewer(&self, authorization: &str, now: Timestamp) -> Option<Viewer> {
        let credentials = Credentials::parse(authorization)?;
        self.find(&credentials, now).map(|token| token.viewer())
    }

    /// The token of these credentials. Its time does not depend on how nearly a secret is right:
    /// every token's digest is compared as a whole.
    pub(super) fn find(&self, credentials: &Credentials, now: Timestamp) -> Option<Arc<Token>> {
        let digest = Sha256::digest(credentials.secret.as_bytes());
        let mut found = None;
        for token in &self.tokens {
            let is_named = credentials.name.as_ref().is_none_or(|name| **name == *token.name);
            let is_valid = token.expires.is_none_or(|until| now < until);
            let fits = token.sha256.ct_eq(&digest) & Choice::from(u8::from(is_named && is_valid));
            if bool::from(fits) {
                found = Some(Arc::clone(token));
            }
        }
        found
    }
}

impl Token {
    /// Whose halves and networks it sees.
    pub(super) fn viewer(&self) -> Viewer {
        match &self.project {
            None => Viewer::Operator,
            Some(project) => Viewer::Tenant(Arc::new(BTreeSet::from([Arc::clone(project)]))),
        }
    }

    /// How the journal and the store name it: no account has such a name.
    pub(super) fn actor(&self) -> Actor {
        Actor(format!("token {}", self.name).into())
    }
}

impl Credentials {
    /// From the header `Authorization`.
    pub(super) fn parse(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ')?;
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Self { name: None, secret: rest.to_owned() });
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        let (name, secret) = text.split_once(':')?;
        Some(Self { name: Some(name.to_owned()), secret: secret.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::api::secret::digest;

    fn tokens() -> Tokens {
        let block = |name: &str, more: &str, secret: &str| {
            format!("[[token]]\nname = \"{name}\"\n{more}\nsha256 = \"{}\"\n", digest(secret))
        };
        let text = [
            block("ci", "project = \"blue\"", "one"),
            block("root", "operator = true\nread_only = true", "two"),
            block("old", "project = \"blue\"\nexpires = 2026-01-01T00:00:00Z", "three"),
        ];
        let (settings, faults) = Settings::parse(Path::new("x.toml"), &text.concat());
        assert!(faults.is_empty(), "{faults:?}");
        Tokens::of(&settings)
    }

    #[test]
    fn a_token_is_found_by_its_secret_and_by_name_and_secret_until_it_expires() {
        let tokens = tokens();
        let found = |header: &str, at: &str| {
            let token = tokens.find(&Credentials::parse(header)?, at.parse().unwrap())?;
            Some(token.name.to_string())
        };
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let now = "2026-06-01T00:00:00Z";
        for (header, name) in [
            ("Bearer one".to_owned(), Some("ci")),
            ("bearer  two".to_owned(), Some("root")),
            (basic("ci:one"), Some("ci")),
            (basic("root:one"), None),
            (basic("nobody:one"), None),
            (basic("ci:two"), None),
            ("Bearer ".to_owned(), None),
            ("Bearer four".to_owned(), None),
            ("Bearer three".to_owned(), None),
            ("Digest one".to_owned(), None),
            ("Basic ???".to_owned(), None),
            (basic("ci"), None),
        ] {
            assert_eq!(found(&header, now).as_deref(), name, "{header}");
        }
        assert_eq!(found("Bearer three", "2025-12-31T23:59:59Z").as_deref(), Some("old"));
        assert_eq!(found("Bearer three", "2026-01-01T00:00:00Z"), None);
    }
}
