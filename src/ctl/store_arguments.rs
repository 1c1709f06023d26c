//! The commands that change stored declarations, with their arguments.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::SignedDuration;
use toml::Value;

use super::names::{HalfArgument, Scope, WrittenHalf, WrittenNetwork, WrittenTarget};
use crate::control::state_of;
use crate::view::State;

/// What to change.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Store a half: your side of a peering.
    ///
    /// All hosts share what is stored. A file that declares the same half counts before it.
    Create(CreateArguments),
    /// Store the half that answers another network's request, and delete its rejection.
    Accept(AcceptArguments),
    /// Store a rejection of another network's requests.
    Reject(RejectArguments),
    /// Delete a stored rejection.
    Unreject(RejectArguments),
    /// Enable a stored half.
    Enable(HalfChange),
    /// Disable a stored half: it is kept, and not linked.
    Disable(HalfChange),
    /// Request a stored half again: after it has expired, or to apply a frozen address space.
    Renew(HalfChange),
    /// Give a stored half another name. Its peering stands meanwhile.
    Rename(RenameArguments),
    /// Delete a stored half.
    #[command(visible_alias = "rm")]
    Delete(HalfChange),
    /// Set keys of a stored half.
    Set(SetArguments),
    /// Remove keys of a stored half: their defaults apply then.
    Unset(UnsetArguments),
    /// Print the keys of a half as they are declared, or the value of one.
    Get(GetArguments),
    /// Edit a half in $VISUAL, $EDITOR or sensible-editor.
    ///
    /// If the text has errors, they are shown in it as comments, and it is opened again. Without a
    /// terminal, the text is read from standard input. A half that a file of this host declares is
    /// edited in its file.
    Edit(EditArguments),
    /// Make what is stored of a project equal to a file, in one transaction.
    Apply(ApplyArguments),
    /// Print what is stored of a project, as a file of peerings.d.
    Export(ExportArguments),
    /// Wait until a half is in one of some states.
    Wait(WaitArguments),
}

/// What all commands have that store halves.
#[derive(Clone, Debug, Args)]
pub(super) struct StoreOptions {
    /// Only check; store nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) wait: WaitOptions,
}

/// What all commands have that change a half.
#[derive(Clone, Debug, Args)]
pub(super) struct ChangeOptions {
    #[command(flatten)]
    pub(super) store: StoreOptions,
    /// Change it only if its tag is this one; `get --etag` prints it.
    #[arg(long, value_name = "ETAG")]
    pub(super) if_match: Option<String>,
}

/// Whether and how long to wait.
#[derive(Clone, Debug, Args)]
pub(super) struct WaitOptions {
    /// Wait until the half is in this state; several with commas between. Without a word: active.
    #[arg(
        long,
        value_name = "STATE",
        value_parser = state_of,
        value_delimiter = ',',
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "active"
    )]
    pub(super) wait: Option<Vec<State>>,
    #[command(flatten)]
    pub(super) timeout: Timeout,
}

/// How long to wait.
#[derive(Clone, Debug, Args)]
pub(super) struct Timeout {
    /// How long to wait at the most.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    timeout: SignedDuration,
}

impl Timeout {
    pub(super) fn time(&self) -> Duration {
        Duration::try_from(self.timeout).unwrap_or_default()
    }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    let whole = parsed.filter(|time| !time.is_negative());
    whole.ok_or_else(|| "write a number and a unit, such as 30s or 5m".to_owned())
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
    pub(super) half: WrittenHalf,
    /// The network to peer with: PROJECT/NETWORK, a NETWORK of the same project, or its UUID.
    pub(super) target: WrittenTarget,
    /// Further keys of the half, as in a file: key=value, with the value in TOML.
    #[arg(value_name = "KEY=VALUE")]
    pub(super) settings: Vec<Setting>,
    #[command(flatten)]
    pub(super) scope: Scope,
    #[command(flatten)]
    pub(super) options: StoreOptions,
}

/// `accept`.
#[derive(Debug, Args)]
pub(super) struct AcceptArguments {
    /// Your network: PROJECT/NETWORK.
    pub(super) network: WrittenNetwork,
    /// The network that asks: PROJECT/NETWORK, or a NETWORK of the same project.
    pub(super) from: WrittenNetwork,
    /// The name of your half; by default that of the network that asks, PROJECT-NETWORK.
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) scope: Scope,
    #[command(flatten)]
    pub(super) options: StoreOptions,
}

/// `reject` and `unreject`.
#[derive(Debug, Args)]
pub(super) struct RejectArguments {
    /// Your network: PROJECT/NETWORK.
    pub(super) network: WrittenNetwork,
    /// The network whose requests are rejected: PROJECT/NETWORK, or a NETWORK of the same project.
    pub(super) from: WrittenNetwork,
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Only check; store nothing.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `enable`, `disable`, `renew` and `delete`.
#[derive(Debug, Args)]
pub(super) struct HalfChange {
    #[command(flatten)]
    pub(super) half: HalfArgument,
    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

/// `rename`.
#[derive(Debug, Args)]
pub(super) struct RenameArguments {
    /// The half: PROJECT/NETWORK/NAME.
    pub(super) half: WrittenHalf,
    /// Its new name.
    pub(super) name: String,
    #[command(flatten)]
    pub(super) scope: Scope,
    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

/// `set`.
#[derive(Debug, Args)]
pub(super) struct SetArguments {
    /// The half: PROJECT/NETWORK/NAME.
    pub(super) half: WrittenHalf,
    /// The keys: key=value, with the value in TOML. `config.user.KEY` is one key of `config`.
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub(super) settings: Vec<Setting>,
    #[command(flatten)]
    pub(super) scope: Scope,
    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

/// `unset`.
#[derive(Debug, Args)]
pub(super) struct UnsetArguments {
    /// The half: PROJECT/NETWORK/NAME.
    pub(super) half: WrittenHalf,
    /// The keys.
    #[arg(required = true, value_name = "KEY")]
    pub(super) keys: Vec<String>,
    #[command(flatten)]
    pub(super) scope: Scope,
    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

/// `get`.
#[derive(Debug, Args)]
pub(super) struct GetArguments {
    /// The half: PROJECT/NETWORK/NAME.
    pub(super) half: WrittenHalf,
    /// One key.
    pub(super) key: Option<String>,
    /// Print the tag of a stored half, for --if-match.
    #[arg(long, conflicts_with = "key")]
    pub(super) etag: bool,
    #[command(flatten)]
    pub(super) scope: Scope,
}

/// `edit`.
#[derive(Debug, Args)]
pub(super) struct EditArguments {
    #[command(flatten)]
    pub(super) half: HalfArgument,
    /// As YAML.
    #[arg(long)]
    pub(super) yaml: bool,
    #[command(flatten)]
    pub(super) options: ChangeOptions,
}

/// `apply`.
#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    #[command(flatten)]
    pub(super) scope: Scope,
    /// The file, in the form of peerings.d; `-` for standard input.
    #[arg(long, short, value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Only show what would change.
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// `export`.
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    pub(super) scope: Scope,
}

/// `wait`.
#[derive(Debug, Args)]
pub(super) struct WaitArguments {
    #[command(flatten)]
    pub(super) half: HalfArgument,
    /// The states, with commas between. `deleted` is also reached once the half is not shown any
    /// more.
    #[arg(
        long = "for",
        value_name = "STATE",
        value_parser = state_of,
        value_delimiter = ',',
        default_value = "active"
    )]
    pub(super) states: Vec<State>,
    #[command(flatten)]
    pub(super) timeout: Timeout,
}
