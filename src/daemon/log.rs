//! The log: fields in the journal, text elsewhere.
//!
//! | level | who is to notice |
//! |---|---|
//! | error | the operator, now: the daemon cannot mend it by itself |
//! | warn | the operator or a tenant, today: something failed, drifted, or is declared wrongly |
//! | info | nobody, later: a peering or the connection changed state |
//! | debug | somebody who looks for something |

use std::error::Error;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::engine::{Level, Notice};

/// Starts logging; whatever cannot be set up is left out rather than fatal.
pub(super) fn start(level: Option<&str>) {
    let filter = match level {
        Some(level) => EnvFilter::new(level),
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
    let registry = tracing_subscriber::registry().with(filter);
    match tracing_journald::layer().ok().filter(|_| stderr_is_journal()) {
        Some(journal) => registry.with(journal).init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false),
            )
            .init(),
    }
}

/// Whether the service manager connected stderr to the journal (systemd.exec(5), JOURNAL_STREAM).
fn stderr_is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(stderr) = std::fs::metadata("/proc/self/fd/2") else { return false };
    stream == format!("{}:{}", stderr.dev(), stderr.ino())
}

/// One line of the engine's.
pub(super) fn notice(notice: &Notice) {
    let field = |name: &str| {
        notice.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    };
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                $level,
                half = field("half"),
                state = field("state"),
                reason = field("reason"),
                unit = field("unit"),
                remote = field("remote"),
                schema = field("schema"),
                error = field("error"),
                "{}",
                notice.message
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
