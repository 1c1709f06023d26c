//! What a client is told, with the defaults and why they are what they are.

use std::time::Duration;

use super::remote::Remote;
use super::tls::TlsFiles;
use crate::ovsdb::layout::Wanted;

/// After twice this much silence a server is given up, though it was asked for a sign of life. Long, because a server that composes a large dump for somebody says nothing for seconds.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(30);

/// The same where there is another server to go to: as OVS's own clients do. A server that is only busy
/// is not left for ever: with each session that it does not begin it is given twice as long, up to
/// [`PROBE_INTERVAL`].
pub const CLUSTER_PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// Time for connecting, TLS included, and again for each short request until the first dump.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same where there is another server to go to; doubled as [`CLUSTER_PROBE_INTERVAL`] is, up to
/// [`CONNECT_TIMEOUT`]. A member that hangs still accepts connections.
pub const CLUSTER_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for the reply to a transaction; then its outcome is unknown, and the session is given up. A
/// RAFT cluster that has just lost its leader answers within its election timer of some seconds.
pub const TRANSACT_TIMEOUT: Duration = Duration::from_secs(30);

/// The same where there is another server to go to: a member may lose a transaction in an election, and go on answering
/// whatever else it is asked. Doubled as [`CLUSTER_PROBE_INTERVAL`] is, up to [`TRANSACT_TIMEOUT`].
pub const CLUSTER_TRANSACT_TIMEOUT: Duration = Duration::from_secs(8);

/// A server that has said nothing for so long is asked for a sign of life, again and again: so it is known when it was
/// last heard, long before it is given up.
pub const ASK_INTERVAL: Duration = Duration::from_secs(5);

/// Largest message, in bytes: ten times the dump of a northbound of 10,000 routers.
pub const LARGEST_FRAME: usize = 512 << 20;

/// Events that wait for the user; beyond that the server has to wait.
pub const EVENT_QUEUE: usize = 256;

/// Transactions that wait to be sent; beyond that [`submit`](super::Client::submit) refuses.
pub const COMMAND_QUEUE: usize = 1024;

/// What a client is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the servers of one database listen: one, or the members of a cluster.
    pub remotes: Vec<Remote>,
    /// The files for `ssl:` remotes; see [`Client::renew`](super::Client::renew).
    pub tls: Option<TlsFiles>,
    /// Whether only a cluster's leader will do: a follower may lag behind. A standalone server always
    /// does.
    pub leader_only: bool,
    /// The database's name.
    pub database: &'static str,
    /// The tables and columns of the replica.
    pub wanted: &'static [Wanted],
    /// A lock to hold or wait for in every session (RFC 7047 section 4.1.8). Its
    /// name is an `<id>`: letters, digits and underscores, not beginning with a digit.
    pub lock: Option<String>,
    /// See [`PROBE_INTERVAL`] and [`CLUSTER_PROBE_INTERVAL`].
    pub probe_interval: Duration,
    /// See [`CONNECT_TIMEOUT`] and [`CLUSTER_CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`TRANSACT_TIMEOUT`] and [`CLUSTER_TRANSACT_TIMEOUT`].
    pub transact_timeout: Duration,
    /// See [`LARGEST_FRAME`].
    pub largest_frame: usize,
}

impl Config {
    /// With the defaults: leader only, no TLS files, no lock.
    pub fn new(remotes: Vec<Remote>, database: &'static str, wanted: &'static [Wanted]) -> Self {
        let (probe_interval, connect_timeout, transact_timeout) = match remotes.len() {
            0 | 1 => (PROBE_INTERVAL, CONNECT_TIMEOUT, TRANSACT_TIMEOUT),
            _ => (CLUSTER_PROBE_INTERVAL, CLUSTER_CONNECT_TIMEOUT, CLUSTER_TRANSACT_TIMEOUT),
        };
        Self {
            remotes,
            tls: None,
            leader_only: true,
            database,
            wanted,
            lock: None,
            probe_interval,
            connect_timeout,
            transact_timeout,
            largest_frame: LARGEST_FRAME,
        }
    }

    /// For a server of several that was silent so many times in a row: it may only be busy, so it is given
    /// more time.
    pub(super) fn patient(&self, silences: u32) -> Self {
        if self.remotes.len() < 2 {
            return self.clone();
        }
        let factor = 1_u32.checked_shl(silences).unwrap_or(u32::MAX);
        let longer =
            |limit: Duration, most: Duration| limit.saturating_mul(factor).min(most).max(limit);
        Self {
            probe_interval: longer(self.probe_interval, PROBE_INTERVAL),
            connect_timeout: longer(self.connect_timeout, CONNECT_TIMEOUT),
            transact_timeout: longer(self.transact_timeout, TRANSACT_TIMEOUT),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_to_what_a_single_server_is_given() {
        let remote: Remote = "unix:/a".parse().unwrap();
        let one = Config::new(vec![remote.clone()], "D", &[]);
        let two = Config::new(vec![remote.clone(), remote], "D", &[]);
        assert!(two.probe_interval < one.probe_interval);
        assert_eq!(two.patient(1).probe_interval, CLUSTER_PROBE_INTERVAL * 2);
        for config in [one.patient(9), one, two.patient(9), two.patient(99)] {
            assert_eq!(config.probe_interval, PROBE_INTERVAL);
            assert_eq!(config.connect_timeout, CONNECT_TIMEOUT);
            assert_eq!(config.transact_timeout, TRANSACT_TIMEOUT);
        }
        let own = Duration::from_secs(99);
        let set = Config { probe_interval: own, ..two };
        assert_eq!(set.patient(3).probe_interval, own);
    }
}
