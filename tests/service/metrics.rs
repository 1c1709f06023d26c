//! `GET /metrics`: on the control socket and on the network, in both formats; and what ships beside it.

use std::collections::BTreeSet;
use std::fs;

use ovn_peerd::api::secret::digest;
use serde_json::Value;

use crate::prometheus::{Prometheus, free_port, promtool, shipped};
use crate::running::{Start, peered, run, wait_for};
use crate::series::Series;
use crate::served::{Served, as_user, curl};

/// The series of a text: words that begin with the prefix, without the ends of histograms and counters' parts.
fn named_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let names = words.filter(|word| word.starts_with("ovn_peerd_"));
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

/// What the documentation, the rules and the dashboard name is what the daemon has; the documentation has all of it, with
/// the right type.
pub(crate) fn compare_with_documents(series: &Series) {
    let there: BTreeSet<String> = series.names().into_iter().map(str::to_owned).collect();
    let documentation = shipped("docs/metrics.md");
    let rows = documentation.lines().filter_map(|line| line.strip_prefix("| `ovn_peerd_"));
    let mut documented = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let name = format!("ovn_peerd_{}", cells[0].trim_end_matches('`'));
        assert_eq!(series.types.get(&name).map(String::as_str), Some(cells[1]), "{name}");
        assert!(!cells[2].is_empty() && cells[3].len() > 5, "the unit and the meaning of {name}");
        assert!(documented.insert(name.clone()), "{name} stands there twice");
    }
    let differ: Vec<&String> = there.symmetric_difference(&documented).collect();
    assert!(differ.is_empty(), "docs/metrics.md or /metrics lacks {differ:?}");
    for name in ["docs/metrics.md", "config/alerts.yml", "config/grafana-dashboard.json"] {
        let text = shipped(name);
        let unknown: Vec<String> = named_in(&text).difference(&there).cloned().collect();
        assert!(unknown.is_empty(), "{name} names {unknown:?}");
    }
}

/// Every query of the dashboard gives data.
pub(crate) fn ask_for_the_dashboard(prometheus: &Prometheus) {
    let dashboard: Value = serde_json::from_str(&shipped("config/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let queries: Vec<&str> = targets.map(|target| target["expr"].as_str().unwrap()).collect();
    assert!(queries.len() > 30, "{queries:?}");
    for query in queries {
        assert!(
            query.contains("{instance=~\"$instance\"}"),
            "of the hosts that are chosen: {query}"
        );
        let asked = query.replace("$instance", ".+").replace("$__rate_interval", "5m");
        let is_number = |result: &Value| result["value"][1] != "NaN";
        prometheus.wait(&format!("data of {query}"), |it| it.query(&asked).iter().any(is_number));
    }
}

#[test]
fn promtool_finds_the_rules_good_and_their_tests_hold() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    fs::write(at("alerts.yml"), shipped("config/alerts.yml")).unwrap();
    fs::write(at("alerts.test.yml"), shipped("tests/service/alerts/alerts.test.yml")).unwrap();
    let checked = promtool(&["check", "rules", &at("alerts.yml")]);
    assert!(checked.contains("15 rules found"), "{checked}");
    promtool(&["test", "rules", &at("alerts.test.yml")]);
    // The documentation has every rule, with its time, and no other.
    let rules = shipped("config/alerts.yml");
    let documentation = shipped("docs/metrics.md");
    for rule in rules.split("- alert: ").skip(1) {
        let (name, rest) = rule.split_once('\n').unwrap();
        let wait = rest.split_once("    for: ").map(|(_, rest)| rest.split_once("m\n").unwrap().0);
        let wait = wait.map_or(String::new(), |minutes| format!("{minutes} min"));
        let row = format!("| `{name}` | {wait} |").replace("|  |", "| |");
        assert!(documentation.contains(&row), "docs/metrics.md: no {row}");
    }
    assert_eq!(documentation.matches("| `OvnPeerd").count(), 15);
}

#[test]
fn both_formats_are_read_by_promtool_and_by_prometheus() {
    let served = Served::start();
    let socket = served.socket().display().to_string();
    let at = "http://localhost/metrics";
    let curl = |arguments: &[&str]| {
        let fixed = ["-sS", "--fail", "-i", "--unix-socket", &socket];
        run("curl", &[&fixed[..], arguments, &[at]].concat())
    };
    let plain = curl(&[]);
    let (head, text) = plain.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let file = served.directory.path().join("plain");
    fs::write(&file, text).unwrap();
    let checked = format!("promtool check metrics < {}", file.display());
    assert_eq!(run("sh", &["-c", &checked]), "", "nothing to say against it");
    // All parts are there, each half once.
    let series = Series::parse(text);
    assert_eq!(series.of("ovn_peerd_half_active").count(), 3);
    assert_eq!(series.value("ovn_peerd_half_state", &[("name", "a/b c")]), Some(1.0));

    let open = curl(&["-H", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5"]);
    let (head, text) = open.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(text.ends_with("# EOF\n") && text.contains("# UNIT "), "{text}");
}

#[test]
fn only_operators_read_them_and_the_socket_counts_who_asks() {
    let served = Served::start();
    let status = |uid: &str, method: &str| {
        let arguments = ["--output", "/dev/null", "-X", method];
        let mut asked = as_user(uid, uid, &curl(&served.socket(), &arguments, "/metrics"));
        String::from_utf8(asked.output().unwrap().stdout).unwrap().trim().to_owned()
    };
    assert_eq!(status("20003", "GET"), "200", "an operator");
    assert_eq!(status("20001", "GET"), "403", "the owner of a project");
    assert_eq!(status("20002", "GET"), "403", "a stranger");
    assert_eq!(status("20003", "BREW"), "405");
    let series = Series::read(&served.socket());
    let control = ("listener", "control");
    let requests = |method, code| {
        series
            .value("ovn_peerd_http_requests_total", &[control, ("method", method), ("code", code)])
    };
    assert_eq!(requests("GET", "200"), Some(1.0));
    assert_eq!(requests("GET", "403"), Some(2.0));
    assert_eq!(requests("other", "405"), Some(1.0), "a client's word is no label");
    assert_eq!(series.value("ovn_peerd_auth_failures_total", &[control]), Some(1.0));
    assert_eq!(series.value("ovn_peerd_throttled_total", &[control]), Some(0.0));
}

#[test]
fn the_network_reads_sums_and_a_token_names() {
    let port = free_port();
    let token = |name: &str, whose: &str| {
        format!(
            "[[token]]\nname = \"{name}\"\n{whose}\nread_only = true\nsha256 = \"{}\"\n",
            digest(name)
        )
    };
    let settings = format!(
        "[metrics]\nlisten = [\"127.0.0.1:{port}\"]\n{}{}",
        token("all", "operator = true"),
        token("own", "project = \"blue\"")
    );
    let (_northbound, running) = peered(&Start { settings: &settings, ..Start::default() });
    let at = format!("http://127.0.0.1:{port}");
    let read = || Series::parse(&run("curl", &["-sS", "--fail", &format!("{at}/metrics")]));
    let text = run("curl", &["-sS", "--fail", &format!("{at}/metrics")]);
    for name in ["blue", "green", "to-db", "to-web", "10.1.0", "ovn_peerd_half_"] {
        assert!(!text.contains(name), "{name}: {text}");
    }
    let series = read();
    assert_eq!(series.value("ovn_peerd_halves", &[("state", "active")]), Some(2.0));
    assert_eq!(series.value("ovn_peerd_per_half_info", &[("mode", "none")]), Some(1.0));
    assert_eq!(series.value("ovn_peerd_halves_unnamed", &[]), Some(2.0));
    assert_eq!(series.value("ovn_peerd_lock_held", &[]), Some(1.0));
    for path in ["/", "/v1/halves", "/v1/status", "/v1/events", "/metrics/x"] {
        let code =
            run("curl", &["-sS", "-o", "/dev/null", "-w", "%{http_code}", &format!("{at}{path}")]);
        assert_eq!(code, "404", "{path}");
    }
    // The same numbers, with names, on the control socket.
    let named = Series::read(&running.socket());
    let half = [("project", "blue"), ("network", "web"), ("name", "to-db")];
    assert_eq!(named.value("ovn_peerd_half_active", &half), Some(1.0));
    assert_eq!(named.value("ovn_peerd_halves_unnamed", &[]), Some(0.0));
    for direction in ["out", "in"] {
        let half = [&half[..], &[("direction", direction)]].concat();
        assert_eq!(named.value("ovn_peerd_half_prefixes", &half), Some(1.0), "{direction}");
    }
    let since = running.wait_for_state("to-db", ovn_peerd::view::State::Active).since.unwrap();
    let shown = named.value("ovn_peerd_half_since_timestamp_seconds", &half).unwrap();
    assert_eq!(shown as i64, since.as_second());
    // What was written is measured, and so is how long it took until both were active.
    let committed = named.value("ovn_peerd_transactions_total", &[("outcome", "committed")]);
    assert_eq!(committed, named.value("ovn_peerd_transaction_seconds_count", &[]));
    assert!(committed >= Some(1.0), "{committed:?}");
    // A token reads the halves that it sees.
    let bearer = |secret: &str| format!("Authorization: Bearer {secret}");
    let shown = |secret: &str| {
        run("curl", &["-sS", "--fail", "-H", &bearer(secret), &format!("{at}/metrics")])
    };
    let all = Series::parse(&shown("all"));
    assert_eq!(all.of("ovn_peerd_half_active").count(), 2);
    let own = shown("own");
    assert!(!own.contains("green") && !own.contains("to-web"), "{own}");
    assert_eq!(Series::parse(&own).value("ovn_peerd_half_active", &half), Some(1.0));
    let arguments = ["-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", &bearer("none")];
    assert_eq!(run("curl", &[&arguments[..], &[&format!("{at}/metrics")]].concat()), "401");
    assert_eq!(
        read().value("ovn_peerd_auth_failures_total", &[("listener", "metrics")]),
        Some(1.0)
    );
    wait_for("a request that is counted", || {
        let labels = [("listener", "metrics"), ("method", "GET"), ("code", "404")];
        read().value("ovn_peerd_http_requests_total", &labels).filter(|count| *count == 5.0)
    });
}
