//! The tenants of these tests: blue, whose network web is router `a`, and green, whose network db is router `b`.
//!
//! Owns: how their halves are written, and the usual way to an active peering.
//! May not: assert what the tests are about.

use std::time::Duration;

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::lab::topology::Network;

/// Blue's prefixes.
pub(crate) const BLUE: &str = "10.1.0.0/24 fd01::/64";
/// Green's prefixes.
pub(crate) const GREEN: &str = "10.2.0.0/24 fd02::/64";

/// A half, as a tenant writes it; the target is `project/network`.
pub(crate) fn half(name: &str, network: &str, target: &str) -> String {
    let (project, target) = target.split_once('/').expect("project/network");
    format!(
        "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"{project}\"\n\
         target_network = \"{target}\"\n"
    )
}

/// The same, administratively down.
pub(crate) fn disabled(name: &str, network: &str, target: &str) -> String {
    half(name, network, target) + "configured_status = \"disabled\"\n"
}

/// Blue and green, with a daemon that knows both.
pub(crate) struct Tenants {
    pub(crate) a: Network,
    pub(crate) b: Network,
    pub(crate) daemon: Daemon,
}

impl Tenants {
    /// With a subnet each, and no halves.
    #[track_caller]
    pub(crate) fn new(lab: &Lab) -> Tenants {
        Tenants::with_subnets(lab, &[BLUE], &[GREEN])
    }

    /// With these subnets, and no halves.
    #[track_caller]
    pub(crate) fn with_subnets(lab: &Lab, blue: &[&str], green: &[&str]) -> Tenants {
        let (a, b) = (lab.add_network("a", blue), lab.add_network("b", green));
        let daemon = Daemon::start(lab);
        daemon.bind_network("blue", "web", a.router());
        daemon.bind_network("green", "db", b.router());
        Tenants { a, b, daemon }
    }

    /// With a guest each, and a peering that OVN has acted on.
    #[track_caller]
    pub(crate) fn peered(lab: &Lab) -> (Tenants, [Host; 2]) {
        let tenants = Tenants::new(lab);
        let guests = [lab.add_guest(&tenants.a, "a1", 0), lab.add_guest(&tenants.b, "b1", 0)];
        lab.settle();
        tenants.peer();
        lab.sync();
        (tenants, guests)
    }

    /// Blue's half.
    #[track_caller]
    pub(crate) fn blue_declares(&self) {
        self.daemon.declare("blue", &half("to-db", "web", "green/db"));
    }

    /// Green's half.
    #[track_caller]
    pub(crate) fn green_declares(&self) {
        self.daemon.declare("green", &half("to-web", "db", "blue/web"));
    }

    /// Somebody changes the northbound, and the daemon has heard of it: what is declared after that comes later to it, too.
    #[track_caller]
    pub(crate) fn hear_of<T>(&self, change: impl FnOnce() -> T) {
        let heard = || status(&self.daemon)["counters"]["row_changes"].as_u64();
        let before = heard();
        change();
        poll("the daemon hears of it", Duration::from_secs(10), || {
            let now = heard();
            if now > before { Ok(()) } else { Err(format!("{now:?} row changes")) }
        });
    }

    /// Both halves, not waited for.
    #[track_caller]
    pub(crate) fn both_declare(&self) {
        self.blue_declares();
        self.green_declares();
    }

    /// Both halves, and active.
    #[track_caller]
    pub(crate) fn peer(&self) {
        self.both_declare();
        self.wait_active();
    }

    /// Waits until both halves are active and nothing is wrong with them.
    #[track_caller]
    pub(crate) fn wait_active(&self) {
        wait_all_active(&self.daemon);
    }

    /// Waits until blue's half is in a state, and gives it.
    #[track_caller]
    pub(crate) fn wait_blue(&self, state: &str) -> Value {
        self.daemon.wait_state("blue", "web", "to-db", state)
    }

    /// Waits until green's half is in a state, and gives it.
    #[track_caller]
    pub(crate) fn wait_green(&self, state: &str) -> Value {
        self.daemon.wait_state("green", "db", "to-web", state)
    }
}

/// Waits until there are at least two halves and all are active, none of them degraded.
#[track_caller]
pub(crate) fn wait_all_active(daemon: &Daemon) {
    daemon.wait_until("all halves are active", |halves| {
        let other = halves.iter().find(|h| h["state"] != "active" || !flaws(h).is_empty());
        match other {
            Some(half) => Err(half.to_string()),
            None if halves.len() < 2 => Err(format!("only {} halves", halves.len())),
            None => Ok(()),
        }
    });
}

/// What a half's view says is not as it should be although the peering is up.
pub(crate) fn flaws(half: &Value) -> Vec<String> {
    let all = half["degraded"].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The daemon's status.
#[track_caller]
pub(crate) fn status(daemon: &Daemon) -> Value {
    try_status(daemon).expect("the status is JSON")
}

/// The same, if the daemon answers.
pub(crate) fn try_status(daemon: &Daemon) -> Option<Value> {
    let answer = daemon.ctl(&["status", "--format", "json"]);
    serde_json::from_slice(&answer.stdout).ok()
}

/// Waits until the daemon has read the northbound.
#[track_caller]
pub(crate) fn wait_synced(daemon: &Daemon) {
    poll("the northbound is read", Duration::from_secs(20), || {
        let synced = try_status(daemon).is_some_and(|it| it["northbound"]["synced"] == true);
        if synced { Ok(()) } else { Err(daemon.log()) }
    });
}

/// Asserts that a half is in a state for a reason, and that its explanation names all of these.
#[track_caller]
pub(crate) fn assert_says(half: &Value, reason: &str, named: &[&str]) {
    assert_eq!(half["reason"], reason, "{half}");
    let told = half["explanation"].as_str().unwrap_or_default();
    for name in named {
        assert!(told.contains(name), "{name:?} is not named in: {told}");
    }
    assert!(half["next_step"].is_string(), "there is a next step: {half}");
}

/// Another process of the daemon finds nothing to write.
#[track_caller]
pub(crate) fn assert_restart_writes_nothing(lab: &Lab, daemon: &Daemon) {
    let written = lab.northbound_transactions();
    daemon.kill9();
    daemon.start_again();
    wait_all_active(daemon);
    daemon.wait_quiet();
    assert_eq!(lab.northbound_transactions(), written);
}
