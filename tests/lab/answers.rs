//! Hosts that say who they are when they are asked, by TCP or UDP: to see which backend of a load balancer answers, and
//! what it takes the asker for.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::Deserialize;

use super::command::poll;
use super::host::Host;
use super::probe::Probe;

const SCRIPT: &str = include_str!("answers.py");

/// How long an answer may take that comes.
const PATIENCE: &str = "2";
/// How long to wait for one that is not to come.
const NO_PATIENCE: &str = "0.7";
/// Until when an answer must come, on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(30);

/// From which ports hosts ask: each connection from one of its own, below those that a system chooses. The userspace
/// datapath of OVS 3.1.0 aborts when one host asks a backend from one port by several virtual addresses.
static NEXT_PORT: AtomicU32 = AtomicU32::new(20_000);

#[derive(Debug, Deserialize)]
struct Answers {
    answers: Vec<String>,
}

impl Host {
    /// Answers with its name at a port, by TCP and by UDP, as long as it is held.
    #[track_caller]
    pub fn answer_at(&self, port: u16) -> impl Drop {
        let args = ["answer", &self.name, &port.to_string()];
        let mut serving = Probe::start_script(self.namespace(), SCRIPT, &args);
        serving.line();
        serving
    }

    /// Who answers at an address, asked so often: names and what they take the asker for, or errors.
    #[track_caller]
    pub fn ask(&self, protocol: &str, to: IpAddr, port: u16, count: u32) -> BTreeSet<String> {
        self.ask_for(protocol, to, port, count, PATIENCE)
    }

    #[track_caller]
    fn ask_for(
        &self,
        protocol: &str,
        to: IpAddr,
        port: u16,
        count: u32,
        patience: &str,
    ) -> BTreeSet<String> {
        let sport = NEXT_PORT.fetch_add(count, Ordering::Relaxed).to_string();
        let (to, port, count) = (to.to_string(), port.to_string(), count.to_string());
        let args = ["ask", protocol, &to, &port, patience, &count, &sport];
        let report: Answers = Probe::start_script(self.namespace(), SCRIPT, &args).report();
        report.answers.into_iter().collect()
    }

    /// Asserts that within a deadline exactly these hosts answer at an address, each with our own address as the asker.
    #[track_caller]
    pub fn assert_answered(&self, protocol: &str, to: IpAddr, port: u16, by: &[&Host]) {
        let own = if to.is_ipv4() { self.v4() } else { self.v6() };
        let wanted: BTreeSet<String> = by.iter().map(|it| format!("{} {own}", it.name)).collect();
        let what = format!("{} asks {to} {protocol}/{port}, and {wanted:?} answer", self.name);
        poll(&what, LIMIT, || {
            // Each of two backends is left out of 16 tries once in 32768 times.
            let found = self.ask(protocol, to, port, 16);
            if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    /// Asserts that nobody answers at an address.
    #[track_caller]
    pub fn assert_unanswered(&self, protocol: &str, to: IpAddr, port: u16) {
        let found = self.ask_for(protocol, to, port, 2, NO_PATIENCE);
        let answered = found.iter().any(|it| !it.starts_with("error"));
        assert!(!answered, "{} is answered at {to} {protocol}/{port}: {found:?}", self.name);
    }
}
