//! `why --trace`, with ovn-trace of the OVN that runs here: the first drop is named by what it is.

use serde_json::Value;

use crate::lab::Lab;
use crate::lab::daemon::Daemon;
use crate::tenants::{Tenants, half};

struct Traced<'a> {
    lab: &'a Lab,
    tenants: Tenants,
}

impl Traced<'_> {
    fn new(lab: &Lab) -> Traced<'_> {
        let tenants = Tenants::new(lab);
        for (switch, port, n) in [("a-s0", "a1", 1), ("b-s0", "b1", 2)] {
            let mac = lab.fresh_mac();
            lab.nbctl(&["lsp-add", switch, port]);
            let address = format!("{mac} 10.{n}.0.10 fd0{n}::a");
            lab.nbctl(&["lsp-set-addresses", port, &address]);
        }
        Traced { lab, tenants }
    }

    #[track_caller]
    fn declare(&self, blue: &str, green: &str) {
        let daemon = &self.tenants.daemon;
        daemon.declare("blue", &format!("{}{blue}\n", half("to-db", "web", "green/db")));
        daemon.declare("green", &format!("{}{green}\n", half("to-web", "db", "blue/web")));
        assert!(daemon.ctl(&["reload"]).status.success());
        daemon.wait_quiet();
        self.lab.sync();
    }

    /// What `why --trace` answers, with its exit code.
    #[track_caller]
    fn why(&self, to: &str, opens: &str) -> (i32, Value) {
        let southbound = format!("unix:{}", self.lab.databases().sb_socket().display());
        let arguments = ["why", "blue/web:10.1.0.10", to, opens, "--trace", "--format", "json"];
        let output =
            self.tenants.daemon.ctl(&[&arguments[..], &["--southbound", &southbound]].concat());
        let code = output.status.code().expect("it exits");
        assert!(output.stderr.is_empty(), "{output:?}");
        (code, serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    /// The drop that ovn-trace has found.
    #[track_caller]
    fn dropped(&self, to: &str, opens: &str) -> Value {
        let (code, why) = self.why(to, opens);
        assert_eq!(code, 7, "{why:#}");
        let there = &why["trace"]["there"];
        assert_eq!(there["arrives"], false, "{why:#}");
        there["dropped"].clone()
    }
}

/// The first digits of a row's UUID.
fn digits(uuid: &str) -> String {
    uuid.trim().get(..8).expect("a UUID").to_owned()
}

#[test]
fn the_first_drop_is_named_by_what_it_is() {
    let lab = &Lab::databases_only();
    let traced = Traced::new(lab);
    traced.declare("", "");
    let to = "green/db:10.2.0.10";
    for (to, opens) in [(to, "tcp:22"), (to, "udp:53"), (to, "ping")] {
        let (code, why) = traced.why(to, opens);
        assert_eq!(code, 0, "{why:#}");
        for way in ["there", "back"] {
            assert_eq!(why["trace"][way]["arrives"], true, "{way}: {why:#}");
        }
    }
    // An ACL of somebody's switch, by its row: `why` does not read it, ovn-trace does.
    lab.nbctl(&["acl-add", "b-s0", "to-lport", "1000", "tcp.dst == 22", "drop"]);
    lab.sync();
    let acl = lab.nbctl(&["--bare", "--columns=_uuid", "find", "ACL", "action=drop"]);
    let (code, why) = traced.why(to, "tcp:22");
    let dropped = &why["trace"]["there"]["dropped"];
    assert_eq!(
        (dropped["kind"].as_str(), dropped["at"].as_str()),
        (Some("acl"), Some("b-s0")),
        "{why:#}"
    );
    assert_eq!(dropped["row"], digits(&acl), "{why:#}");
    assert_eq!(code, 7, "what ovn-trace drops does not pass");
    assert_eq!(traced.why(to, "tcp:80").1["trace"]["there"]["arrives"], true);
    lab.nbctl(&["acl-del", "b-s0"]);
    // A filter, by its entry.
    traced.declare("", "in = [{ protocol = \"udp\" }, { action = \"deny\", protocol = \"tcp\", ports = [22] }, { protocol = \"tcp\" }]");
    let dropped = traced.dropped(to, "tcp:22");
    assert_eq!(dropped["kind"], "policy", "{dropped:#}");
    let means = &dropped["means"];
    assert_eq!(
        (&means["step"], &means["list"], &means["entry"]),
        (&"filter".into(), &"in".into(), &2.into()),
        "{dropped:#}"
    );
    assert_eq!(means["half"], "green/db/to-web");
    assert_eq!(traced.why(to, "tcp:80").1["trace"]["there"]["arrives"], true);
    // A policy of somebody else.
    traced.declare("", "");
    lab.nbctl(&["lr-policy-add", "b", "32600", "ip4.src == 10.1.0.10", "drop"]);
    lab.sync();
    let dropped = traced.dropped(to, "ping");
    let row = lab.nbctl(&[
        "--bare",
        "--columns=_uuid",
        "find",
        "Logical_Router_Policy",
        "priority=32600",
    ]);
    assert_eq!(dropped["row"], digits(&row), "{dropped:#}");
    assert_eq!(dropped["means"]["whose"], "others", "{dropped:#}");
    lab.nbctl(&["lr-policy-del", "b", "32600"]);
    // No route: the halves are gone.
    traced.tenants.daemon.withdraw("blue");
    assert!(traced.tenants.daemon.ctl(&["reload"]).status.success());
    traced.tenants.daemon.wait_quiet();
    lab.sync();
    let dropped = traced.dropped(to, "ping");
    assert_eq!(
        (&dropped["kind"], &dropped["at"]),
        (&"no-route".into(), &"blue/web".into()),
        "{dropped:#}"
    );
}

#[test]
fn nat_is_named_by_its_row() {
    let lab = &Lab::databases_only();
    let traced = Traced::new(lab);
    lab.nbctl(&["set", "Logical_Router", "a", "options:chassis=hv1"]);
    traced.declare("", "");
    lab.nbctl(&["lr-nat-add", "a", "snat", "172.16.0.1", "10.1.0.0/24"]);
    let row = lab.nbctl(&["--bare", "--columns=_uuid", "find", "NAT", "type=snat"]);
    let to = "green/db:10.2.0.10";
    traced.tenants.daemon.wait_quiet();
    lab.sync();
    // The daemon exempts the peer's prefixes by a set of its own.
    assert_eq!(traced.why(to, "ping").0, 0);
    // Its owner chooses the destinations, so the daemon leaves the row alone.
    let set = lab.nbctl(&["create", "Address_Set", "name=everybody", "addresses=\"10.2.0.0/24\""]);
    lab.nbctl(&[
        "clear",
        "NAT",
        row.trim(),
        "exempted_ext_ips",
        "--",
        "set",
        "NAT",
        row.trim(),
        &format!("allowed_ext_ips={}", set.trim()),
    ]);
    lab.sync();
    let (code, why) = traced.why(to, "ping");
    assert_eq!(code, 7, "{why:#}");
    let translated = &why["trace"]["there"]["translated"];
    assert_eq!(translated[0]["row"], digits(&row), "{why:#}");
    assert_eq!(translated[0]["kind"], "nat", "{why:#}");
}

#[test]
fn what_is_missing_for_a_trace_is_said() {
    let lab = &Lab::databases_only();
    let traced = Traced::new(lab);
    traced.declare("", "");
    let daemon: &Daemon = &traced.tenants.daemon;
    let southbound = format!("--southbound=unix:{}", lab.databases().sb_socket().display());
    let ask = |arguments: &[&str]| {
        let output = daemon.ctl(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    let both = ["why", "blue/web:10.1.0.10", "green/db:10.2.0.10", "--trace"];
    let said = ask(&[&both[..], &["--ovn-bin", "/nonexistent", &southbound]].concat());
    assert!(said.contains("cannot run /nonexistent/") && said.contains("--ovn-bin"), "{said}");
    let said = ask(&[&both[..], &["--southbound", "unix:/nonexistent.sock"]].concat());
    assert!(said.contains("ovn-sbctl") && said.contains("--southbound"), "{said}");
    let said = ask(&["why", "blue/web", "green/db", "--trace", &southbound]);
    assert!(said.contains("addresses of two guests"), "{said}");
    let said = ask(&["why", "blue/web:10.1.0.77", "green/db:10.2.0.10", "--trace", &southbound]);
    assert!(said.contains("10.1.0.77") && said.contains("addresses"), "{said}");
}
