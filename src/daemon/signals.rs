//! Signals, as requests.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// The request of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// SIGTERM, SIGINT: end the process.
    Leave,
    /// SIGHUP: read everything again.
    Reload,
}

/// The signals that the daemon handles; they no longer end the process by themselves.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// The daemon does not use these signals; by default they would end the process.
    without_meaning: [Signal; 2],
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            without_meaning: [
                signal(SignalKind::user_defined1())?,
                signal(SignalKind::user_defined2())?,
            ],
        })
    }

    /// The next request; several signals of one kind may count as one.
    pub(super) async fn next(&mut self) -> Request {
        let [first, second] = &mut self.without_meaning;
        loop {
            tokio::select! {
                biased;
                _ = self.terminate.recv() => return Request::Leave,
                _ = self.interrupt.recv() => return Request::Leave,
                _ = self.hangup.recv() => return Request::Reload,
                _ = first.recv() => info!("ovn-peerd ignores SIGUSR1"),
                _ = second.recv() => info!("ovn-peerd ignores SIGUSR2"),
            }
        }
    }
}
