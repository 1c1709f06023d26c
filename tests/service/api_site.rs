//! A daemon with the network API, its tokens, and the networks of three projects.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::{fs, process};

use ovn_peerd::api::secret;
use ovn_peerd::declare::NetworkKey;
use ovn_peerd::declare::default_of_network;
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::pki::Pki;
use crate::running::{Northbound, Running, Start, directory, place, wait_for};

pub(crate) const PEERING: &str = "/1.3/network-peering";

/// An address of loopback that no other test has: each test is a process.
pub(crate) fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let [_, high, middle, low] = process::id().to_be_bytes();
    let port = NEXT.fetch_add(1, Ordering::Relaxed);
    SocketAddr::from((
        [127, 64 | (high & 0x3f) << 2 | middle >> 6, middle << 2 | low >> 6, (low & 0x3f) + 1],
        port,
    ))
}

/// `[[token]]`, with the name as its secret.
pub(crate) fn token(name: &str, rights: &str) -> String {
    format!("[[token]]\nname = \"{name}\"\n{rights}\nsha256 = \"{}\"\n", secret::digest(name))
}

/// Tokens of blue and green, of an operator, and one that only reads.
pub(crate) fn tokens() -> String {
    token("blue", "project = \"blue\"")
        + &token("green", "project = \"green\"")
        + &token("red", "project = \"red\"")
        + &token("reader", "project = \"blue\"\nread_only = true")
        + &token("root", "operator = true")
}

/// Networks of projects: (project, name, router, subnets, further keys).
const NETWORKS: [(&str, &str, &str, &[&str], &str); 8] = [
    ("blue", "web", "blue-lr", &["10.1.0.1/24", "fd01::1/64"], "zone = \"a\""),
    ("blue", "app", "app-lr", &["10.11.0.1/24"], ""),
    ("blue", "lost", "nowhere-lr", &[], ""),
    ("green", "db", "green-lr", &["10.2.0.1/24", "fd02::1/64"], "zone = \"a\""),
    ("green", "public", "public-lr", &["10.22.0.1/24"], "type = \"public\""),
    ("green", "far", "far-lr", &["10.33.0.1/24"], "zone = \"b\""),
    ("green", "gone", "gone-lr", &[], ""),
    ("red", "cache", "red-lr", &["10.1.0.129/25"], ""),
];

/// The UUID of a network.
pub(crate) fn network(project: &str, name: &str) -> String {
    default_of_network(&NetworkKey::new(project, name)).to_string()
}

/// A body of `POST`.
pub(crate) fn body(name: &str, network: &str, peer: &str) -> Value {
    json!({"network_peering":
        {"name": name, "network": {"uuid": network}, "peer_network": {"uuid": peer}}})
}

/// Fills a northbound and a directory.
pub(crate) fn furnish(root: &std::path::Path) -> Northbound {
    let northbound = Northbound::start(root);
    let mut networks = String::new();
    for (number, (project, name, router, subnets, keys)) in NETWORKS.iter().enumerate() {
        write!(
            networks,
            "[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n{keys}\n"
        )
        .unwrap();
        if !subnets.is_empty() {
            let mac = format!("0a:00:00:00:00:{number:02x}");
            let port = format!("{router}-in");
            let mut arguments = vec!["lr-add", router, "--", "lrp-add", router, &port, &mac];
            arguments.extend(subnets.iter());
            northbound.nbctl(&arguments);
        }
    }
    place(root, "networks.d/all.toml", &networks);
    northbound
}

/// A daemon with the API, and its northbound.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) daemon: Running,
    pub(crate) northbound: Option<Northbound>,
    pub(crate) http: Http,
}

impl Site {
    /// Without TLS; `more` is appended to the settings.
    pub(crate) fn start(more: &str) -> Self {
        Self::launch(None, more)
    }

    pub(crate) fn with_tls(pki: &Pki, more: &str) -> Self {
        Self::launch(Some(pki), more)
    }

    fn launch(pki: Option<&Pki>, more: &str) -> Self {
        let directory = directory();
        let northbound = furnish(directory.path());
        let address = free_address();
        let files = pki.map(|pki| {
            let file = |kind| pki.file("server", kind).display().to_string();
            format!("certificate = \"{}\"\nprivate_key = \"{}\"\n", file("crt"), file("key"))
        });
        let settings = settings(address, &files.unwrap_or_default()) + more;
        let daemon = Running::ready(directory, &Start { settings: &settings, ..Start::default() });
        let http = match pki {
            Some(pki) => Http::tls(address, &pki.file("ca", "crt"), None),
            None => Http::plain(address),
        };
        let site = Self { daemon, northbound: Some(northbound), http };
        site.wait_until_ready();
        site
    }

    pub(crate) fn wait_until_ready(&self) {
        wait_for("readiness", || {
            let answer = self.http.try_send("GET", "/readyz", &[], None).ok()?;
            (answer.status == 200).then_some(())
        });
    }

    /// A request with a token, whose secret is its name.
    #[track_caller]
    pub(crate) fn ask(&self, token: &str, method: &str, path: &str) -> Answer {
        self.http.send(method, path, &[("Authorization", &format!("Bearer {token}"))], None)
    }

    /// A request with a body of JSON.
    #[track_caller]
    pub(crate) fn tell(&self, token: &str, method: &str, path: &str, body: &Value) -> Answer {
        self.tell_if(token, method, path, body, &[])
    }

    #[track_caller]
    pub(crate) fn tell_if(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
        more: &[(&str, &str)],
    ) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Authorization", &*bearer), ("Content-Type", "application/json")];
        headers.extend(more);
        self.http.send(method, path, &headers, Some(&body.to_string()))
    }

    /// Creates a peering; returns its UUID.
    #[track_caller]
    pub(crate) fn create(&self, token: &str, name: &str, network: &str, peer: &str) -> String {
        let answer = self.tell(token, "POST", PEERING, &body(name, network, peer));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["network_peering"]["uuid"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn peering(&self, token: &str, uuid: &str) -> Value {
        let answer = self.ask(token, "GET", &format!("{PEERING}/{uuid}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["network_peering"].clone()
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, token: &str, uuid: &str, state: &str) -> Value {
        wait_for(state, || {
            Some(self.peering(token, uuid)).filter(|peering| peering["state"] == state)
        })
    }

    /// Replaces a text in the settings, and reloads them.
    pub(crate) fn reload(&self, old: &str, new: &str) {
        let path = self.daemon.path().join("ovn-peerd.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{text}");
        place(self.daemon.path(), "ovn-peerd.toml", &text.replace(old, new));
        let output = self.daemon.ctl(&["reload"]);
        assert!(output.status.success(), "{output:?}");
    }
}

/// `[api]` and all tokens; the rate is beyond what tests need.
pub(crate) fn settings(address: SocketAddr, files: &str) -> String {
    format!(
        "[daemon]\nhost = \"hv1\"\n[api]\nlisten = [\"{address}\"]\n{files}rate = {{ per_second = 5000, burst = 5000 }}\n{}",
        tokens()
    )
}

/// The code of an error.
#[track_caller]
pub(crate) fn code(answer: &Answer) -> String {
    let body = answer.json();
    let error = body["error"].as_object().unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!(error.len(), 2, "{answer:?}");
    assert!(!error["error_message"].as_str().unwrap().is_empty());
    error["error_code"].as_str().unwrap().to_owned()
}
