//! What a person at a terminal sees of a real session: nothing is wider than the terminal, whatever
//! the names are, and nothing is cut where a program reads.

use std::process::Command;

use ovn_peerd::view::State;

use crate::running::{Northbound, Running, Start, directory, place, wait_for};

/// What `ovn-peerctl` prints on a terminal of that width, by a pseudoterminal of script(1).
fn on_terminal(running: &Running, columns: usize, arguments: &str) -> String {
    let script = format!(
        "stty cols {columns} rows 50; exec {} --socket {} {arguments}",
        env!("CARGO_BIN_EXE_ovn-peerctl"),
        running.socket().display()
    );
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &script, "/dev/null"]);
    let output = command.env("TERM", "xterm").env_remove("NO_COLOR").output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 2)), "{arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap().replace("\r\n", "\n")
}

/// The text without the colours in it.
fn without_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| all + part.split_once('m').unwrap().1)
}

/// A network with a name of 63 characters peers with one whose names are as long as they may be.
struct Session {
    running: Running,
    northbound: Northbound,
    half: [String; 3],
}

fn half(name: &str, network: &str, target: (&str, &str)) -> String {
    format!(
        "[[peering]]\nname = \"{name}\"\nnetwork = \"{network}\"\ntarget_project = \"{}\"\n\
         target_network = \"{}\"\n",
        target.0, target.1
    )
}

fn session() -> Session {
    let directory = directory();
    let northbound = Northbound::start(directory.path());
    northbound.router("near", "0a:00:00:00:00:01", "10.1.0.1/24");
    northbound.router("far", "0a:00:00:00:00:02", "10.2.0.1/24");
    northbound.router("same", "0a:00:00:00:00:03", "10.1.0.1/25");
    let (blue, web) = ("b".repeat(63), "w".repeat(63));
    let (green, db) = ("g".repeat(255), "é".repeat(255));
    let mut networks = String::new();
    for (project, name, router) in
        [(&*blue, &*web, "near"), (&green, &db, "far"), (&green, "same", "same")]
    {
        networks += &format!(
            "[[network]]\nproject = \"{project}\"\nname = \"{name}\"\nrouter = \"{router}\"\n"
        );
    }
    place(directory.path(), "networks.d/a.toml", &networks);
    let long = "n".repeat(255);
    let own = half(&long, &web, (&green, &db))
        + &half("overlaps", &web, (&green, "same"))
        + &half("waits", &web, ("red", "x"));
    place(directory.path(), "peerings.d/b.toml", &format!("project = \"{blue}\"\n{own}"));
    let other = half("back", &db, (&blue, &web)) + &half("back", "same", (&blue, &web));
    place(directory.path(), "peerings.d/g.toml", &format!("project = \"{green}\"\n{other}"));
    let running = Running::ready(directory, &Start::default());
    running.wait_for_state(&long, State::Active);
    running.wait_for_state("overlaps", State::Failed);
    running.wait_for_state("waits", State::PendingPeer);
    Session { running, northbound, half: [blue, web, long] }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let Session { running, northbound, half } = session();
    let show = format!("show {}", half.join(" "));
    let without_halves = running.path().join("empty/ovn-peerd.toml");
    for directory in ["networks.d", "peerings.d"] {
        std::fs::create_dir_all(running.path().join("empty").join(directory)).unwrap();
    }
    std::fs::write(&without_halves, "").unwrap();
    let plan = format!("plan --config {}", without_halves.display());
    let commands = ["list", "list --state failed", "status", "host list", &show, &plan];
    for columns in [80, 120] {
        for command in commands {
            let text = without_colours(&on_terminal(&running, columns, command));
            assert!(text.lines().count() > 1, "{command}: {text}");
            for line in text.lines() {
                let width = line.chars().count();
                assert!(width <= columns, "{command}: {width} of {columns} columns\n{text}");
            }
        }
    }
    let coloured = on_terminal(&running, 80, "list");
    let failed = "\u{1b}[31mfailed: conflict-subnet\u{1b}[0m";
    assert!(coloured.contains(failed), "the reason is whole: {coloured:?}");
    assert!(coloured.contains('…') && coloured.contains("5 halves: 2 active"), "{coloured}");
    assert!(!on_terminal(&running, 80, "list --color never").contains('\u{1b}'));

    // A program reads all of it, without colours.
    let piped = String::from_utf8(running.ctl(&["list"]).stdout).unwrap();
    assert!(!piped.contains('…') && !piped.contains('\u{1b}'), "{piped}");
    assert!(piped.contains(&half.join("/")), "{piped}");
    let mut forced = Command::new(env!("CARGO_BIN_EXE_ovn-peerctl"));
    forced.arg("--socket").arg(running.socket()).args(["list", "--color", "always"]);
    assert!(String::from_utf8(forced.output().unwrap().stdout).unwrap().contains(failed));

    // What is wrong appears below the list.
    place(running.path(), "peerings.d/c.toml", "nonsense");
    drop(northbound);
    wait_for("what needs attention", || {
        let text = without_colours(&on_terminal(&running, 80, "list"));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let needs =
            ["\nThe northbound has been out of reach since 20", "\nThe files have 1 error: "];
        needs.iter().all(|words| text.contains(words)).then_some(())
    });
}
