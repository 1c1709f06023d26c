//! Who asks, and what that opens: real clients of real users at the control socket.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use ovn_peerd::control::{HEAD_TIME, MAX_BODY_BYTES, MAX_CONNECTIONS_PER_USER};

use crate::running::wait_for;
use crate::served::{Served, access, as_user, ctl, curl};

/// What each route answers to whom: status codes in the order of root, an operator by the
/// settings, the same by its group, a tenant, a stranger.
#[test]
fn each_route_knows_who_asks() {
    let served = Served::start();
    let mode = fs::metadata(served.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666, "the credentials decide, not the mode");
    let json: &[&str] = &["-H", "content-type: application/json", "--data", "{"];
    let store = |body: &'static str| ["-H", "content-type: application/json", "--data", body];
    let own = store(r#"{"project": "blue", "remove": [["web", "to-db"]]}"#);
    let foreign = store(r#"{"project": "red", "remove": [["web", "to-db"]]}"#);
    let wrong = store(r#"{"project": "blue", "declarations": "project = \"red\"\n"}"#);
    let users = [
        ("0", "0"),
        ("20003", "20003"),
        ("20004", "20009"),
        ("20001", "20001"),
        ("20002", "20002"),
    ];
    for (arguments, path, expected) in [
        (&[][..], "/v1/halves", [200, 200, 200, 200, 403]),
        (&[], "/v1/halves/blue/web/to-db", [200, 200, 200, 200, 403]),
        (&[], "/v1/halves/red/web/to-db", [200, 200, 200, 404, 403]),
        (&[], "/v1/halves?state=nonsense", [400, 400, 400, 400, 403]),
        (&[], "/v1/attention", [200, 200, 200, 200, 403]),
        (&[], "/v1/status", [200, 200, 200, 403, 403]),
        (&[], "/v1/plan", [200, 200, 200, 403, 403]),
        (json, "/v1/plan", [400, 400, 400, 403, 403]),
        (&["-X", "POST"], "/v1/reload", [200, 200, 200, 403, 403]),
        (&[], "/v1/withdrawals", [200, 200, 200, 403, 403]),
        (json, "/v1/withdrawals/confirm", [400, 400, 400, 403, 403]),
        // The daemon behind it has not read the northbound.
        (&own, "/v1/store", [503, 503, 503, 503, 403]),
        (&foreign, "/v1/store", [503, 503, 503, 403, 403]),
        (&wrong, "/v1/store", [400, 400, 400, 400, 403]),
        (&["-X", "DELETE"], "/v1/halves", [405, 405, 405, 405, 403]),
        (&[], "/v1/nonsense", [404, 404, 404, 404, 403]),
    ] {
        let seen = users.map(|(uid, gid)| served.curl_as(uid, gid, arguments, path).0);
        assert_eq!(seen, expected, "{arguments:?} {path}");
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let served = Served::start();
    let (_, stranger) = served.curl_as("20002", "20002", &[], "/v1/halves");
    assert_eq!(stranger["error"]["code"], "not-operator");
    assert!(stranger["error"]["message"].as_str().unwrap().starts_with("uid 20002 may not ask"));
    assert!(stranger["error"]["next_step"].as_str().unwrap().contains("[[project]]"), "{stranger}");
    let (_, tenant) = served.curl_as("20001", "20001", &[], "/v1/status");
    assert_eq!(tenant["error"]["code"], "operators-only");
    assert_eq!(tenant["error"]["message"], "/v1/status is for operators");
    let list = ctl(&served.socket(), &["list"]);
    let output = as_user("20002", "20002", &list).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("owner"));
}

#[test]
fn a_tenant_sees_its_own_halves_and_of_others_not_even_that_they_are_there() {
    let served = Served::start();
    let ask = |path: &str| served.curl_as("20001", "20001", &[], path);
    let (_, halves) = ask("/v1/halves");
    let projects = halves.as_array().unwrap().iter().map(|half| &half["project"]);
    assert_eq!(projects.collect::<Vec<_>>(), ["blue", "blue"]);
    assert_eq!(ask("/v1/halves?project=red").1, ask("/v1/halves?project=tan").1);
    let (status, other) = ask("/v1/halves/red/web/to-db");
    let (_, none) = ask("/v1/halves/tan/web/to-db");
    assert_eq!((status, other.to_string().replace("red/", "tan/")), (404, none.to_string()));
}

/// A client of another user that opens `count` connections and then, for each line of its standard
/// input, asks for the list on the first one and prints the status code.
struct Holding(Child);

impl Holding {
    fn start(served: &Served, uid: &str, count: usize) -> Self {
        let script = r#"use IO::Socket::UNIX;
            my @all = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $! } 1..$ARGV[1];
            $| = 1;
            print "held\n";
            while (<STDIN>) {
                syswrite $all[0], "GET /v1/halves HTTP/1.1\r\nHost: x\r\n\r\n";
                sysread $all[0], my $answer, 65536;
                print((split / /, $answer)[1], "\n");
            }"#;
        let mut perl = Command::new("perl");
        perl.args(["-e", script]).arg(served.socket()).arg(count.to_string());
        let mut command = as_user(uid, uid, &perl);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut holding = Self(child);
        assert_eq!(holding.line(), "held\n");
        holding
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let mut byte = [0];
        while !line.ends_with('\n') {
            self.0.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            line.push(char::from(byte[0]));
        }
        line
    }

    fn ask(&mut self) -> String {
        self.0.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        self.line()
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It ends with its standard input.
        let _ = self.0.wait();
    }
}

#[test]
fn changed_settings_count_from_the_next_request_on_also_on_a_connection_that_stands() {
    let served = Served::start();
    let status = |uid: &str| served.curl_as(uid, uid, &[], "/v1/halves").0;
    assert_eq!([status("20001"), status("20002")], [200, 403]);
    let mut holding = Holding::start(&served, "20001", 1);
    assert_eq!(holding.ask(), "200\n");
    served.access.send_replace(access("[[project]]\nname = \"blue\"\nowner = \"20002\"\n"));
    assert_eq!(holding.ask(), "403\n");
    assert_eq!([status("20001"), status("20002")], [403, 200]);
}

#[test]
fn a_user_that_hoards_connections_keeps_neither_others_nor_root_out() {
    let served = Served::start();
    let stranger = Holding::start(&served, "20002", 2 * MAX_CONNECTIONS_PER_USER);
    let begun = Instant::now();
    assert_eq!(served.curl_as("20001", "20001", &[], "/v1/halves").0, 200);
    let tenant = Holding::start(&served, "20001", 2 * MAX_CONNECTIONS_PER_USER);
    assert_eq!(served.curl_as("20003", "20003", &[], "/v1/status").0, 200);
    assert_eq!(served.curl(&[], "/v1/status").0, 200);
    assert!(begun.elapsed() < HEAD_TIME, "nobody had to wait for an idle one's end");
    // Those that are turned away are told so a few at a time.
    wait_for("word of refusal", || {
        let command = curl(&served.socket(), &[], "/v1/halves");
        let output = as_user("20001", "20001", &command).output().unwrap();
        String::from_utf8(output.stdout).unwrap().contains("\"crowded\"").then_some(())
    });
    drop((stranger, tenant));
    wait_for("free place", || {
        (served.curl_as("20001", "20001", &[], "/v1/halves").0 == 200).then_some(())
    });
}

#[test]
fn what_a_tenant_may_not_send_is_refused_before_it_is_read() {
    let served = Served::start();
    let file = served.directory.path().join("body");
    fs::File::create(&file).unwrap().set_len(MAX_BODY_BYTES as u64).unwrap();
    let data = format!("@{}", file.display());
    let json = "content-type: application/json";
    // With `Expect`, a client sends its body when it is told to: it is not.
    let arguments = [
        "-H",
        json,
        "-H",
        "Expect: 100-continue",
        "--data-binary",
        &data,
        "-w",
        "\n%{size_upload} %{http_code}",
    ];
    let mut command = curl(&served.socket(), &arguments, "/v1/plan");
    command.args(["--expect100-timeout", "20"]);
    let output = as_user("20001", "20001", &command).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("\n0 403"), "{text}");
    assert!(text.contains("operators-only"), "{text}");
}
