//! Halves and networks as people name them: PROJECT/NETWORK/NAME and PROJECT/NETWORK.
//!
//! A name may contain any character. Within a name, `%2F` stands for a slash, and `%25` for a
//! percent sign before such a pair. In several words, a half is written as it is.

use std::str::FromStr;

use clap::Args;
use uuid::Uuid;

use super::change_error::ChangeError;
use super::client::{self, ControlClient};
use super::error::CtlError;
use crate::view::{EventView, WhoamiView};

/// Which project is meant where a name has none.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Scope {
    /// The project of what is named without one. Whoever owns one project needs no word.
    #[arg(long, env = "OVN_PEERD_PROJECT", value_name = "PROJECT")]
    project: Option<String>,
}

impl Scope {
    /// The project of a name.
    pub(super) async fn project(
        &self,
        client: &ControlClient,
        named: Option<String>,
    ) -> Result<String, CtlError> {
        if let Some(project) = named.or_else(|| self.project.clone()) {
            return Ok(project);
        }
        let mut whoami: WhoamiView = client.get("/v1/whoami").await?;
        match (whoami.projects.pop(), whoami.projects.is_empty()) {
            (Some(project), true) => Ok(project),
            _ => Err(ChangeError::NoProject.into()),
        }
    }
}

/// A half, as it is written.
#[derive(Clone, Debug)]
pub(super) struct WrittenHalf {
    project: Option<String>,
    network: String,
    name: String,
}

/// A network, as it is written.
#[derive(Clone, Debug)]
pub(super) struct WrittenNetwork {
    project: Option<String>,
    network: String,
}

/// The target of a half, as it is written. A single word that is a UUID is one.
#[derive(Clone, Debug)]
pub(super) enum WrittenTarget {
    Uuid(Uuid),
    Named(WrittenNetwork),
}

/// The target of a half.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Uuid(Uuid),
    Named(NetworkName),
}

/// A half.
#[derive(Clone, Debug)]
pub(super) struct HalfName {
    pub(super) project: String,
    pub(super) network: String,
    pub(super) name: String,
}

/// A network.
#[derive(Clone, Debug)]
pub(super) struct NetworkName {
    pub(super) project: String,
    pub(super) network: String,
}

/// One half, in one word or in several.
#[derive(Clone, Debug, Args)]
pub(super) struct HalfArgument {
    /// The half: PROJECT/NETWORK/NAME, or these as three words.
    #[arg(value_name = "HALF", num_args = 1..=3, required = true)]
    words: Vec<String>,
    #[command(flatten)]
    scope: Scope,
}

impl HalfArgument {
    pub(super) async fn resolve(self, client: &ControlClient) -> Result<HalfName, CtlError> {
        let half = match &self.words[..] {
            [word] => word.parse(),
            words => WrittenHalf::of(words),
        };
        half.map_err(ChangeError::Name)?.resolve(client, &self.scope).await
    }
}

/// One half, or all.
#[derive(Clone, Debug, Args)]
pub(super) struct OptionalHalf {
    /// Only this half: PROJECT/NETWORK/NAME, or these as three words.
    #[arg(value_name = "HALF", num_args = 0..=3)]
    words: Vec<String>,
    #[command(flatten)]
    scope: Scope,
}

impl OptionalHalf {
    pub(super) async fn resolve(
        self,
        client: &ControlClient,
    ) -> Result<Option<HalfName>, CtlError> {
        let Self { words, scope } = self;
        if words.is_empty() {
            return Ok(None);
        }
        HalfArgument { words, scope }.resolve(client).await.map(Some)
    }
}

impl WrittenHalf {
    /// The half of these names: the project, which may be absent, the network, and its own.
    fn of(names: &[String]) -> Result<Self, String> {
        let (project, network, name) = match names {
            [project, network, name] => (Some(project.clone()), network.clone(), name.clone()),
            [network, name] => (None, network.clone(), name.clone()),
            _ => return Err("a half is PROJECT/NETWORK/NAME, such as blue/web/to-db".to_owned()),
        };
        Ok(Self { project, network, name })
    }

    pub(super) async fn resolve(
        self,
        client: &ControlClient,
        scope: &Scope,
    ) -> Result<HalfName, CtlError> {
        let project = scope.project(client, self.project).await?;
        Ok(HalfName { project, network: self.network, name: self.name })
    }
}

impl WrittenNetwork {
    pub(super) async fn resolve(
        self,
        client: &ControlClient,
        scope: &Scope,
    ) -> Result<NetworkName, CtlError> {
        let project = scope.project(client, self.project).await?;
        Ok(NetworkName { project, network: self.network })
    }

    /// The network; one without a project is of this one.
    pub(super) fn beside(self, project: &str) -> NetworkName {
        let project = self.project.unwrap_or_else(|| project.to_owned());
        NetworkName { project, network: self.network }
    }
}

impl WrittenTarget {
    /// The target; a network without a project is of this one.
    pub(super) fn beside(self, project: &str) -> Target {
        match self {
            Self::Uuid(uuid) => Target::Uuid(uuid),
            Self::Named(network) => Target::Named(network.beside(project)),
        }
    }
}

impl FromStr for WrittenTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match Uuid::try_parse(text) {
            Ok(uuid) => Ok(Self::Uuid(uuid)),
            Err(_) => text.parse().map(Self::Named),
        }
    }
}

impl HalfName {
    /// The path of the half at the control socket.
    pub(super) fn path(&self) -> String {
        client::path(&["v1", "halves", &self.project, &self.network, &self.name])
    }

    /// Whether an event is about this half.
    pub(super) fn is_of(&self, event: &EventView) -> bool {
        let event = &event.event;
        let named = [&event.project, &event.network, &event.name].map(Option::as_deref);
        named == [&self.project, &self.network, &self.name].map(|part| Some(part.as_str()))
    }
}

impl std::fmt::Display for HalfName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.project, self.network, self.name)
    }
}

impl FromStr for WrittenHalf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(&parts(text))
    }
}

impl FromStr for WrittenNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match parts(text)[..] {
            [ref project, ref network] => {
                Ok(Self { project: Some(project.clone()), network: network.clone() })
            }
            [ref network] => Ok(Self { project: None, network: network.clone() }),
            _ => Err("a network is PROJECT/NETWORK, such as green/db".to_owned()),
        }
    }
}

/// The parts of a name as one word.
pub(super) fn written(parts: &[&str]) -> String {
    let pairs = |part: &str| ["%2F", "%2f", "%25"].iter().any(|pair| part.contains(pair));
    let part = |part: &&str| {
        let part = if pairs(part) { part.replace('%', "%25") } else { (*part).to_owned() };
        part.replace('/', "%2F")
    };
    parts.iter().map(part).collect::<Vec<_>>().join("/")
}

fn parts(text: &str) -> Vec<String> {
    let part = |part: &str| part.replace("%2F", "/").replace("%2f", "/").replace("%25", "%");
    text.split('/').map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_contain_any_character() {
        let half: WrittenHalf = "blue/we b/a%2Fb%252Fc%".parse().unwrap();
        assert_eq!((half.project.as_deref(), &*half.network), (Some("blue"), "we b"));
        assert_eq!(half.name, "a/b%2Fc%");
        assert_eq!(written(&["blue", "we b", "a/b%2Fc%"]), "blue/we b/a%2Fb%252Fc%25");
        for name in ["a%", "%2F", "%252F", "a/b", "50%25", "plain"] {
            let half: WrittenHalf = written(&["p", "n", name]).parse().unwrap();
            assert_eq!(half.name, name);
        }
        let half: WrittenHalf = "web/to-db".parse().unwrap();
        assert_eq!((half.project, &*half.network, &*half.name), (None, "web", "to-db"));
        assert!("web".parse::<WrittenHalf>().is_err());
        assert!("a/b/c/d".parse::<WrittenHalf>().is_err());
        let network: WrittenNetwork = "db".parse().unwrap();
        assert_eq!(network.beside("green").project, "green");
    }
}
