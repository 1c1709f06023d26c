//! Certificates that are replaced while the daemon runs: new authority, new keys, on both ends, in either order.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::ground::{DEADLINE, Ground, foreign, seed};
use crate::lab::command::{poll, require_root_and_tools, run};
use crate::lab::netns::Netns;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::server::Server;

/// Where the server listens, in a network namespace of its own.
const ADDRESS: &str = "127.0.0.1:6641";

/// A directory of certificates, made by openssl: `<generation>-{ca,server,client}.{crt,key}`, and `<who>.{crt,key}` in use.
pub(crate) struct Pki(pub(crate) PathBuf);

impl Pki {
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn openssl(words: &str) {
        run("openssl", words.split_whitespace());
    }

    /// An authority and a pair of certificates, none of which trusts anything of another generation.
    pub(crate) fn generation(&self, number: usize) {
        let key = |who: &str| {
            let path = self.path(&format!("{number}-{who}.key"));
            Pki::openssl(&format!("ecparam -genkey -noout -name prime256v1 -out {path}"));
            path
        };
        let (ca, ca_key) = (self.path(&format!("{number}-ca.crt")), key("ca"));
        Pki::openssl(&format!(
            "req -x509 -new -days 9 -key {ca_key} -subj /CN=ca{number} -addext basicConstraints=critical,CA:TRUE -out {ca}"
        ));
        let extensions = self.path("extensions");
        fs::write(&extensions, "basicConstraints=CA:FALSE").expect("written");
        for who in ["server", "client"] {
            let (key, request) = (key(who), self.path("request"));
            let out = self.path(&format!("{number}-{who}.crt"));
            Pki::openssl(&format!("req -new -key {key} -subj /CN={who}{number} -out {request}"));
            Pki::openssl(&format!(
                "x509 -req -days 9 -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -extfile {extensions} -out {out}"
            ));
        }
    }

    /// Another key and certificate of the client's, of the first generation's authority: `0b-client.{crt,key}`.
    fn client_again(&self) {
        let [key, out, request] =
            ["0b-client.key", "0b-client.crt", "request"].map(|name| self.path(name));
        let (ca, ca_key, extensions) =
            (self.path("0-ca.crt"), self.path("0-ca.key"), self.path("extensions"));
        Pki::openssl(&format!("ecparam -genkey -noout -name prime256v1 -out {key}"));
        Pki::openssl(&format!("req -new -key {key} -subj /CN=client0b -out {request}"));
        Pki::openssl(&format!(
            "x509 -req -days 8 -in {request} -CA {ca} -CAkey {ca_key} -CAcreateserial -extfile {extensions} -out {out}"
        ));
    }

    /// Puts one end's files of a generation in use, each by rename.
    fn use_for(&self, who: &str, number: usize) {
        for (from, to) in [
            (format!("{number}-{who}.crt"), format!("{who}.crt")),
            (format!("{number}-{who}.key"), format!("{who}.key")),
            (format!("{number}-ca.crt"), format!("{who}-ca.crt")),
        ] {
            fs::copy(self.path(&from), self.path("new")).expect("a copy");
            fs::rename(self.path("new"), self.path(&to)).expect("renamed");
        }
    }
}

fn ground_status(ground: &Ground) -> serde_json::Value {
    ground.status().expect("the daemon answers")
}

/// Why what is in the files is not in use.
fn problem(ground: &Ground) -> serde_json::Value {
    ground_status(ground)["northbound"]["certificates"]["problem"].clone()
}

#[test]
fn certificates_are_replaced_while_the_daemon_runs() {
    require_root_and_tools();
    let scope = Scope::new();
    let netns = Netns::new(&scope, "host");
    let pki = Pki(scope.dir().join("pki"));
    fs::create_dir(&pki.0).expect("a directory");
    for number in 0..3 {
        pki.generation(number);
    }
    pki.use_for("server", 0);
    pki.use_for("client", 0);
    let file = |name: &str| pki.path(name);
    let more = [
        format!("--remote=pssl:{}", "6641:127.0.0.1"),
        format!("--certificate={}", file("server.crt")),
        format!("--private-key={}", file("server.key")),
        format!("--ca-cert={}", file("server-ca.crt")),
    ];
    let server = Server::prepare(scope.dir(), "nb", Some(&netns), &more);
    server.create();
    server.start();
    seed(&server.remote());
    let before = foreign(&Dump::read(&server.remote()));
    let settings = format!(
        "remotes = [\"ssl:{ADDRESS}\"]\nca_cert = {:?}\ncertificate = {:?}\nprivate_key = {:?}\n",
        file("client-ca.crt"),
        file("client.crt"),
        file("client.key")
    );
    let mut ground = Ground::start(scope.dir(), &settings, Some(netns.name()), &[(0, 1)]);
    ground.converge(&server.remote(), "the start");

    let transactions = |ground: &Ground| {
        let counters = &ground_status(ground)["counters"];
        (counters["transactions"].clone(), counters["transactions_failed"].clone())
    };
    let (written, rows) = (transactions(&ground), Dump::read(&server.remote()));
    let connected =
        |ground: &Ground| ground.daemon.log().matches("connected to the northbound").count();
    let sessions = connected(&ground);

    // New certificates of the same authority, file by file: half of a pair is awaited, the whole one is taken into use.
    let again = |name: &str| {
        fs::copy(pki.path(&format!("0b-{name}")), pki.path("new")).expect("a copy");
        fs::rename(pki.path("new"), pki.path(name)).expect("renamed");
    };
    pki.client_again();
    again("client.crt");
    std::thread::sleep(Duration::from_secs(1));
    assert!(problem(&ground).is_null(), "it is awaited: {}", problem(&ground));
    again("client.key");
    ground.status_that("the new one is in use", |status| {
        status["northbound"]["synced"] == true && connected(&ground) == sessions + 1
    });
    let expires = ground_status(&ground)["northbound"]["certificates"]["expires"].clone();
    assert_ne!(expires, serde_json::Value::Null);
    assert_eq!(transactions(&ground), written, "nothing was lost, and nothing written");
    Dump::read(&server.remote()).assert_same_as(&rows);
    let status = String::from_utf8(ground.daemon.ctl(&["status"]).stdout).expect("text");
    assert!(status.contains("Expires soon"), "nine days are few: {status}");
    assert!(ground.daemon.log().contains("is valid until"), "it is in the log");

    // Bad ones: told, and the session goes on.
    fs::write(file("client.key"), "-----BEGIN NOTHING-----\n").expect("written");
    poll("it is told", DEADLINE, || match problem(&ground).as_str() {
        Some(text) if text.contains("client.key") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    ground.toggle((1, 2));
    ground.converge(&server.remote(), "bad files under a session");
    // Even where the session has to be begun anew: with those that were in use.
    server.appctl(&["ovsdb-server/reconnect"]);
    poll("another session", DEADLINE, || {
        if connected(&ground) == sessions + 2 { Ok(()) } else { Err(ground.daemon.log()) }
    });
    ground.converge(&server.remote(), "bad files and another session");

    // Another authority's: the server does not take it yet, so the session goes on with what it has.
    pki.use_for("client", 1);
    poll("it is told", DEADLINE, || match problem(&ground).as_str() {
        Some(text) if text.contains("not signed by the authority in ca_cert") => Ok(()),
        other => Err(format!("{other:?}")),
    });
    ground.toggle((0, 3));
    ground.converge(&server.remote(), "files of another authority under a session");
    // The server gets its own: the trial succeeds, and the next session is begun with them.
    let (begin, before_it) = (Instant::now(), connected(&ground));
    pki.use_for("server", 1);
    poll("they are in use", DEADLINE, || {
        if connected(&ground) > before_it && problem(&ground).is_null() {
            Ok(())
        } else {
            Err(ground.daemon.log())
        }
    });
    ground.converge(&server.remote(), "the client first");
    println!("in use {:?} after the server's files", begin.elapsed());

    // The other order, and a session that the server ends.
    pki.use_for("server", 2);
    server.appctl(&["ovsdb-server/reconnect"]);
    ground.status_that("refused", |status| status["northbound"]["synced"] == false);
    pki.use_for("client", 2);
    ground.toggle((3, 4));
    let took = ground.converge(&server.remote(), "the server first");
    println!("mended {took:?} after the client's files");
    assert_eq!(foreign(&Dump::read(&server.remote())), before);
}
