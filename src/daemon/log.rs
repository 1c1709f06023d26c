//! The log: fields in the journal, text elsewhere.
//!
//! | level | journal priority | who is to notice |
//! |---|---|---|
//! | error | err | somebody, now: the daemon cannot repair it by itself |
//! | warn | warning | the operator or a tenant, today: refused, drifted, held, or declared wrongly |
//! | info | notice | nobody, until somebody asks what happened: a peering or the connection changed state |
//! | debug, trace | info, debug | somebody who investigates |
//!
//! `engine::notice` gives each change its level. Each change is one line; in the journal its
//! subject is in fields of its own (`journalctl -u ovn-peerd OVN_PEERD_PROJECT=blue`) and, because
//! `journalctl` shows no fields, in the message. Lines that repeat are counted ([`repeats`]).

mod filter;
mod repeats;

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::engine::{Change, Field, Level, Notice};

use repeats::Repeats;

/// The prefix of the daemon's own fields in the journal, which distinguishes them from the
/// journal's.
const FIELD_PREFIX: &str = "OVN_PEERD";
const IDENTIFIER: &str = "ovn-peerd";

/// Whether the log goes to the journal; set once, at the start.
static IN_JOURNAL: OnceLock<bool> = OnceLock::new();

/// Starts logging, at `level` where one is given, else as RUST_LOG says, else at info.
///
/// # Errors
/// When either is not understood; says which.
pub(super) fn start(level: Option<&str>) -> Result<(), String> {
    let from_environment = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let (name, text) = match level {
        Some(level) => ("--log-level", level),
        None => (EnvFilter::DEFAULT_ENV, from_environment.as_str()),
    };
    let filter = filter::parse(text).map_err(|why| format!("{name}: {why}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let journal = stderr_is_journal().then(tracing_journald::layer).and_then(Result::ok);
    IN_JOURNAL.get_or_init(|| journal.is_some());
    match journal {
        Some(journal) => registry
            .with(
                journal
                    .with_field_prefix(Some(FIELD_PREFIX.to_owned()))
                    .with_syslog_identifier(IDENTIFIER.to_owned()),
            )
            .init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(io::stderr)
                    .with_ansi(may_colour())
                    .with_target(false),
            )
            .init(),
    }
    Ok(())
}

/// Whether stderr is a terminal, and nobody asks for no colours (<https://no-color.org>).
fn may_colour() -> bool {
    let asked_for_none = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !asked_for_none
}

/// Whether the service manager connected stderr to the journal (systemd.exec(5), JOURNAL_STREAM).
fn stderr_is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// The log as a subscriber to the engine's changes.
#[derive(Debug, Default)]
pub(super) struct Log {
    repeats: Repeats,
}

impl Log {
    /// Writes the line of a change, or only counts it if there are many like it.
    pub(super) fn take(&mut self, change: &Change, now: Duration) {
        if !change.is_logged() {
            return;
        }
        let level = change.level();
        // Fields are made only for a line that is written: at a start all halves change at once.
        if is_written(level) && (level == Level::Debug || self.repeats.admits(change, now)) {
            write(&change.notice());
        }
    }

    /// Writes the counts whose windows have ended.
    pub(super) fn catch_up(&mut self, now: Duration) {
        for (last, count) in self.repeats.ended(now) {
            let mut notice = last.notice();
            notice.message = format!("{count} more lines like this one: {}", notice.message);
            notice.fields.push((Field::Count, count.to_string()));
            write(&notice);
        }
    }

    /// When the next window ends.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.repeats.deadline()
    }
}

fn is_written(level: Level) -> bool {
    match level {
        Level::Error => tracing::enabled!(tracing::Level::ERROR),
        Level::Warn => tracing::enabled!(tracing::Level::WARN),
        Level::Info => tracing::enabled!(tracing::Level::INFO),
        Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
    }
}

/// One line.
fn write(notice: &Notice) {
    let in_journal = IN_JOURNAL.get().is_some_and(|journal| *journal);
    let field = |field| notice.field(field);
    // Text output shows the fields; the half has all of them.
    let part = |name| field(name).filter(|_| in_journal);
    let message = || if in_journal { notice.sentence() } else { notice.message.clone() };
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                $level,
                half = field(Field::Half),
                project = part(Field::Project),
                network = part(Field::Network),
                peering = part(Field::Peering),
                state = field(Field::State),
                reason = field(Field::Reason),
                previous = field(Field::Previous),
                cause = field(Field::Cause),
                exported_gained = field(Field::ExportedGained),
                exported_lost = field(Field::ExportedLost),
                imported_gained = field(Field::ImportedGained),
                imported_lost = field(Field::ImportedLost),
                router = part(Field::Router),
                unit = field(Field::Unit),
                file = part(Field::File),
                count = field(Field::Count),
                actor = part(Field::Actor),
                command = part(Field::Command),
                result = part(Field::Result),
                remote = field(Field::Remote),
                schema = field(Field::Schema),
                version = field(Field::Version),
                error = field(Field::Error),
                "{}",
                message()
            )
        };
    }
    match notice.level {
        Level::Error => emit!(tracing::Level::ERROR),
        Level::Warn => emit!(tracing::Level::WARN),
        Level::Info => emit!(tracing::Level::INFO),
        Level::Debug => emit!(tracing::Level::DEBUG),
    }
}

/// An error with all its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
