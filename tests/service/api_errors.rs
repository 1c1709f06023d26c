//! Every error of the network API: its status, its code, and that nothing has changed.

use std::fs;
use std::io::Write;

use serde_json::{Value, json};

use crate::api_site::{PEERING, Site, body, code, network, token};
use crate::http::{Answer, read_answer};
use crate::running::{place, wait_for};

#[track_caller]
fn is(answer: &Answer, status: u16, expected: &str) {
    assert_eq!((answer.status, code(answer).as_str()), (status, expected), "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

fn count(site: &Site) -> String {
    let list = site.ask("root", "GET", PEERING);
    list.header("x-total-count").unwrap().to_owned()
}

#[test]
fn every_error_has_its_status_and_code() {
    let site = Site::start(&format!(
        "[policy]\nmax_halves_per_project = 3\n[[project]]\nname = \"closed\"\nowner = \"root\"\nhosts = [\"hv1\"]\n{}",
        token("closed", "project = \"closed\"")
    ));
    let [web, app, lost] = ["web", "app", "lost"].map(|name| network("blue", name));
    let db = network("green", "db");
    let nobody = "11111111-2222-4333-8444-555555555555";
    let post = |token: &str, body: &Value| site.tell(token, "POST", PEERING, body);

    // 401 and 403, before anything is looked at.
    is(&site.http.send("GET", PEERING, &[], None), 401, "AUTHENTICATION_FAILED");
    is(&post("reader", &json!("nonsense")), 403, "ACTION_FORBIDDEN");
    assert_eq!(site.ask("reader", "GET", PEERING).status, 200);

    // 400, 413, 415.
    is(&post("blue", &json!([])), 400, "REQUEST_INVALID");
    for (key, value, expected) in [
        ("state", json!("x"), "UNKNOWN_ATTRIBUTE"),
        ("name", json!(""), "NAME_INVALID"),
        ("network", json!({"uuid": "x"}), "NETWORK_INVALID"),
        ("peer_network", json!({"uuid": uuid::Uuid::nil()}), "NETWORK_INVALID"),
        ("configured_status", json!("up"), "CONFIGURED_STATUS_INVALID"),
        ("labels", json!([{"key": "_", "value": "x"}]), "INVALID_LABEL_KEY"),
        ("labels", json!([{"key": "aa", "value": 1}]), "INVALID_LABEL_VALUE"),
    ] {
        let mut wrong = body("x", &web, &db);
        wrong["network_peering"][key] = value;
        is(&post("blue", &wrong), 400, expected);
    }
    let bearer = ("Authorization", "Bearer blue");
    let text = body("x", &web, &db).to_string();
    let is_json = ("Content-Type", "application/json");
    for content_type in
        [None, Some(("Content-Type", "text/plain")), Some(("Content-Type", "application/jsonx"))]
    {
        let headers: Vec<_> = [bearer].into_iter().chain(content_type).collect();
        is(&site.http.send("POST", PEERING, &headers, Some(&text)), 415, "UNSUPPORTED_MEDIA_TYPE");
    }
    is(&site.http.send("POST", PEERING, &[bearer, is_json], Some("{")), 400, "REQUEST_INVALID");
    let large = " ".repeat(64 * 1024 + 1);
    is(
        &site.http.send("POST", PEERING, &[bearer, is_json], Some(&large)),
        413,
        "REQUEST_TOO_LARGE",
    );
    // Likewise of a body that does not say its length.
    let mut stream = site.http.connect().unwrap();
    let head = format!(
        "POST {PEERING} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer blue\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        large.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    is(&read_answer(&mut stream).unwrap(), 413, "REQUEST_TOO_LARGE");
    for query in ["?limit=x", "?offset=-1", "?nonsense=1"] {
        is(&site.ask("blue", "GET", &format!("{PEERING}{query}")), 400, "REQUEST_INVALID");
    }

    // 404: what is another's, what is not there, and what is no UUID.
    let others = site.create("green", "other", &db, &web);
    let paths = [others.as_str(), nobody, "nonsense", "%ff"];
    let answers = paths.map(|uuid| site.ask("blue", "GET", &format!("{PEERING}/{uuid}")));
    is(&answers[0], 404, "PEERING_NOT_FOUND");
    let bytes = |answer: &Answer| (answer.status, answer.body.clone());
    assert!(answers.iter().all(|answer| bytes(answer) == bytes(&answers[0])), "{answers:?}");
    let disable = json!({"network_peering": {"configured_status": "disabled"}});
    for uuid in paths {
        let path = format!("{PEERING}/{uuid}");
        is(&site.ask("blue", "DELETE", &path), 404, "PEERING_NOT_FOUND");
        is(&site.tell("blue", "PATCH", &path, &disable), 404, "PEERING_NOT_FOUND");
    }
    for uuid in [db.as_str(), nobody, "nonsense"] {
        is(&site.ask("blue", "GET", &format!("/1.3/network/{uuid}")), 404, "NETWORK_NOT_FOUND");
    }
    for uuid in [db.as_str(), nobody] {
        is(&post("blue", &body("x", uuid, &web)), 404, "NETWORK_NOT_FOUND"); // S3.22
    }
    is(&site.ask("blue", "GET", "/1.3/nonsense"), 404, "NOT_FOUND");
    let wrong = site.ask("blue", "PUT", PEERING);
    is(&wrong, 405, "METHOD_NOT_ALLOWED");
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, POST"));
    // S3.23: only an operator is told of the other side.
    is(&post("root", &body("x", &web, nobody)), 404, "PEER_NETWORK_NOT_FOUND");

    // 409.
    is(&post("blue", &body("x", &lost, &db)), 409, "LOCAL_NETWORK_NO_ROUTER"); // S3.21
    let uuid = site.create("blue", "one", &web, &db);
    is(&post("blue", &body("one", &web, nobody)), 409, "PEERING_CONFLICT"); // S3.24
    is(&post("blue", &body("two", &web, &db)), 409, "PEERING_CONFLICT");
    is(&post("blue", &body("two", &web, &web)), 409, "PEERING_CONFLICT");
    let path = format!("{PEERING}/{uuid}");
    is(&site.ask("blue", "DELETE", &path), 409, "PEERING_NOT_DISABLED");
    site.create("blue", "three", &app, nobody);
    is(
        &site.tell(
            "blue",
            "PATCH",
            &path,
            &json!({"network_peering": {"name": "three", "state": 1}}),
        ),
        400,
        "UNKNOWN_ATTRIBUTE",
    );
    // A file keeps its own; a network's second half of the same name is in the way.
    let kept = format!(
        "project = \"blue\"\n[[peering]]\nname = \"kept\"\nnetwork = \"web\"\ntarget_uuid = \"{nobody}\"\n"
    );
    place(site.daemon.path(), "peerings.d/blue.toml", &kept);
    let in_file = wait_for("the half of the file", || {
        let list = site.ask("blue", "GET", PEERING).json();
        let all = list["network_peerings"]["network_peering"].as_array().unwrap().clone();
        all.into_iter().find(|peering| peering["name"] == "kept")
    });
    let in_file = format!("{PEERING}/{}", in_file["uuid"].as_str().unwrap());
    is(&site.tell("blue", "PATCH", &in_file, &disable), 409, "PEERING_KEPT_IN_FILE");
    is(
        &site.tell("blue", "PATCH", &path, &json!({"network_peering": {"name": "kept"}})),
        409,
        "PEERING_KEPT_IN_FILE",
    );
    place(
        site.daemon.path(),
        "peerings.d/blue.toml",
        &kept.replace("target_uuid", "configured_status = \"disabled\"\ntarget_uuid"),
    );
    wait_for("the half of the file is disabled", || {
        (site.ask("blue", "GET", &in_file).json()["network_peering"]["state"] == "disabled")
            .then_some(())
    });
    is(&site.ask("blue", "DELETE", &in_file), 409, "PEERING_KEPT_IN_FILE");
    is(&post("blue", &body("four", &web, &network("red", "cache"))), 409, "PEERING_LIMIT_REACHED");
    // A project that may not be declared for by command.
    let networks = "[[network]]\nproject = \"closed\"\nname = \"n\"\nrouter = \"red-lr\"\n";
    place(site.daemon.path(), "networks.d/closed.toml", networks);
    let own = network("closed", "n");
    wait_for("the network", || {
        (site.ask("closed", "GET", &format!("/1.3/network/{own}")).status == 200).then_some(())
    });
    is(&post("closed", &body("x", &own, &web)), 403, "ACTION_FORBIDDEN");

    // 412: nothing is changed that is not as it was read.
    let tag = |value: &'static str| [("If-Match", value)];
    for (value, status, expected) in [
        ("\"0000000000000000\"", 412, "PRECONDITION_FAILED"),
        ("W/\"0000000000000000\"", 412, "PRECONDITION_FAILED"),
        ("nonsense", 400, "REQUEST_INVALID"),
    ] {
        is(&site.tell_if("blue", "PATCH", &path, &disable, &tag(value)), status, expected);
    }
    assert_eq!(site.tell_if("blue", "PATCH", &path, &disable, &tag("*")).status, 200);
    let etag = site.ask("blue", "GET", &path).header("etag").unwrap().to_owned();
    let headers = [bearer, ("If-Match", "\"0\"")];
    is(&site.http.send("DELETE", &path, &headers, None), 412, "PRECONDITION_FAILED");
    assert_eq!(site.http.send("DELETE", &path, &[bearer, ("If-Match", &etag)], None).status, 204);

    assert_eq!(count(&site), "3", "green's, and blue's in the store and in the file");
    let log = site.daemon.log();
    for said in ["token reader", "token blue", "PEERING_KEPT_IN_FILE"] {
        // The journal names the actor; codes are for clients.
        assert_eq!(log.contains(said), said.starts_with("token"), "{said}: {log}");
    }
}

#[test]
fn lists_are_whole_unless_asked_otherwise_and_filtered_by_labels() {
    let site = Site::start("");
    let web = network("blue", "web");
    for number in 0..7_u32 {
        let peer = uuid::Uuid::from_u128(u128::from(number) + 1).to_string();
        let mut new = body(&format!("p{number}"), &web, &peer);
        let parity = if number % 2 == 0 { "even" } else { "odd" };
        new["network_peering"]["labels"] =
            json!([{"key": "parity", "value": parity}, {"key": "all", "value": "a=b c&d"}]);
        assert_eq!(site.tell("blue", "POST", PEERING, &new).status, 201);
    }
    let list = |query: &str| {
        let answer = site.ask("blue", "GET", &format!("{PEERING}/{query}"));
        let all = answer.json()["network_peerings"]["network_peering"].as_array().unwrap().clone();
        let names: Vec<String> =
            all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), answer.header("x-total-count").unwrap().to_owned())
    };
    let found = |names: &str, total: &str| (names.to_owned(), total.to_owned());
    assert_eq!(list(""), found("p0 p1 p2 p3 p4 p5 p6", "7"));
    assert_eq!(list("?limit=2&offset=3"), found("p3 p4", "7"));
    assert_eq!(list("?offset=9"), found("", "7"));
    assert_eq!(list("?label=parity%3Dodd"), found("p1 p3 p5", "3"));
    assert_eq!(list("?label=parity=odd&label=all&limit=1"), found("p1", "3"));
    assert_eq!(list("?label=all=a%3Db%20c%26d&label=parity=even&offset=3"), found("p6", "4"));
    assert_eq!(list("?label=parity=x"), found("", "0"));
}

#[test]
fn without_a_northbound_nothing_is_said_to_be_gone() {
    let mut site = Site::start("");
    let (web, db) = (network("blue", "web"), network("green", "db"));
    site.create("blue", "one", &web, &db);
    let path = site.daemon.path().to_owned();
    site.northbound.as_mut().unwrap().stop();
    wait_for("no readiness", || {
        (site.http.send("GET", "/readyz", &[], None).status == 503).then_some(())
    });
    // What was read stays; nothing is written.
    assert_eq!(site.ask("blue", "GET", PEERING).header("x-total-count"), Some("1"));
    let refused = site.tell("blue", "POST", PEERING, &body("two", &network("blue", "app"), &db));
    is(&refused, 503, "SERVICE_UNAVAILABLE");
    assert!(refused.header("retry-after").is_some());
    assert!(!refused.text().contains(path.to_str().unwrap()), "{}", refused.text());
    // A daemon that has never read it does not say that there is nothing.
    site.daemon.daemon.signal("TERM");
    site.daemon.daemon.ended();
    site.daemon.start_again();
    let unread = wait_for("the daemon", || {
        let headers = [("Authorization", "Bearer blue")];
        site.http.try_send("GET", PEERING, &headers, None).ok()
    });
    is(&unread, 503, "SERVICE_UNAVAILABLE");
    is(&site.ask("blue", "GET", "/1.3/network"), 503, "SERVICE_UNAVAILABLE");
    assert_eq!(site.ask("blue", "GET", "/1.3/account").status, 200);
    site.northbound.as_mut().unwrap().restart();
    site.wait_until_ready();
    assert_eq!(site.ask("blue", "GET", PEERING).header("x-total-count"), Some("1"));
}

/// The file is what the code says; `UPDATE_GOLDEN=1` writes it.
#[test]
fn the_description_is_committed_and_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let made = ovn_peerd::api::openapi();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(path, made).unwrap();
    }
    assert_eq!(fs::read_to_string(path).unwrap(), made, "run with UPDATE_GOLDEN=1");
    let site = Site::start("");
    for path in ["/openapi.json", "/openapi.json/"] {
        let answer = site.http.send("GET", path, &[], None);
        assert_eq!((answer.status, answer.text().as_str()), (200, made));
    }
    let ready = site.http.send("GET", "/readyz/", &[], None);
    assert_eq!((ready.status, ready.text().as_str()), (200, "ready\n"));
}
