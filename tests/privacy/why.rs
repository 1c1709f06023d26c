//! `why` tells a tenant nothing of a network that has not agreed: the same bytes for each kind of target, with a half that asks
//! it and without one, and no difference in time.

use std::time::{Duration, Instant};

use crate::site::{BLUE, OCHRE, STRANGER};
use crate::targets::{TARGETS, asking, neutral, world};

const ROUNDS: usize = 15;

/// The question as a path; addresses are the asker's own guess.
fn path(target: &str, address: &str) -> String {
    let (project, network) = target.split_once('/').unwrap();
    let to = format!("to_project={project}&to_network={network}{address}");
    format!("/v1/why?from_project=blue&from_network=web&{to}&opens=tcp:443")
}

#[test]
fn what_why_answers_does_not_tell_targets_apart() {
    let site = world();
    let mut expected: Option<Vec<String>> = None;
    for (what, target) in TARGETS {
        let mut answers = Vec::new();
        for declares in [false, true] {
            if declares {
                site.declare(BLUE, &asking(target));
                site.wait_state("blue/web/asked", "pending-peer");
            }
            for address in
                ["", "&to_address=10.2.0.10", "&from_address=10.1.0.10&to_address=10.2.0.10"]
            {
                let answer = site.curl(BLUE.uid, &[], &path(target, address));
                let answer = String::from_utf8(answer.stdout).unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{target}: {answer}");
                answers.push(neutral(&answer, target));
            }
            for format in ["table", "json", "yaml"] {
                let end = format!("{target}:10.2.0.10");
                for command in [
                    ["why", "blue/web:10.1.0.10", end.as_str(), "tcp:443"],
                    ["why", end.as_str(), "blue/web:10.1.0.10", "ping"],
                    ["why", "blue/web", target, "any"],
                ] {
                    let output =
                        site.ctl(BLUE.uid, &[&command[..], &["--format", format]].concat());
                    assert_eq!(output.status.code(), Some(7), "{command:?}: {output:?}");
                    answers.push(neutral(&String::from_utf8(output.stdout).unwrap(), target));
                }
            }
        }
        site.declare(BLUE, &crate::site::half("to-lab", "web", "brown/lab"));
        site.wait_gone("blue/web/asked");
        let expected = expected.get_or_insert_with(|| answers.clone());
        assert!(expected.iter().any(|text| text.contains("awaiting-peer")), "{expected:#?}");
        for (answer, expected) in answers.iter().zip(&*expected) {
            assert_eq!(answer, expected, "{what}");
        }
    }
    // It asks of its own networks only, and others are refused alike.
    let refused = |uid: u32, target: &str| {
        let answer = site.curl(uid, &[], &path(target, ""));
        neutral(&String::from_utf8(answer.stdout).unwrap(), target)
    };
    for uid in [OCHRE.uid, STRANGER] {
        let first = refused(uid, "green/silent");
        assert!(first.starts_with("HTTP/1.1 403"), "{first}");
        for (_, target) in TARGETS.into_iter().filter(|(_, target)| !target.starts_with("ochre/")) {
            assert_eq!(refused(uid, target), first, "{target}");
        }
    }
    // To a peer that has agreed it is told more.
    let output = site.ctl(BLUE.uid, &["why", "blue/web:10.1.0.10", "brown/lab:10.9.0.10", "ping"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("10.9.0.0/24 of brown/lab"), "{text}");
}

#[test]
fn no_kind_of_target_takes_why_longer() {
    let site = world();
    let mut taken: Vec<Vec<Duration>> = TARGETS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for ((_, target), taken) in TARGETS.iter().zip(&mut taken) {
            let path = path(target, "&from_address=10.1.0.10&to_address=10.2.0.10");
            let begun = Instant::now();
            site.curl(BLUE.uid, &[], &path);
            taken.push(begun.elapsed());
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let medians: Vec<Duration> = taken.into_iter().map(median).collect();
    for ((what, target), median) in TARGETS.iter().zip(&medians) {
        println!("{median:>10.1?}  {target}, {what}");
    }
    let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
    assert!(*most < *least * 10 + Duration::from_millis(200), "{least:?} and {most:?}");
}
