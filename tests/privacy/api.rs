//! The network API to a tenant (S3.23, S0.11): a network that does not exist, one whose owner is silent, and those that could
//! not peer with the tenant's are the same to it, in every byte and in the time that an answer takes; so are somebody else's
//! peerings and networks, and none.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::api_site::{PEERING, Site, body, network};
use crate::http::Answer;

const ROUNDS: usize = 15;

/// What a tenant may name as the other side.
fn targets() -> [(&'static str, String); 6] {
    [
        ("unknown", "11111111-2222-4333-8444-555555555555".to_owned()),
        ("silent", network("green", "db")),
        ("of a type that may not peer", network("green", "public")),
        ("in another zone", network("green", "far")),
        ("without a router", network("green", "gone")),
        ("with overlapping addresses", network("red", "cache")),
    ]
}

/// All that a client gets, without what is its own peering's, and the moment.
fn bytes(answer: &Answer, own: &[&str]) -> String {
    let mut headers = answer.headers.clone();
    // A moment has as many digits as it needs: the texts are compared without it, and so are their lengths.
    headers.retain(|(name, _)| name != "date" && name != "content-length");
    let mut text = format!("{} {headers:?} {}", answer.status, answer.text());
    for part in own {
        text = text.replace(part, "OWN");
    }
    if let Some((before, rest)) = text.split_once("\"since\":\"") {
        let after = rest.split_once('"').unwrap().1;
        text = format!("{before}{after}");
    }
    text
}

/// The life of a request: each answer, and the time that it took.
fn life(site: &Site, target: &str) -> Vec<(String, Duration)> {
    let mut seen = Vec::new();
    let mut note = |own: &[&str], ask: &dyn Fn() -> Answer| {
        let begun = Instant::now();
        let answer = ask();
        let taken = begun.elapsed();
        let etag = answer.header("etag").unwrap_or("no tag").trim_matches('"').to_owned();
        let own: Vec<&str> = own.iter().copied().chain([&*etag]).collect();
        seen.push((bytes(&answer, &own), taken));
        answer
    };
    let new = body("asked", &network("blue", "web"), target);
    let begun = Instant::now();
    let created = site.tell("blue", "POST", PEERING, &new);
    let taken = begun.elapsed();
    assert_eq!(created.status, 201, "{created:?}");
    let uuid = created.json()["network_peering"]["uuid"].as_str().unwrap().to_owned();
    let own = [uuid.as_str(), target];
    note(&own, &|| created.clone());
    let path = format!("{PEERING}/{uuid}");
    note(&own, &|| site.ask("blue", "GET", &path));
    note(&own, &|| site.ask("blue", "GET", PEERING));
    note(&own, &|| site.tell("blue", "POST", PEERING, &new));
    let other = body("again", &network("blue", "web"), target);
    note(&own, &|| site.tell("blue", "POST", PEERING, &other));
    let change = json!({"network_peering": {"labels": [{"key": "aa", "value": "b"}]}});
    note(&own, &|| site.tell("blue", "PATCH", &path, &change));
    note(&own, &|| site.ask("blue", "DELETE", &path));
    let disable = json!({"network_peering": {"configured_status": "disabled"}});
    note(&own, &|| site.tell("blue", "PATCH", &path, &disable));
    note(&own, &|| site.ask("blue", "DELETE", &path));
    seen[0].1 = taken;
    seen
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
fn the_network_api_answers_the_same_whatever_a_target_is() {
    const STEPS: [&str; 9] = [
        "create",
        "show",
        "list",
        "exists",
        "conflict",
        "change",
        "not disabled",
        "disable",
        "delete",
    ];
    // A project may store so much in a while; here it is asked more often.
    let site = Site::start("[policy]\nhistory = 0\n");
    let targets = targets();
    let mut taken = vec![vec![Vec::new(); STEPS.len()]; targets.len()];
    let mut said: Option<Vec<String>> = None;
    for _ in 0..ROUNDS {
        for ((what, target), taken) in targets.iter().zip(&mut taken) {
            let (texts, times): (Vec<_>, Vec<_>) = life(&site, target).into_iter().unzip();
            for (step, time) in taken.iter_mut().zip(times) {
                step.push(time);
            }
            let said = said.get_or_insert_with(|| texts.clone());
            for (step, (first, now)) in STEPS.iter().zip(said.iter().zip(&texts)) {
                assert_eq!(first, now, "{step} of a target {what}");
            }
        }
    }
    let medians: Vec<Vec<Duration>> =
        taken.into_iter().map(|steps| steps.into_iter().map(median).collect()).collect();
    for ((what, _), medians) in targets.iter().zip(&medians) {
        println!("{medians:>8.1?}  {what}");
    }
    for (step, name) in STEPS.iter().enumerate() {
        let times = medians.iter().map(|medians| medians[step]);
        let (least, most) = (times.clone().min().unwrap(), times.max().unwrap());
        assert!(most < least * 3 + Duration::from_millis(30), "{name}: {least:?} and {most:?}");
    }
}

#[test]
fn what_is_anothers_is_as_if_it_were_not_there() {
    let site = Site::start("");
    let (web, db) = (network("blue", "web"), network("green", "db"));
    let theirs = site.create("green", "theirs", &db, &web);
    let nobody = "11111111-2222-4333-8444-555555555555".to_owned();
    let change = json!({"network_peering": {"name": "mine"}});
    let mut taken = [Vec::new(), Vec::new()];
    let mut said: Option<Vec<String>> = None;
    for _ in 0..ROUNDS {
        let pairs = [(&theirs, &db), (&nobody, &nobody)];
        for ((peering, network), taken) in pairs.into_iter().zip(&mut taken) {
            let path = format!("{PEERING}/{peering}");
            let begun = Instant::now();
            let answers = [
                site.ask("blue", "GET", &path),
                site.ask("blue", "DELETE", &path),
                site.tell("blue", "PATCH", &path, &change),
                site.ask("blue", "GET", &format!("/1.3/network/{network}")),
                site.tell("blue", "POST", PEERING, &body("x", network, &web)),
            ];
            taken.push(begun.elapsed());
            let texts: Vec<String> = answers.iter().map(|answer| bytes(answer, &[])).collect();
            assert_eq!(*said.get_or_insert_with(|| texts.clone()), texts, "{peering}");
        }
    }
    let [theirs, none] = taken.map(median);
    println!("five requests: another's {theirs:?}, none {none:?}");
    let (least, most) = (theirs.min(none), theirs.max(none));
    assert!(most < least * 3 + Duration::from_millis(30), "{theirs:?} and {none:?}");
}
