//! Tokens of the network API: made by a command, reloaded, limited; and logins that fail.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::api_site::{PEERING, Site, code, network, token};
use crate::http::Answer;
use crate::running::wait_for;

fn login(site: &Site, header: &str) -> Answer {
    site.http.send("GET", "/1.3/account", &[("Authorization", header)], None)
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn a_token_is_made_reloaded_listed_and_removed_without_a_restart() {
    let site = Site::start("");
    let made = site.daemon.ctl(&[
        "token",
        "create",
        "ci",
        "--project",
        "blue",
        "--read-only",
        "--expires",
        "90d",
        "--format",
        "json",
    ]);
    assert!(made.status.success(), "{made:?}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    let (secret, block) = (made["secret"].as_str().unwrap(), made["block"].as_str().unwrap());
    assert_eq!(secret.len(), 64);
    assert!(!block.contains(secret), "{block}");
    assert_eq!(login(&site, &format!("Bearer {secret}")).status, 401);
    let marker = "[[token]]\nname = \"blue\"";
    site.reload(marker, &format!("{block}{marker}"));
    for header in [format!("Bearer {secret}"), basic(&format!("ci:{secret}"))] {
        let answer = login(&site, &header);
        assert_eq!(answer.json()["account"]["username"], "ci", "{answer:?}");
    }
    let list = site.daemon.ctl(&["token", "list"]);
    let list = String::from_utf8(list.stdout).unwrap();
    let line = list.lines().find(|line| line.starts_with("ci ")).unwrap();
    assert!(
        line.contains("blue") && line.contains("read") && line.contains("ovn-peerd.toml:"),
        "{list}"
    );
    assert!(!list.contains(secret) && list.contains("all"), "{list}");
    let revoke = site.daemon.ctl(&["token", "revoke", "ci"]);
    let revoke = String::from_utf8(revoke.stdout).unwrap();
    let place = line.split_whitespace().find(|word| word.contains("ovn-peerd.toml:")).unwrap();
    assert!(revoke.contains(place) && revoke.contains("reload"), "{revoke}");
    let unknown = site.daemon.ctl(&["token", "revoke", "nobody"]);
    assert_eq!(unknown.status.code(), Some(1));
    site.reload(block, "");
    assert_eq!(login(&site, &format!("Bearer {secret}")).status, 401);
    // For people it says where the block goes, and every run makes another secret.
    let text = |arguments: &[&str]| String::from_utf8(site.daemon.ctl(arguments).stdout).unwrap();
    let [one, two] = [0; 2].map(|_| text(&["token", "create", "x", "--operator"]));
    assert!(one != two && one.contains("[[token]]") && one.contains("operator = true"), "{one}");
    assert!(site.daemon.ctl(&["token", "create", "x"]).status.code() != Some(0));
    // Settings with a fault change no token.
    let path = site.daemon.path().join("ovn-peerd.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, settings.replace("project = \"green\"", "")).unwrap();
    assert!(!site.daemon.ctl(&["reload"]).status.success());
    assert_eq!(login(&site, "Bearer green").status, 200);
}

#[test]
fn logins_that_fail_are_alike_and_few_in_a_minute() {
    let expired = token("old", "project = \"blue\"\nexpires = 2020-01-01T00:00:00Z");
    let site = Site::start(&expired);
    let headers = [
        "Bearer wrong".to_owned(),
        basic("blue:wrong"),
        basic("nobody:blue"),
        basic("green:blue"),
        "Bearer old".to_owned(),
    ];
    let answers: Vec<Answer> = headers.iter().map(|header| login(&site, header)).collect();
    let strip = |answer: &Answer| {
        let mut answer = answer.clone();
        answer.headers.retain(|(name, _)| name != "date");
        answer
    };
    for (header, answer) in headers.iter().zip(&answers) {
        assert_eq!((answer.status, code(answer).as_str()), (401, "AUTHENTICATION_FAILED"));
        assert_eq!(strip(answer), strip(&answers[0]), "{header}");
    }
    assert!(answers[0].header("www-authenticate").unwrap().contains("Basic"));
    // The same body as without any.
    let none = site.http.send("GET", PEERING, &[], None);
    assert_eq!((none.status, &none.body), (401, &answers[0].body));
    let next = login(&site, "Bearer wrong");
    assert_eq!((next.status, code(&next).as_str()), (429, "TOO_MANY_REQUESTS"));
    let wait: u64 = next.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    // Who has a right secret is not locked out by a neighbour.
    assert_eq!(login(&site, "Bearer blue").status, 200);
    assert_eq!(login(&site, &basic("blue:blue")).status, 200);
    let log =
        wait_for("the log", || Some(site.daemon.log()).filter(|log| log.contains("logins from")));
    assert_eq!(log.matches("login").count(), 2, "{log}");
    assert!(!log.contains("wrong"), "{log}");
}

#[test]
fn each_token_has_its_rate() {
    let site = Site::start("");
    site.reload("per_second = 5000, burst = 5000", "per_second = 1, burst = 3");
    let asked = |name: &str| {
        let answers: Vec<u16> =
            (0..6).map(|_| site.ask(name, "GET", "/1.3/account").status).collect();
        answers
    };
    let blue = asked("blue");
    assert_eq!(blue[..3], [200; 3], "{blue:?}");
    let refused = site.ask("blue", "GET", PEERING);
    assert!(blue.contains(&429), "{blue:?}");
    if refused.status == 429 {
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(asked("green")[..3], [200; 3], "another token has its own");
}

#[test]
fn a_token_learns_nothing_of_another_project() {
    let site = Site::start("");
    let (web, db) = (network("blue", "web"), network("green", "db"));
    let blank = |token: &str| {
        ["/1.3/network", PEERING, "/1.3/account"].map(|path| {
            let answer = site.ask(token, "GET", path);
            (answer.status, answer.text(), answer.header("x-total-count").map(str::to_owned))
        })
    };
    let before = blank("red");
    let there = site.create("blue", "secret-name", &web, &db);
    let back = site.create("green", "hidden-name", &db, &web);
    site.wait_for_state("blue", &there, "active");
    assert_eq!(blank("red"), before);
    for uuid in [&there, &back] {
        assert_eq!(site.ask("red", "GET", &format!("{PEERING}/{uuid}")).status, 404);
    }
    // Each sees its own half alone, and of the other what it announces.
    for (token, own, other) in [("blue", &there, &back), ("green", &back, &there)] {
        let text = site.ask(token, "GET", PEERING).text();
        assert!(text.contains(own.as_str()) && !text.contains(other.as_str()), "{text}");
        let name = if token == "blue" { "hidden-name" } else { "secret-name" };
        assert!(!text.contains(name), "{text}");
    }
    let all = site.ask("root", "GET", PEERING);
    assert_eq!(all.header("x-total-count"), Some("2"));
    // An operator's token speaks for every project.
    let app = network("blue", "app");
    let made = site.create("root", "by-root", &app, &db);
    assert_eq!(site.peering("blue", &made)["ovn_peerd"]["project"], "blue");
}
