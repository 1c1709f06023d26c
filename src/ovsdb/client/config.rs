//! The configuration of a client, with the defaults and their reasons.

use std::time::Duration;

use super::remote::Remote;
use super::tls::TlsFiles;
use crate::ovsdb::wanted::Wanted;

/// After twice this much silence, and unanswered probes, the client gives a server up. Long,
/// because a server that composes a large dump for somebody sends nothing for seconds. Without
/// another server, leaving gains nothing unless the connection is dead.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(30);

/// The same where there is another server: the value of OVS's own clients.
pub const CLUSTER_PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// A silent server may only be busy: if many clients read everything at once, the last one waits
/// for all the others. So each failed attempt in a row doubles the patience, up to this much
/// silence. It is bounded, because a connection may be dead, and because the client tries no other
/// server meanwhile.
pub const MOST_PATIENCE: Duration = Duration::from_secs(240);

/// Time for connecting. It never grows: the system of a busy server accepts at once.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The same where there is another server.
pub const CLUSTER_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for the TLS handshake, and for each short request until the first dump, where there is
/// another server: a member that hangs still accepts connections. Doubles up to [`MOST_PATIENCE`].
/// Without another server, only silence ends the wait.
pub const CLUSTER_ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// Time for all requests before the first dump, even while the server sends: the replies are small,
/// and a server that trickles bytes forever makes no progress. It never grows: a server that is
/// only busy is silent, and the patience covers that.
pub const HANDSHAKE_TIMEOUT: Duration = MOST_PATIENCE;

/// Time for the reply to a transaction; then its outcome is unknown, and the client ends the
/// session. A RAFT cluster that has just lost its leader answers within its election timer of some
/// seconds. Without another server, the client ends the session only if the server answers a later
/// request first.
pub const TRANSACT_TIMEOUT: Duration = Duration::from_secs(30);

/// The same where there is another server: a member may lose a transaction in an election, and
/// still answer all other requests. Doubles up to [`MOST_PATIENCE`].
pub const CLUSTER_TRANSACT_TIMEOUT: Duration = Duration::from_secs(8);

/// The interval of probes while the server sends nothing: so the client knows when it last heard
/// from the server, long before it gives the server up.
pub const ASK_INTERVAL: Duration = Duration::from_secs(5);

/// Largest message, in bytes: ten times the dump of a northbound of 10,000 routers.
pub const LARGEST_FRAME: usize = 512 << 20;

/// How many bytes of received messages may wait for the user. A user that is busy for seconds
/// receives far less meanwhile. Beyond it the server waits, and joins the changes that it has yet
/// to send.
pub const BACKLOG: usize = 64 << 20;

/// Events that wait for the user; messages behind them wait undecoded.
pub const EVENT_QUEUE: usize = 256;

/// Transactions that wait to be sent; beyond that [`submit`](super::Client::submit) fails.
pub const COMMAND_QUEUE: usize = 1024;

/// The configuration of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the servers of one database listen: one, or the members of a cluster.
    pub remotes: Vec<Remote>,
    /// The files for `ssl:` remotes; see [`Client::renew`](super::Client::renew).
    pub tls: Option<TlsFiles>,
    /// Whether to use only a cluster's leader: a follower may lag behind. A standalone server
    /// always qualifies.
    pub leader_only: bool,
    /// The database's name.
    pub database: &'static str,
    /// The tables and columns of the replica.
    pub wanted: &'static [Wanted],
    /// A lock to hold or wait for in every session (RFC 7047 section 4.1.8). Its
    /// name is an `<id>`: letters, digits and underscores, not beginning with a digit.
    pub lock: Option<String>,
    /// A lock that identifies this client; each session holds it or waits for it, too. While
    /// another session holds it, the client does not ask for `lock`; see
    /// [`Client::claim`](super::Client::claim).
    pub identity: Option<String>,
    /// See [`PROBE_INTERVAL`] and [`CLUSTER_PROBE_INTERVAL`].
    pub probe_interval: Duration,
    /// See [`CONNECT_TIMEOUT`] and [`CLUSTER_CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`CLUSTER_ANSWER_TIMEOUT`]; `None` where only silence ends the wait.
    pub answer_timeout: Option<Duration>,
    /// See [`HANDSHAKE_TIMEOUT`].
    pub handshake_timeout: Duration,
    /// See [`TRANSACT_TIMEOUT`] and [`CLUSTER_TRANSACT_TIMEOUT`].
    pub transact_timeout: Duration,
    /// See [`LARGEST_FRAME`].
    pub largest_frame: usize,
    /// See [`BACKLOG`].
    pub backlog: usize,
}

impl Config {
    /// With the defaults: leader only, no TLS files, no lock.
    pub fn new(remotes: Vec<Remote>, database: &'static str, wanted: &'static [Wanted]) -> Self {
        let one = Self {
            remotes,
            tls: None,
            leader_only: true,
            database,
            wanted,
            lock: None,
            identity: None,
            probe_interval: PROBE_INTERVAL,
            connect_timeout: CONNECT_TIMEOUT,
            answer_timeout: None,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            transact_timeout: TRANSACT_TIMEOUT,
            largest_frame: LARGEST_FRAME,
            backlog: BACKLOG,
        };
        if one.is_alone() {
            return one;
        }
        Self {
            probe_interval: CLUSTER_PROBE_INTERVAL,
            connect_timeout: CLUSTER_CONNECT_TIMEOUT,
            answer_timeout: Some(CLUSTER_ANSWER_TIMEOUT),
            transact_timeout: CLUSTER_TRANSACT_TIMEOUT,
            ..one
        }
    }

    /// Whether there is no other server.
    pub(super) fn is_alone(&self) -> bool {
        self.remotes.len() < 2
    }

    /// After this much silence the client gives a server up.
    pub(super) fn silence(&self) -> Duration {
        self.probe_interval * 2
    }

    /// The same limits with more patience, for a server that was silent this many times in a row:
    /// it may only be busy.
    pub(super) fn patient(&self, silences: u32) -> Self {
        let factor = 1_u32.checked_shl(silences).unwrap_or(u32::MAX);
        let longer =
            |limit: Duration, most: Duration| limit.saturating_mul(factor).min(most).max(limit);
        Self {
            probe_interval: longer(self.probe_interval, MOST_PATIENCE / 2),
            answer_timeout: self.answer_timeout.map(|limit| longer(limit, MOST_PATIENCE)),
            transact_timeout: longer(self.transact_timeout, MOST_PATIENCE),
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_short_at_first_where_there_is_another_and_grows_to_a_bound() {
        let remote: Remote = "unix:/a".parse().unwrap();
        let one = Config::new(vec![remote.clone()], "D", &[]);
        let two = Config::new(vec![remote.clone(), remote], "D", &[]);
        let seconds = |config: &Config, silences| {
            let patient = config.patient(silences);
            let answer = patient.answer_timeout.map(|limit| limit.as_secs());
            (patient.silence().as_secs(), answer, patient.transact_timeout.as_secs())
        };
        assert_eq!(
            [0, 1, 2].map(|silences| seconds(&two, silences)),
            [(10, Some(3), 8), (20, Some(6), 16), (40, Some(12), 32)]
        );
        assert_eq!(seconds(&one, 0), (60, None, 30));
        assert_eq!(seconds(&one, 1), (120, None, 60));
        let most = MOST_PATIENCE.as_secs();
        for silences in [9, 31, 32, 99] {
            assert_eq!(seconds(&one, silences), (most, None, most));
            assert_eq!(seconds(&two, silences), (most, Some(most), most));
            assert_eq!(two.patient(silences).connect_timeout, CLUSTER_CONNECT_TIMEOUT);
        }
        let own = MOST_PATIENCE * 2;
        let set = Config { probe_interval: own, ..two };
        assert_eq!(set.patient(3).probe_interval, own);
    }
}
