//! Commands that declare: what they say of others, and what each of them does in each state, for each kind of user.

use std::collections::BTreeSet;
use std::process::Output;

use serde_json::Value;

use crate::lab::command::poll;
use crate::site::{BLUE, GREEN, OCHRE, OPERATOR, PATIENCE, STRANGER, Setup, Site, half};
use crate::targets::{TARGETS, world};

fn text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{:?}\n{}{}", output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// Without what differs from one run to the next: moments.
fn timeless(output: &Output, target: &str) -> String {
    let (project, network) = target.split_once('/').unwrap();
    let text =
        text(output).replace(target, "TARGET").replace(&format!("{project}-{network}"), "NAME");
    let text = text.replace(network, "NETWORK").replace(&format!("\"{project}\""), "PROJECT");
    let timed = ["Since", "Declared in", "\"since\"", "\"at\""];
    let lines = text.lines().filter(|line| !timed.iter().any(|it| line.trim().starts_with(it)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// S0.11, S1.11: what commands answer does not tell what stands behind a name.
#[test]
fn commands_answer_the_same_whatever_a_target_is() {
    let site = world();
    let mut expected = None;
    for (what, target) in TARGETS {
        let accepted = format!("blue/web/{}", target.replace('/', "-"));
        let commands: [&[&str]; 16] = [
            &["create", "blue/web/asked", target, "--dry-run"],
            &["create", "blue/web/asked", target, "description=please"],
            &["create", "blue/web/asked", target],
            &["show", "blue/web/asked"],
            &["get", "blue/web/asked", "--format", "json"],
            &["list", "--target", target, "--columns", "half,target,state,reason,out,in,degraded"],
            &["set", "blue/web/asked", "description=again"],
            &["disable", "blue/web/asked"],
            &["enable", "blue/web/asked"],
            &["rename", "blue/web/asked", "named"],
            &["delete", "blue/web/named"],
            &["reject", "blue/web", target],
            &["export", "--project", "blue"],
            &["accept", "blue/web", target],
            &["requests"],
            &["delete", &accepted],
        ];
        let answers = commands.map(|command| timeless(&site.ctl(BLUE.uid, command), target));
        assert!(answers[1].contains("pending-peer"), "{}", answers[1]);
        assert!(answers[15].contains("deleted blue/web/NAME"), "{}", answers[15]);
        let expected = expected.get_or_insert_with(|| answers.clone());
        assert_eq!(answers, *expected, "{what}");
    }
}

/// The requests that an account is shown, as `network<from`.
fn asked(site: &Site, uid: u32) -> BTreeSet<String> {
    let requests = site.json(uid, &["requests"]);
    let name = |request: &Value, key: &str| request[key].as_str().unwrap().to_owned();
    let word = |request: &Value| {
        let [project, network, of, from] =
            ["project", "network", "from_project", "from_network"].map(|key| name(request, key));
        format!("{project}/{network}<{of}/{from}")
    };
    requests.as_array().unwrap().iter().map(word).collect()
}

#[track_caller]
fn wait_asked(site: &Site, uid: u32, expected: &[&str]) {
    let expected = expected.iter().map(ToString::to_string).collect();
    poll("the requests are as they should be", PATIENCE, || {
        let found = asked(site, uid);
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Two networks that can peer, and one that no router stands behind.
fn two(policy: &str) -> Site {
    let site = Site::with(&Setup { policy, ..Setup::default() });
    site.lab.add_network("blueweb", &["10.1.0.0/24 fd01::/64"]);
    site.lab.add_network("greendb", &["10.2.0.0/24 fd02::/64"]);
    let bind = |project: &str, name: &str, router: &str| {
        format!("[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n")
    };
    let networks = bind("blue", "web", "blueweb")
        + &bind("green", "db", "greendb")
        + &bind("blue", "ghost", "no");
    site.operator_writes("networks.d/all.toml", &networks);
    assert!(site.ctl(0, &["reload"]).status.success());
    site
}

/// S1.11: a request shows who asks, and nothing else; only to the one who is asked.
#[test]
fn a_request_discloses_the_one_who_asks_and_nothing_else() {
    let site = two("");
    let done = |uid: u32, command: &[&str]| {
        let output = site.ctl(uid, command);
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    };
    done(BLUE.uid, &["create", "blue/web/to-db", "green/db", "description=the web tier"]);
    done(BLUE.uid, &["create", "blue/ghost/to-db", "green/db"]);
    done(BLUE.uid, &["create", "blue/web/to-none", "green/none"]);
    let request = "green/db<blue/web";
    for (uid, expected) in [(GREEN.uid, &[request][..]), (OPERATOR, &[request]), (OCHRE.uid, &[])] {
        wait_asked(&site, uid, expected);
    }
    wait_asked(&site, BLUE.uid, &[]);
    assert_eq!(site.ctl(STRANGER, &["requests"]).status.code(), Some(1));
    // These fields, and none of what the other side could only learn by consent.
    let requests = site.json(GREEN.uid, &["requests"]);
    let fields: Vec<&String> = requests[0].as_object().unwrap().keys().collect();
    let expected = ["description", "from_network", "from_project", "network", "project", "since"];
    assert_eq!(fields, expected);
    assert!(
        !["10.", "fd01", "lr", "router", "to-db"]
            .iter()
            .any(|it| requests.to_string().contains(it))
    );
    // Whoever asks does not learn that it was seen, and looking writes nothing.
    let seen = || site.json(BLUE.uid, &["show", "blue", "web", "to-db"]);
    let (before, written) = (seen(), site.lab.northbound_transactions());
    assert_eq!(asked(&site, GREEN.uid).len(), 1);
    assert_eq!((seen(), site.lab.northbound_transactions()), (before, written));
    // What is answered, disabled or withdrawn asks no more.
    done(GREEN.uid, &["reject", "green/db", "blue/web"]);
    wait_asked(&site, GREEN.uid, &[]);
    done(GREEN.uid, &["unreject", "green/db", "blue/web"]);
    wait_asked(&site, GREEN.uid, &[request]);
    done(BLUE.uid, &["disable", "blue/web/to-db"]);
    wait_asked(&site, GREEN.uid, &[]);
    done(BLUE.uid, &["enable", "blue/web/to-db"]);
    wait_asked(&site, GREEN.uid, &[request]);
    done(GREEN.uid, &["accept", "green/db", "blue/web"]);
    wait_asked(&site, GREEN.uid, &[]);
    done(GREEN.uid, &["delete", "green/db/blue-web"]);
    // It was linked: that is no request, but a peering that has ended.
    site.wait_state("blue/web/to-db", "disconnected");
    wait_asked(&site, GREEN.uid, &[]);
    done(BLUE.uid, &["delete", "blue/web/to-db"]);
    // A file asks as the store does.
    site.declare(BLUE, &half("filed", "web", "green/db"));
    wait_asked(&site, GREEN.uid, &[request]);
    add_to_policy(&site, "show_requests = \"operators\"");
    wait_asked(&site, GREEN.uid, &[]);
    wait_asked(&site, OPERATOR, &[request]);
}

fn add_to_policy(site: &Site, line: &str) {
    let settings = std::fs::read_to_string(site.root().join("etc/ovn-peerd.toml")).unwrap();
    let settings = settings.replacen("[policy]\n", &format!("[policy]\n{line}\n"), 1);
    site.operator_writes("ovn-peerd.toml", &settings);
    assert!(site.ctl(0, &["reload"]).status.success());
}

/// A command of an account.
type Step = (u32, &'static [&'static str]);

/// Every state, and how the half `blue/BN/it` comes there after it was created: commands by blue and by green, whose
/// network is `green/GN`.
const STATES: [(&str, &[Step]); 9] = [
    ("pending-peer", &[]),
    ("active", &[(GREEN.uid, &["accept", "GN", "BN", "back"])]),
    ("disabled", &[(BLUE.uid, &["disable", "BN/it"])]),
    (
        "peer-disabled",
        &[(GREEN.uid, &["accept", "GN", "BN", "back"]), (GREEN.uid, &["disable", "GN/back"])],
    ),
    (
        "disconnected",
        &[
            (GREEN.uid, &["accept", "GN", "BN", "back", "--wait"]),
            (GREEN.uid, &["delete", "GN/back", "--wait"]),
        ],
    ),
    ("rejected", &[(GREEN.uid, &["reject", "GN", "BN"])]),
    ("failed", &[(BLUE.uid, &["set", "BN/it", "export=[\"10.99.0.0/24\"]"])]),
    ("deleted", &[(BLUE.uid, &["delete", "BN/it"])]),
    // From then on no request waits for long.
    ("expired", &[]),
];

/// What a command does to a half: in every state but `deleted`, and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// The half is in the state where it was, or where it would be if it were new.
    Stays,
    Becomes(&'static str),
    /// The half has this name now, and is in the state where it was.
    Named(&'static str),
    /// There is a new half, with the name that `accept` gives it.
    Creates,
    /// Nothing has changed, and this is the exit code.
    Refused(i32),
}

use Effect::{Becomes, Creates, Named, Refused, Stays};

const COMMANDS: [(&[&str], Effect, Effect); 14] = [
    (&["create", "BN/it", "GN"], Refused(5), Becomes("pending-peer")),
    (&["set", "BN/it", "description=new"], Stays, Refused(3)),
    (&["unset", "BN/it", "description"], Stays, Refused(3)),
    (&["enable", "BN/it"], Stays, Refused(3)),
    (&["disable", "BN/it"], Becomes("disabled"), Refused(3)),
    (&["renew", "BN/it"], Stays, Refused(3)),
    (&["rename", "BN/it", "other"], Named("other"), Refused(3)),
    (&["get", "BN/it", "name"], Stays, Refused(3)),
    (&["set", "BN/it", "description=new", "--if-match", "00"], Refused(5), Refused(3)),
    (&["set", "BN/it", "colour=red"], Refused(1), Refused(3)),
    (&["delete", "BN/it"], Becomes("deleted"), Refused(3)),
    (&["accept", "BN", "GN"], Refused(5), Creates),
    (&["reject", "BN", "GN"], Refused(5), Stays),
    (&["unreject", "BN", "GN"], Stays, Stays),
];

/// A network of blue and one of green for every state with every command: a unit that is written again and again would
/// have to wait.
fn many() -> Site {
    let site = Site::with(&Setup { policy: "history = \"1h\"\n", ..Setup::default() });
    let (mut networks, mut rows) = (String::new(), Vec::new());
    for number in 0..STATES.len() * COMMANDS.len() {
        for (project, second) in [("blue", 1), ("green", 2)] {
            let (name, port) = (format!("{project}{number}"), format!("{project}{number}-p"));
            let subnet = format!("10.{second}.{number}.1/24");
            let words = [
                "--",
                "lr-add",
                &name,
                "--",
                "lrp-add",
                &name,
                &port,
                "00:00:00:00:00:01",
                &subnet,
            ];
            rows.extend(words.map(str::to_owned));
            networks += &format!(
                "[[network]]\nproject = \"{project}\"\nname = \"n{number}\"\nrouter = \"{name}\"\n"
            );
        }
    }
    site.lab.nbctl(&rows.iter().map(String::as_str).collect::<Vec<_>>());
    site.operator_writes("networks.d/all.toml", &networks);
    assert!(site.ctl(0, &["reload"]).status.success());
    site
}

fn stored(site: &Site) -> String {
    let of = |project: &str| text(&site.ctl(0, &["export", "--project", project]));
    of("blue") + &of("green")
}

/// S1.18: every command in every state, by its owner; and by others, for whom nothing changes.
#[test]
fn every_command_does_what_it_says_in_every_state_and_for_its_owner_alone() {
    let site = many();
    let cases =
        STATES.iter().flat_map(|state| COMMANDS.iter().map(move |command| (state, command)));
    for (number, ((state, by), (command, usual, when_deleted))) in cases.enumerate() {
        let (blue, green) = (format!("blue/n{number}"), format!("green/n{number}"));
        let words = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| word.replace("BN", &blue).replace("GN", &green)).collect()
        };
        if *state == "expired" && command == &COMMANDS[0].0 {
            add_to_policy(&site, "request_expiry = \"3s\"");
        }
        let run = |uid: u32, words: &[String]| {
            site.ctl(uid, &words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let create = words(&["create", "BN/it", "GN", "description=old", "--wait=pending-peer"]);
        let created = run(BLUE.uid, &create);
        assert!(created.status.success(), "{}", text(&created));
        for (uid, step) in *by {
            let done = run(*uid, &words(step));
            assert!(done.status.success(), "{state}: {step:?}: {}", text(&done));
        }
        let half = format!("{blue}/it");
        site.wait_state(&half, state);
        let effect = if *state == "deleted" { *when_deleted } else { *usual };
        let (what, before) = (format!("{state}: {command:?}"), stored(&site));
        let command = words(command);
        for uid in [GREEN.uid, STRANGER] {
            let refused = run(uid, &command);
            let code = refused.status.code();
            assert!(code == Some(1) || code == Some(3), "{what}: {}", text(&refused));
            assert!(!refused.stderr.is_empty() && refused.stdout.is_empty(), "{what}");
        }
        if command[0] != "get" {
            let dry = run(BLUE.uid, &[&command[..], &["--dry-run".to_owned()]].concat());
            let refused = matches!(effect, Refused(_));
            assert_eq!(dry.status.success(), !refused, "{what}: {}", text(&dry));
        }
        assert_eq!(stored(&site), before, "{what}");
        // An operator may do what an owner may.
        let uid = if number % 2 == 0 { BLUE.uid } else { OPERATOR };
        let output = run(uid, &command);
        let code = output.status.code();
        match effect {
            Refused(expected) => {
                assert_eq!(code, Some(expected), "{what}: {}", text(&output));
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(said.contains("ovn-peerctl: ") && said.lines().count() >= 2, "{said}");
                assert_eq!(stored(&site), before, "{what}");
                site.wait_state(&half, state);
            }
            // What is enabled is where it would be if it were new.
            Stays
                if (*state == "disabled" && command[0] == "enable")
                    || (*state == "expired" && command[0] == "renew") =>
            {
                assert_eq!(code, Some(0), "{what}: {}", text(&output));
                site.wait_state(&half, "pending-peer");
            }
            Stays => {
                assert_eq!(code, Some(0), "{what}: {}", text(&output));
                site.wait_state(&half, state);
            }
            Becomes(next) => {
                assert_eq!(code, Some(0), "{what}: {}", text(&output));
                site.wait_state(&half, next);
            }
            Creates => {
                assert_eq!(code, Some(0), "{what}: {}", text(&output));
                site.wait_state(&format!("{blue}/{}", green.replace('/', "-")), "pending-peer");
            }
            Named(name) => {
                assert_eq!(code, Some(0), "{what}: {}", text(&output));
                site.wait_state(&format!("{blue}/{name}"), state);
                assert_eq!(site.ctl(0, &["show", &half]).status.code(), Some(3), "{what}");
            }
        }
    }
}

/// A renamed half keeps its peering, its rows, and the moment since when it stands.
#[test]
fn a_rename_moves_no_row_of_the_peering() {
    let site = two("");
    let done = |uid: u32, command: &[&str]| {
        let output = site.ctl(uid, command);
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    };
    done(BLUE.uid, &["create", "blue/web/it", "green/db"]);
    done(GREEN.uid, &["accept", "green/db", "blue/web"]);
    site.wait_state("blue/web/it", "active");
    site.wait_state("green/db/blue-web", "active");
    let of = |name: &str| site.json(OPERATOR, &["show", &format!("blue/web/{name}")]);
    let before = poll("its rows are there", PATIENCE, || {
        let half = of("it");
        if half["rows"].as_array().is_some_and(|rows| !rows.is_empty()) {
            Ok(half)
        } else {
            Err(half.to_string())
        }
    });
    done(BLUE.uid, &["rename", "blue/web/it", "a/b %25"]);
    let path = "blue/web/a%2Fb %2525";
    let after = site.json(OPERATOR, &["show", path]);
    for key in ["rows", "since", "state", "target_network", "hosts"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(after["name"], "a/b %25");
    assert_eq!(site.ctl(OPERATOR, &["show", "blue", "web", "it"]).status.code(), Some(3));
    let settled = poll("nothing more is written", PATIENCE, || {
        let plan = site.ctl(OPERATOR, &["plan"]);
        if plan.status.success() { Ok(of("a%2Fb %2525")) } else { Err(text(&plan)) }
    });
    assert_eq!((&settled["since"], &settled["rows"]), (&before["since"], &before["rows"]));
    done(BLUE.uid, &["delete", "blue", "web", "a/b %25"]);
}

/// An appliance names the halves that it is between, so that such a half keeps its name as long as it has the entry.
#[test]
fn a_half_that_an_appliance_names_is_not_renamed() {
    let site = two("");
    let done = |command: &[&str]| {
        let output = site.ctl(GREEN.uid, command);
        assert!(output.status.success(), "{command:?}: {}", text(&output));
    };
    let entry = "appliances=[{ between = [\"to-web\", \"to-copy\"], address = [\"10.2.0.11\"] }]";
    done(&["create", "green/db/to-web", "blue/web", entry]);
    let before = stored(&site);
    for dry in [&["--dry-run"][..], &[]] {
        let refused = site.ctl(GREEN.uid, &[&["rename", "green/db/to-web", "web"], dry].concat());
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{}", text(&refused));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        for part in [
            "`between` does not name this half: 10.2.0.11 between to-copy, to-web",
            "before you rename it",
        ] {
            assert!(said.contains(part), "{said}");
        }
        assert_eq!(stored(&site), before);
    }
    done(&["unset", "green/db/to-web", "appliances"]);
    done(&["rename", "green/db/to-web", "web"]);
    done(&["set", "green/db/web", &entry.replace("to-web", "web")]);
}

/// Whatever is away: nothing is done, and each command says so.
#[test]
fn without_the_northbound_or_the_daemon_nothing_is_done_and_each_command_says_so() {
    let site = two("");
    let created = site.ctl(BLUE.uid, &["create", "blue/web/it", "green/db"]);
    assert!(created.status.success(), "{}", text(&created));
    let before = stored(&site);
    let writes: [&[&str]; 11] = [
        &["create", "blue/web/new", "green/db"],
        &["accept", "blue/web", "green/db"],
        &["reject", "blue/web", "red/office"],
        &["set", "blue/web/it", "description=new"],
        &["unset", "blue/web/it", "description"],
        &["enable", "blue/web/it"],
        &["disable", "blue/web/it"],
        &["renew", "blue/web/it"],
        &["rename", "blue/web/it", "other"],
        &["delete", "blue/web/it"],
        &["apply", "--project", "blue", "--file", "/dev/null"],
    ];
    let reads: [&[&str]; 6] = [
        &["get", "blue/web/it"],
        &["export", "--project", "blue"],
        &["requests"],
        &["networks"],
        &["projects"],
        &["whoami"],
    ];
    site.lab.databases().nb.stop();
    poll("the daemon knows that the northbound is away", PATIENCE, || {
        let attention = site.ctl(BLUE.uid, &["list"]);
        let away = text(&attention).contains("out of reach");
        if away { Ok(()) } else { Err(text(&attention)) }
    });
    for command in writes {
        let refused = site.ctl(BLUE.uid, command);
        assert_eq!(refused.status.code(), Some(1), "{command:?}: {}", text(&refused));
        assert!(refused.stdout.is_empty(), "{command:?}: {}", text(&refused));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        let of_file = command[0] == "apply";
        assert!(of_file || said.contains("the northbound is not connected"), "{command:?}: {said}");
    }
    for command in reads {
        let read = site.ctl(BLUE.uid, command);
        assert_eq!(read.status.code(), Some(0), "{command:?}: {}", text(&read));
    }
    site.start_northbound();
    poll("the northbound is read again", PATIENCE, || {
        let list = site.ctl(BLUE.uid, &["list"]);
        if text(&list).contains("out of reach") { Err(text(&list)) } else { Ok(()) }
    });
    assert_eq!(stored(&site), before);
    site.stop();
    for command in writes.iter().chain(&reads).filter(|command| command[0] != "apply") {
        let refused = site.ctl(BLUE.uid, command);
        assert_eq!(refused.status.code(), Some(4), "{command:?}: {}", text(&refused));
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty(), "{command:?}");
    }
    site.start();
    assert_eq!(stored(&site), before);
}
