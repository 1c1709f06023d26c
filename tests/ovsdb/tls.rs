//! TLS with real certificates: the right ones, and every wrong one with the words that name its remedy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ovn_peerd::ovsdb::client::{Config, Remote, TlsFiles};
use tempfile::TempDir;

use crate::follower::{Follower, Seen, config};
use crate::rows::switch;
use crate::server::{SCHEMA, Server, run};

/// Certificates by openssl, in a directory of their own.
struct Pki(TempDir);

impl Pki {
    fn new() -> Self {
        let pki = Self(TempDir::new().unwrap());
        for name in ["ca", "otherca"] {
            pki.key(name);
            let subject = format!("/CN={name}");
            pki.openssl(&[
                "req",
                "-x509",
                "-new",
                "-days",
                "9",
                "-key",
                &pki.file(name, "key"),
                "-subj",
                &subject,
                "-addext",
                "basicConstraints=critical,CA:TRUE",
                "-out",
                &pki.file(name, "crt"),
            ]);
        }
        pki
    }

    /// With a server's and a client's certificate, both signed by `ca`.
    fn usual() -> Self {
        let pki = Self::new();
        pki.signed("server", "ca", "basicConstraints=CA:FALSE\nsubjectAltName=DNS:db.example");
        pki.signed("client", "ca", "basicConstraints=CA:FALSE");
        pki
    }

    fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.0.path().join(format!("{name}.{kind}"))
    }

    fn file(&self, name: &str, kind: &str) -> String {
        self.path(name, kind).display().to_string()
    }

    fn openssl(&self, arguments: &[&str]) {
        run(Command::new("openssl").args(arguments));
    }

    fn key(&self, name: &str) {
        self.openssl(&[
            "ecparam",
            "-genkey",
            "-noout",
            "-name",
            "prime256v1",
            "-out",
            &self.file(name, "key"),
        ]);
    }

    /// A certificate of X.509 version 1. Newer openssl makes one only if it is asked to, older openssl by itself where there
    /// are no extensions.
    fn version1(&self, name: &str) {
        self.signed(name, "ca", "");
        let help = Command::new("openssl").args(["req", "-help"]).output().unwrap();
        if String::from_utf8_lossy(&help.stderr).contains("-x509v1") {
            // The system's settings would add extensions.
            let settings = self.path("plain", "cnf");
            std::fs::write(&settings, "[req]\ndistinguished_name = any\n[any]\n").unwrap();
            self.openssl(&[
                "req",
                "-config",
                &settings.display().to_string(),
                "-x509v1",
                "-days",
                "9",
                "-in",
                &self.file(name, "csr"),
                "-CA",
                &self.file("ca", "crt"),
                "-CAkey",
                &self.file("ca", "key"),
                "-out",
                &self.file(name, "crt"),
            ]);
        }
        let text = run(Command::new("openssl")
            .args(["x509", "-noout", "-text", "-in"])
            .arg(self.path(name, "crt")));
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
    }

    /// A certificate that was valid until an hour ago.
    fn expired(&self, name: &str, ca: &str) {
        self.signed(name, ca, "basicConstraints=CA:FALSE");
        let (database, settings) = (self.path("index", "txt"), self.path("ca", "cnf"));
        std::fs::write(&database, "").unwrap();
        let directory = self.0.path().display();
        let text = format!(
            "[ca]\ndefault_ca = it\n[it]\ndatabase = {}\nnew_certs_dir = {directory}\nrand_serial = yes\n\
             default_md = sha256\npolicy = any\nx509_extensions = leaf\n[any]\ncommonName = supplied\n\
             [leaf]\nbasicConstraints = CA:FALSE\n",
            database.display()
        );
        std::fs::write(&settings, text).unwrap();
        let at = |seconds: i64| {
            let moment = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            moment.strftime("%Y%m%d%H%M%SZ").to_string()
        };
        self.openssl(&[
            "ca",
            "-batch",
            "-config",
            &settings.display().to_string(),
            "-startdate",
            &at(-7200),
            "-enddate",
            &at(-3600),
            "-in",
            &self.file(name, "csr"),
            "-cert",
            &self.file(ca, "crt"),
            "-keyfile",
            &self.file(ca, "key"),
            "-out",
            &self.file(name, "crt"),
            "-notext",
        ]);
    }

    /// A certificate signed by `ca`.
    fn signed(&self, name: &str, ca: &str, extensions: &str) {
        self.key(name);
        self.sign(name, ca, extensions);
    }

    fn sign(&self, name: &str, ca: &str, extensions: &str) {
        let (request, subject) = (self.file(name, "csr"), format!("/CN={name}"));
        self.openssl(&[
            "req",
            "-new",
            "-key",
            &self.file(name, "key"),
            "-subj",
            &subject,
            "-out",
            &request,
        ]);
        std::fs::write(self.path(name, "ext"), extensions).unwrap();
        let (ca_crt, ca_key) = (self.file(ca, "crt"), self.file(ca, "key"));
        let (extfile, out) = (self.file(name, "ext"), self.file(name, "crt"));
        let mut arguments = vec![
            "x509",
            "-req",
            "-days",
            "9",
            "-in",
            &request,
            "-CA",
            &ca_crt,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-out",
            &out,
        ];
        if !extensions.is_empty() {
            arguments.extend(["-extfile", &extfile]);
        }
        self.openssl(&arguments);
    }

    /// A server that shows this certificate and trusts `ca`.
    fn server(&self, certificate: &str) -> Server {
        let extra = [
            "--remote=pssl:0:127.0.0.1".to_owned(),
            format!("--private-key={}", self.file(certificate, "key")),
            format!("--certificate={}", self.file(certificate, "crt")),
            format!("--ca-cert={}", self.file("ca", "crt")),
        ];
        Server::with_extra(SCHEMA.as_ref(), &extra)
    }

    fn files(&self, certificate: &str) -> TlsFiles {
        TlsFiles {
            ca_cert: self.path("ca", "crt"),
            certificate: self.path(certificate, "crt"),
            private_key: self.path(certificate, "key"),
            verify_name: false,
        }
    }
}

fn ssl(server: &Server, files: TlsFiles) -> Config {
    let remote: Remote = format!("ssl:127.0.0.1:{}", server.port()).parse().unwrap();
    Config { tls: Some(files), ..config(remote) }
}

async fn reason(config: Config) -> String {
    let mut follower = Follower::new(config);
    let reason = follower.reason().await;
    assert!(matches!(follower.seen[..], [Seen::Disconnected(_)]), "{:?}", follower.seen);
    reason
}

async fn works(config: Config) -> Follower {
    let mut follower = Follower::start(config).await;
    follower.transact(1, vec![switch("x")]).await.unwrap();
    assert_eq!(follower.seen[1], Seen::Snapshot);
    follower
}

#[tokio::test]
async fn the_right_certificates_with_keys_in_every_form() {
    let pki = Pki::usual();
    let server = pki.server("server");
    let forms = [("sec1", vec!["ec"]), ("pkcs8", vec!["pkcs8", "-topk8", "-nocrypt"])];
    for (form, command) in forms {
        let (from, to) = (pki.file("client", "key"), pki.file("client", form));
        let mut arguments = command;
        arguments.extend(["-in", &from, "-out", &to]);
        pki.openssl(&arguments);
        let private_key = pki.path("client", form);
        works(ssl(&server, TlsFiles { private_key, ..pki.files("client") })).await;
    }
    pki.openssl(&["genrsa", "-traditional", "-out", &pki.file("rsa", "key"), "2048"]);
    pki.sign("rsa", "ca", "basicConstraints=CA:FALSE");
    let text = std::fs::read_to_string(pki.path("rsa", "key")).unwrap();
    assert!(text.contains("BEGIN RSA PRIVATE KEY"));
    works(ssl(&server, pki.files("rsa"))).await;
}

/// As operators make them: two authorities, and names that are no addresses.
#[tokio::test]
async fn certificates_of_ovs_pki() {
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("pki");
    let pki = |arguments: &[&str]| {
        run(Command::new("ovs-pki")
            .current_dir(directory.path())
            .arg(format!("--dir={}", root.display()))
            .arg(format!("--log={}", directory.path().join("log").display()))
            .args(["-B", "2048", "--force"])
            .args(arguments));
    };
    pki(&["init"]);
    pki(&["-u", "req+sign", "server", "switch"]);
    pki(&["-u", "req+sign", "client", "controller"]);
    let file = |name: &str| directory.path().join(name);
    let extra = [
        "--remote=pssl:0:127.0.0.1".to_owned(),
        format!("--private-key={}", file("server-privkey.pem").display()),
        format!("--certificate={}", file("server-cert.pem").display()),
        format!("--ca-cert={}", root.join("controllerca/cacert.pem").display()),
    ];
    let server = Server::with_extra(Path::new(SCHEMA), &extra);
    let files = |ca: &str| TlsFiles {
        ca_cert: root.join(ca).join("cacert.pem"),
        certificate: file("client-cert.pem"),
        private_key: file("client-privkey.pem"),
        verify_name: false,
    };
    works(ssl(&server, files("switchca"))).await;
    let wrong = reason(ssl(&server, files("controllerca"))).await;
    assert!(wrong.contains("switchca/cacert.pem"), "{wrong}");
}

#[tokio::test]
async fn the_name_is_checked_on_request() {
    let pki = Pki::usual();
    let checked = |name: &str| TlsFiles { verify_name: true, ..pki.files(name) };
    let server = pki.server("server");
    let wrong = reason(ssl(&server, checked("client"))).await;
    assert!(wrong.contains("not for this host") && wrong.contains("verify_name"), "{wrong}");
    pki.signed("named", "ca", "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1");
    works(ssl(&pki.server("named"), checked("client"))).await;
}

#[tokio::test]
async fn wrong_server_certificates() {
    let pki = Pki::usual();
    pki.signed("stranger", "otherca", "basicConstraints=CA:FALSE");
    pki.version1("version1");
    pki.signed("purpose", "ca", "basicConstraints=CA:FALSE\nextendedKeyUsage=clientAuth");
    for (certificate, remedy) in [
        ("stranger", "not signed by the authority in ca_cert"),
        ("version1", "is of X.509 version 1: issue one of version 3"),
        ("ca", "self-signed or CA certificate as its own: make a CA"),
        ("purpose", "extendedKeyUsage serverAuth"),
    ] {
        let reason = reason(ssl(&pki.server(certificate), pki.files("client"))).await;
        assert!(reason.contains(remedy), "{certificate}: {reason}");
        assert!(reason.starts_with("ssl:127.0.0.1:"), "{reason}");
    }
}

/// Whoever logs what is new only logs it once, however often it is tried again.
#[tokio::test]
async fn an_expired_certificate_is_reported_in_the_same_words_each_time() {
    let pki = Pki::usual();
    pki.expired("server", "ca");
    let server = pki.server("server");
    let mut follower = Follower::new(ssl(&server, pki.files("client")));
    let first = follower.reason().await;
    assert!(first.contains("has expired: renew it") && first.contains("valid until 20"), "{first}");
    for _ in 0..2 {
        assert_eq!(follower.reason().await, first);
    }
}

#[tokio::test]
async fn wrong_client_certificates() {
    let pki = Pki::usual();
    pki.signed("stranger", "otherca", "basicConstraints=CA:FALSE");
    let server = pki.server("server");
    let refused = reason(ssl(&server, pki.files("stranger"))).await;
    assert!(refused.contains("the server refuses this client's certificate"), "{refused}");
    // It is still refused, and the waits grow: no busy loop.
    let pair = TlsFiles { private_key: pki.path("stranger", "key"), ..pki.files("client") };
    let pair = reason(ssl(&server, pair)).await;
    assert!(pair.contains("cannot be used together"), "{pair}");
    pki.version1("old");
    let old = reason(ssl(&server, pki.files("old"))).await;
    assert!(old.contains("old.crt is of X.509 version 1") && old.contains("version 3"), "{old}");
    let missing = TlsFiles { private_key: "/nowhere/key.pem".into(), ..pki.files("client") };
    let missing = reason(ssl(&server, missing)).await;
    assert!(missing.contains("cannot read the private key in /nowhere/key.pem"), "{missing}");
    let none = reason(Config { tls: None, ..ssl(&server, pki.files("client")) }).await;
    assert!(none.contains("needs ca_cert, certificate and private_key"), "{none}");
}

#[tokio::test]
async fn tls_and_plain_text_confused() {
    let pki = Pki::usual();
    let plain = Server::with_extra(SCHEMA.as_ref(), &["--remote=ptcp:0:127.0.0.1".to_owned()]);
    let limit = |config| Config { answer_timeout: Some(Duration::from_secs(2)), ..config };
    let to_plain = reason(limit(ssl(&plain, pki.files("client")))).await;
    assert!(to_plain.contains("TLS"), "{to_plain}");
    let server = pki.server("server");
    let remote = format!("tcp:127.0.0.1:{}", server.port()).parse().unwrap();
    let to_tls = reason(limit(config(remote))).await;
    assert!(
        to_tls.contains("name the remote as ssl:") || to_tls.contains("closed the connection"),
        "{to_tls}"
    );
}

/// Renewed files are read for the next connection, without a restart.
#[tokio::test]
async fn certificates_are_read_for_each_connection() {
    let pki = Pki::usual();
    pki.signed("changing", "otherca", "basicConstraints=CA:FALSE");
    let server = pki.server("server");
    let mut follower = Follower::new(ssl(&server, pki.files("changing")));
    let refused = follower.reason().await;
    assert!(refused.contains("refuses this client's certificate"), "{refused}");
    pki.sign("changing", "ca", "basicConstraints=CA:FALSE");
    follower.until("a first dump", |f| f.replica.is_some()).await;
    follower.transact(1, vec![switch("x")]).await.unwrap();
}
