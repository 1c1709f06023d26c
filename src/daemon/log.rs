//! The log: fields in the journal, text elsewhere.
//!
//! | level | journal priority | who is to notice |
//! |---|---|---|
//! | error | err | somebody, now: the daemon cannot mend it by itself |
//! | warn | warning | the operator or a tenant, today: refused, drifted, held, or declared wrongly |
//! | info | notice | nobody, until asked what happened: a peering or the connection changed state |
//! | debug, trace | info, debug | somebody who looks for something |
//!
//! Each change is told once. In the journal its subject is in fields of its own (`journalctl -u
//! ovn-peerd OVN_PEERD_PROJECT=blue`) and, because `journalctl` shows no fields, in the message.

use std::cell::LazyCell;
use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::engine::{Level, Notice};

/// Of the daemon's own fields in the journal, so that they are told from the journal's.
const FIELD_PREFIX: &str = "OVN_PEERD";
const IDENTIFIER: &str = "ovn-peerd";

/// Whether the log goes to the journal; set once, at the start.
static IN_JOURNAL: OnceLock<bool> = OnceLock::new();

/// Starts logging, at `level` where one is given: a word, or a filter (tracing-subscriber,
/// `EnvFilter`); else as RUST_LOG says; else at info.
///
/// # Errors
/// When the filter makes no sense.
pub(super) fn start(level: Option<&str>) -> Result<(), String> {
    let filter = match level {
        Some(level) => EnvFilter::try_new(level).map_err(|error| error.to_string())?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
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
                    .with_ansi(io::stderr().is_terminal())
                    .with_target(false),
            )
            .init(),
    }
    Ok(())
}

/// Whether the service manager connected stderr to the journal (systemd.exec(5), JOURNAL_STREAM).
fn stderr_is_journal() -> bool {
    let Ok(stream) = env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// One line of the engine's.
pub(super) fn notice(notice: &Notice) {
    // Made only for a line that is written, as `event` sees to.
    let fields = LazyCell::new(|| notice.fields());
    let field =
        |name: &str| fields.iter().find(|(field, _)| *field == name).map(|(_, text)| text.as_str());
    let in_journal = IN_JOURNAL.get().is_some_and(|journal| *journal);
    // Text shows its fields, and the half says it all there.
    let part = |name: &str| field(name).filter(|_| in_journal);
    let message = || if in_journal { sentence(notice, field) } else { notice.message.clone() };
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                $level,
                half = field("half"),
                project = part("project"),
                network = part("network"),
                peering = part("peering"),
                state = field("state"),
                reason = field("reason"),
                router = part("router"),
                unit = field("unit"),
                remote = field("remote"),
                schema = field("schema"),
                error = field("error"),
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

/// The message with what it is about and why, for a reader who sees no fields.
fn sentence<'n>(notice: &Notice, field: impl Fn(&str) -> Option<&'n str>) -> String {
    let mut text = match field("half") {
        Some(half) => format!("{half}: {}", notice.message),
        None => notice.message.clone(),
    };
    for detail in ["unit", "remote", "error"].into_iter().filter_map(field) {
        text.push_str(": ");
        text.push_str(detail);
    }
    text
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
