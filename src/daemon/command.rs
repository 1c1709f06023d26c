//! The command line of `ovn-peerd`, and starting up.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing::error;

use crate::control::{Socket, SocketError};
use crate::declare::{Settings, Severity};
use crate::ovsdb::client::RemoteError;

use super::check::check_config;
use super::events::Shell;
use super::files::read_settings;
use super::log;

/// Peers two tenants' OVN networks directly, privately and by the consent of both.
#[derive(Debug, Parser)]
#[command(name = "ovn-peerd", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The operator's settings.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// What to log: error, warn, info, debug, or a tracing filter. RUST_LOG is used if not given.
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Judge a configuration offline: exit code 0 if all is well, 1 if not.
    Check {
        /// The operator's settings.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// How to tell.
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

const DEFAULT_CONFIG: &str = "/etc/ovn-peerd/ovn-peerd.toml";

/// Why the daemon cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DaemonError {
    /// The settings have errors.
    #[error("the settings in {path} are not good:\n{diagnostics}")]
    Settings {
        /// The file.
        path: String,
        /// One per line.
        diagnostics: String,
    },
    /// A remote cannot be understood.
    #[error("a remote in the settings cannot be understood")]
    Remote(#[from] RemoteError),
    /// Another daemon is there, or the path is not usable.
    #[error("the control socket cannot be served")]
    Socket(#[from] SocketError),
    /// The operating system refuses something.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Runs `ovn-peerd` with these arguments.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = Arguments::parse_from(arguments);
    if let Some(Command::Check { config, format }) = arguments.command {
        return check(&config, format);
    }
    log::start(arguments.log_level.as_deref());
    match serve(&arguments.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            error!(error = %log::chain(&cause), "ovn-peerd cannot go on");
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stdout, reason = "a report is what `check` is for")]
fn check(config: &Path, format: Format) -> ExitCode {
    let report = check_config(config);
    let text = match format {
        Format::Text => report.to_text(),
        Format::Json => report.to_json().unwrap_or_default(),
    };
    print!("{text}");
    ExitCode::from(report.exit_code())
}

fn serve(config: &Path) -> Result<(), DaemonError> {
    let settings = load(config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DaemonError::System { what: "start the runtime", source })?;
    runtime.block_on(async {
        let socket = Socket::bind(&settings.control.socket).await?;
        Shell::start(config.to_owned(), settings, socket)?.run().await
    })
}

/// Reads the settings; any error in them is fatal, since half of an operator's policy is none.
pub(super) fn load(config: &Path) -> Result<Settings, DaemonError> {
    let (settings, diagnostics) = read_settings(config);
    let errors: Vec<String> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    if errors.is_empty() {
        return Ok(settings);
    }
    let path = config.display().to_string();
    Err(DaemonError::Settings { path, diagnostics: errors.join("\n") })
}
