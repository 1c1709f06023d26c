//! The command line of `ovn-peerd`, and starting up.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use tracing::{error, warn};

use crate::control::Socket;
use crate::declare::{Diagnostic, Settings, Severity};

use super::check::check_config;
use super::error::DaemonError;
use super::events::Shell;
use super::files::read_settings;
use super::log;
use super::open_files;

/// Peer the OVN networks of two tenants directly, privately, with the consent of both.
#[derive(Debug, Parser)]
#[command(name = "ovn-peerd", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    /// The operator's settings.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
    /// The level: error, warning, info or debug, or TARGET=LEVEL,... [default: RUST_LOG, or info].
    #[arg(long, value_name = "FILTER")]
    log_level: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check a configuration offline: exit code 0 without errors, else 1.
    Check {
        /// The operator's settings.
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
        config: PathBuf,
        /// How to print the result.
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

/// The path in the package.
const DEFAULT_CONFIG: &str = "/etc/ovn-peerd/ovn-peerd.toml";

/// The command line, for its manual page.
#[cfg(test)]
pub(crate) fn command_line() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs `ovn-peerd` with these arguments.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments = Arguments::parse_from(arguments);
    if let Some(Command::Check { config, format }) = arguments.command {
        return check(&config, format);
    }
    if let Err(why) = log::start(arguments.log_level.as_deref()) {
        return refuse(&why);
    }
    match serve(&arguments.config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            error!("ovn-peerd cannot go on: {}", log::chain(&cause));
            ExitCode::FAILURE
        }
    }
}

fn check(config: &Path, format: Format) -> ExitCode {
    let report = check_config(config);
    let text = match format {
        Format::Text => Ok(report.to_text()),
        Format::Json => report.to_json().map_err(io::Error::from),
    };
    match text.and_then(|text| io::stdout().lock().write_all(text.as_bytes())) {
        // A reader that closes early, such as `head`, does not change the verdict.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            refuse(&format!("the report cannot be written: {error}"))
        }
        Ok(()) | Err(_) => ExitCode::from(report.exit_code()),
    }
}

fn refuse(why: &str) -> ExitCode {
    // If stderr is closed, the exit code must suffice.
    let _ = writeln!(io::stderr().lock(), "ovn-peerd: {why}");
    ExitCode::FAILURE
}

fn serve(config: &Path) -> Result<(), DaemonError> {
    let (settings, warnings) = load(config)?;
    if let Err(why) = open_files::allow() {
        warn!("too few files may be open for all clients of the control socket: {why}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| DaemonError::System { what: "start the runtime", source })?;
    let served = runtime.block_on(async {
        let socket = Socket::bind(&settings.control.socket).await?;
        Shell::start(config.to_owned(), (settings, warnings), socket)?.run().await
    });
    // A thread that hangs in a file system or a user database must not keep the process alive.
    runtime.shutdown_background();
    served
}

/// Reads the settings and their warnings. Any error in them is fatal at a start: half of an
/// operator's policy is none.
fn load(config: &Path) -> Result<(Settings, Vec<Diagnostic>), DaemonError> {
    let (settings, diagnostics) = read_settings(config);
    let errors = diagnostics.iter().filter(|it| it.severity == Severity::Error);
    let errors: Vec<String> = errors.map(ToString::to_string).collect();
    if errors.is_empty() {
        return Ok((settings, diagnostics));
    }
    let path = config.display().to_string();
    Err(DaemonError::Settings { path, diagnostics: errors.join("\n") })
}
