//! What clients of the daemon's sockets asked, and how they were answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Where clients connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The control socket.
    Control,
    /// The network API.
    Api,
    /// `[metrics] listen`.
    Metrics,
}

impl Via {
    const ALL: [Self; 3] = [Self::Control, Self::Api, Self::Metrics];

    fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Api => "api",
            Self::Metrics => "metrics",
        }
    }
}

/// Counts requests; a clone counts with it.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    answered: Family<Answered, Counter>,
    auth_failures: Family<[(&'static str, &'static str); 1], Counter>,
    throttled: Family<[(&'static str, &'static str); 1], Counter>,
    /// Connections that are counted as throttled already.
    turned_away: Arc<[AtomicU64; 2]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    listener: &'static str,
    method: &'static str,
    code: u16,
}

/// The methods that are labels: a client may invent others.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"];

impl Requests {
    pub(super) fn new() -> Self {
        let requests = Self::default();
        for via in Via::ALL {
            // A series that is there from the start shows its first increase.
            let _ = requests.auth_failures.get_or_create(&label(via));
            let _ = requests.throttled.get_or_create(&label(via));
        }
        requests
    }

    /// A request was answered.
    pub fn answered(&self, via: Via, method: &str, code: u16) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        let labels = Answered { listener: via.as_str(), method, code };
        self.answered.get_or_create(&labels).inc();
    }

    /// A client was refused because of who it is, or because it did not show that.
    pub fn auth_failed(&self, via: Via) {
        self.auth_failures.get_or_create(&label(via)).inc();
    }

    /// A client was refused because of how much is asked.
    pub fn throttled(&self, via: Via) {
        self.throttled.get_or_create(&label(via)).inc();
    }

    /// So many connections to a listener were closed so far because there were too many.
    pub fn turned_away(&self, via: Via, connections: u64) {
        let [api, metrics] = &*self.turned_away;
        let before = match via {
            // Its server counts each.
            Via::Control => return,
            Via::Api => api,
            Via::Metrics => metrics,
        };
        let more = connections.saturating_sub(before.swap(connections, Ordering::Relaxed));
        self.throttled.get_or_create(&label(via)).inc_by(more);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let all: [(&str, &str, _); 2] = [
            ("auth_failures", "Clients refused because of who they are", &self.auth_failures),
            ("throttled", "Clients refused because of limits and rates", &self.throttled),
        ];
        registry.register("http_requests", "Requests answered", self.answered.clone());
        for (name, help, family) in all {
            registry.register(name, help, family.clone());
        }
    }
}

fn label(via: Via) -> [(&'static str, &'static str); 1] {
    [("listener", via.as_str())]
}
