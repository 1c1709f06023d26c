//! Certificates that are replaced while the daemon runs: new authority, new keys, on both ends, in either order.

use std::fs;
use std::path::PathBuf;

use crate::ground::{Ground, foreign, seed};
use crate::lab::command::{require_root_and_tools, run};
use crate::lab::netns::Netns;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::server::Server;

/// Where the server listens, in a network namespace of its own.
const ADDRESS: &str = "127.0.0.1:6641";

/// A directory of certificates, made by openssl: `<generation>-{ca,server,client}.{crt,key}`, and `<who>.{crt,key}` in use.
struct Pki(PathBuf);

impl Pki {
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn openssl(words: &str) {
        run("openssl", words.split_whitespace());
    }

    /// An authority and a pair of certificates, none of which trusts anything of another generation.
    fn generation(&self, number: usize) {
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

    // The session that stands goes on whatever becomes of the files.
    pki.use_for("client", 1);
    ground.toggle((1, 2));
    ground.converge(&server.remote(), "files replaced under a session");

    // The client's files were replaced, the server's were not yet: told, and mended without a restart.
    server.appctl(&["ovsdb-server/reconnect"]);
    let error = ground.error_with("not signed by the authority in ca_cert");
    pki.use_for("server", 1);
    let took = ground.converge(&server.remote(), "the client first");
    println!("{error}\nmended {took:?} after the server's files");

    // The other order.
    pki.use_for("server", 2);
    server.appctl(&["ovsdb-server/reconnect"]);
    ground.status_that("refused", |status| status["northbound"]["synced"] == false);
    pki.use_for("client", 2);
    ground.toggle((3, 4));
    let took = ground.converge(&server.remote(), "the server first");
    println!("mended {took:?} after the client's files");
    assert_eq!(foreign(&Dump::read(&server.remote())), before);
}
