//! Notifications to the service manager (sd_notify(3)).

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

use super::access::AccessRequests;
use crate::declare::Settings;
use crate::view::{State, StatusView};

/// Names the manager's socket.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How long a manager may take to read.
const PATIENCE: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct Service {
    status: String,
    /// Whether there are tenants. Every user of the host can read the unit's status, and tenants
    /// must not see each other's halves.
    tenants: bool,
    /// Whether there is a service manager that shows the status.
    managed: bool,
    access: AccessRequests,
    /// How often to feed the watchdog; `None` without a watchdog.
    pub(super) watchdog: Option<Duration>,
}

impl Service {
    pub(super) fn new() -> Self {
        // At half of its timeout, as sd_watchdog_enabled(3) recommends.
        let watchdog = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        let managed = env::var_os(SOCKET).is_some();
        let access = AccessRequests::new();
        Self { status: String::new(), tenants: false, managed, access, watchdog }
    }

    /// Whether a service manager started the daemon, and shows its status.
    pub(super) fn is_managed(&self) -> bool {
        self.managed
    }

    /// Sets whether there are tenants, from the next status on.
    pub(super) fn configure(&mut self, settings: &Settings) {
        self.tenants = !settings.projects.is_empty();
    }

    /// READY=1: started, or done reloading.
    pub(super) fn ready(&mut self, status: &StatusView) {
        self.status = sentence(status, self.tenants);
        notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]);
    }

    /// RELOADING=1 with the moment it began; READY=1 ends it.
    pub(super) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(_) => notify(&[NotifyState::Reloading]),
        }
    }

    /// An attempt to connect to the northbound has failed.
    pub(super) fn lost(&mut self, remotes: &[String]) {
        self.access.review(remotes);
    }

    pub(super) fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    pub(super) fn alive(&self) {
        mention(&[NotifyState::Watchdog]);
    }

    /// Sends a status if it differs from the last one.
    pub(super) fn status(&mut self, status: &StatusView) {
        let text = sentence(status, self.tenants);
        if text != self.status && mention(&[NotifyState::Status(&text)]) {
            self.status = text;
        }
    }
}

/// Sends what the manager waits for. It has the time that a manager may need under load.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = send(states, PATIENCE) {
        debug!(%error, "cannot notify the service manager");
    }
}

/// Sends, in a short time or not at all, what comes again soon. Returns whether it is sent. A manager
/// that reads nothing must not stop the event loop.
fn mention(states: &[NotifyState<'_>]) -> bool {
    let result = send(states, Duration::from_millis(1));
    if let Err(error) = &result {
        debug!(%error, "the service manager reads no notification now");
    }
    result.is_ok()
}

/// As sd_notify(3) does, but with a limit to its time.
fn send(states: &[NotifyState<'_>], limit: Duration) -> io::Result<()> {
    let Some(path) = env::var_os(SOCKET) else { return Ok(()) };
    let lines: String = states.iter().map(|state| format!("{state}\n")).collect();
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(limit))?;
    socket.send_to_addr(lines.as_bytes(), &address).map(drop)
}

/// `active: 12 active, 1 failed; northbound unix:/run/ovn/ovnnb_db.sock`; if there are tenants,
/// only the role.
fn sentence(status: &StatusView, tenants: bool) -> String {
    let count = |(state, count): (&State, &usize)| format!("{count} {state}");
    let halves: Vec<String> = status.halves.iter().map(count).collect();
    let halves = if halves.is_empty() { "no peerings".to_owned() } else { halves.join(", ") };
    let northbound = &status.northbound;
    let role = match (northbound.synced, northbound.active) {
        (false, _) => "waiting for the northbound",
        _ if status.newer_version.is_some() => "writes nothing, a newer ovn-peerd has written",
        (true, true) => "active",
        (true, false) => "standby",
    };
    if status.host_name_in_use {
        return "host-name-in-use: another ovn-peerd declares by this host's name; nothing is written".to_owned();
    }
    if tenants {
        return format!("{role}; ovn-peerctl status shows operators more");
    }
    let remote = northbound.remote.as_deref().unwrap_or("not reached yet");
    let held =
        if status.held.is_empty() { "" } else { "; a mass withdrawal waits: ovn-peerctl confirm" };
    format!("{role}: {halves}; northbound {remote}{held}")
}
