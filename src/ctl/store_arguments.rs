//! The arguments of the commands that change stored declarations.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use toml::Value;

/// A half, as all messages print it.
#[derive(Clone, Debug)]
pub(super) struct HalfName {
    pub(super) project: String,
    pub(super) network: String,
    pub(super) name: String,
}

impl FromStr for HalfName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [project, network, name] => Ok(Self {
                project: project.to_owned(),
                network: network.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err("a half is PROJECT/NETWORK/NAME, such as blue/web/to-db".to_owned()),
        }
    }
}

/// A network.
#[derive(Clone, Debug)]
pub(super) struct NetworkName {
    pub(super) project: String,
    pub(super) network: String,
}

impl FromStr for NetworkName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split('/').collect::<Vec<_>>()[..] {
            [project, network] => {
                Ok(Self { project: project.to_owned(), network: network.to_owned() })
            }
            _ => Err("a network is PROJECT/NETWORK, such as green/db".to_owned()),
        }
    }
}

/// A key of a half with its value.
#[derive(Clone, Debug)]
pub(super) struct Setting(pub(super) String, pub(super) Value);

impl FromStr for Setting {
    type Err = String;

    /// The value is TOML; a word that is none is a string.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((key, value)) = text.split_once('=') else {
            return Err("a setting is key=value, such as configured_status=disabled".to_owned());
        };
        let parsed = Value::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        Ok(Self(key.to_owned(), parsed))
    }
}

/// `create`.
#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// The half: PROJECT/NETWORK/NAME.
    pub(super) half: HalfName,
    /// The network to peer with: PROJECT/NETWORK.
    pub(super) target: NetworkName,
    /// Further keys of the half, as in a file: key=value, with the value in TOML.
    pub(super) settings: Vec<Setting>,
    /// Only check; store nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `accept`.
#[derive(Debug, Args)]
pub(super) struct AcceptArguments {
    /// Your network: PROJECT/NETWORK.
    pub(super) network: NetworkName,
    /// The network that asks: PROJECT/NETWORK.
    pub(super) from: NetworkName,
    /// The name of your half; by default that of the network that asks, PROJECT-NETWORK.
    pub(super) name: Option<String>,
    /// Only check; store nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `reject` and `unreject`.
#[derive(Debug, Args)]
pub(super) struct RejectArguments {
    /// Your network: PROJECT/NETWORK.
    pub(super) network: NetworkName,
    /// The network whose requests are rejected: PROJECT/NETWORK.
    pub(super) from: NetworkName,
}

/// `delete`.
#[derive(Debug, Args)]
pub(super) struct DeleteArguments {
    /// The half: PROJECT/NETWORK/NAME.
    pub(super) half: HalfName,
    /// Only check; delete nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// The project.
    #[arg(long)]
    pub(super) project: String,
    /// The file, in the form of peerings.d; `-` for standard input.
    #[arg(long, short, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    pub(super) dry_run: bool,
}
