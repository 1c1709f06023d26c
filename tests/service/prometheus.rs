//! A real Prometheus that scrapes daemons and evaluates rules, in a directory of its own.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::running::{Process, directory, run};

/// How long something may take to reach it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The process.
pub(crate) struct Prometheus {
    _process: Process,
    address: String,
    directory: TempDir,
}

/// A port that nobody uses.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Prometheus {
    /// Starts one that has these scrape configurations and rules, and asks every 200 ms.
    pub(crate) fn start(scrapes: &str, rules: &str) -> Self {
        let directory = directory();
        let root = directory.path();
        fs::write(root.join("rules.yml"), rules).unwrap();
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}\n\
             rule_files: [rules.yml]\nscrape_configs:\n{scrapes}"
        );
        fs::write(root.join("prometheus.yml"), config).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let log = File::create(root.join("log")).unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", root.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", root.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--query.lookback-delta=2s")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Self { _process: Process(process), address, directory };
        prometheus.wait("ready", |it| it.get("/-/ready", &[]).is_ok());
        prometheus
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<String, String> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "10", "--get"]);
        for (key, value) in query {
            curl.arg("--data-urlencode").arg(format!("{key}={value}"));
        }
        let output = curl.arg(format!("http://{}{path}", self.address)).output().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(format!("{output:?}"))
        }
    }

    /// What a query gives now: its series, each with labels and a value.
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.get("/api/v1/query", &[("query", query)]);
        let answer: Value =
            serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{query}: {error}")))
                .unwrap();
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The names of the alerts that fire, each with the labels of what it is about.
    pub(crate) fn firing(&self) -> BTreeSet<String> {
        let answer: Value =
            serde_json::from_str(&self.get("/api/v1/alerts", &[]).unwrap()).unwrap();
        let alerts = answer["data"]["alerts"].as_array().unwrap().clone();
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        firing.map(|alert| alert["labels"]["alertname"].as_str().unwrap().to_owned()).collect()
    }

    /// The names of all alerts that it knows.
    pub(crate) fn rules(&self) -> BTreeSet<String> {
        let answer: Value = serde_json::from_str(&self.get("/api/v1/rules", &[]).unwrap()).unwrap();
        let groups = answer["data"]["groups"].as_array().unwrap().clone();
        let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone());
        rules.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until these alerts fire, among others.
    pub(crate) fn fires(&self, alerts: &[&str]) {
        for alert in alerts {
            self.wait(&format!("{alert} fires"), |it| it.firing().contains(*alert));
        }
    }

    /// Waits until none of these fires.
    pub(crate) fn resolves(&self, alerts: &[&str]) {
        for alert in alerts {
            self.wait(&format!("{alert} is over"), |it| !it.firing().contains(*alert));
        }
    }

    /// Waits until something holds.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
                let log: Vec<&str> = log.lines().filter(|line| line.contains("warn")).collect();
                let up = self.query("{__name__=~\"up|ALERTS\"}");
                let up: Vec<String> = up.iter().map(|it| it["metric"].to_string()).collect();
                panic!(
                    "{what}: not within {PATIENCE:?}; firing: {:?}\n{up:#?}\n{log:#?}",
                    self.firing()
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Runs promtool on files; it must find nothing wrong.
pub(crate) fn promtool(arguments: &[&str]) -> String {
    run("promtool", arguments)
}

/// A file of the source.
pub(crate) fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
