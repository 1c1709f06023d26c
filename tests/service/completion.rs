//! Completion in real shells, with the scripts that the package installs and a real daemon behind them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::running::{Running, Start, directory, place};

/// The halves of a project, one of them with a name that a shell has to quote.
const HALVES: &str = r#"
project = "blue"
[[peering]]
name = "to-db"
network = "web"
target_project = "green"
target_network = "db"
[[peering]]
name = "to the 'lab': $HOME"
network = "web"
target_project = "red"
target_network = "lab"
"#;
/// As one word of a shell.
const QUOTED: &str = r"blue/web/to\ the\ \'lab\':\ \$HOME";

/// A shell completes a command line whose last word is at the cursor, and prints what it would insert.
struct Shell {
    name: &'static str,
    /// With the words as its arguments.
    script: &'static str,
}

const SHELLS: [Shell; 3] = [
    Shell {
        name: "bash",
        script: r#"
            source /usr/share/bash-completion/bash_completion
            source "$SCRIPTS/ovn-peerctl.bash"
            compopt() { echo "compopt $*"; }
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
            COMP_LINE=${COMP_LINE// = /=} COMP_POINT=${#COMP_LINE}
            _ovn_peerctl ovn-peerctl
            printf '%s\n' "${COMPREPLY[@]}""#,
    },
    Shell {
        name: "zsh",
        script: r#"
            words=("$@") CURRENT=$# PREFIX=${@[-1]}
            _call_program() { shift; eval "$@"; }
            _files() { echo files; }
            compadd() { print -lr -- "${(@q)candidates}"; }
            source "$SCRIPTS/_ovn-peerctl""#,
    },
    Shell {
        name: "fish",
        script: r#"
            source "$SCRIPTS/ovn-peerctl.fish"
            complete -C "$argv" | string replace -r '\t.*' ''"#,
    },
];

impl Shell {
    fn complete(&self, programs: &Path, words: &[&str]) -> BTreeSet<String> {
        let mut command = Command::new(self.name);
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        command.env("SCRIPTS", scripts).env("PATH", path).env("HOME", programs);
        command.current_dir(programs);
        match self.name {
            "bash" => command.args(["--norc", "-c", self.script, "bash"]),
            "zsh" => command.args(["-f", "-c", self.script, "zsh"]),
            _ => command.args(["--no-config", "-c", self.script]),
        };
        let output = command.args(words).output().unwrap();
        assert!(output.stderr.is_empty(), "{}: {words:?}: {output:?}", self.name);
        let printed = String::from_utf8(output.stdout).unwrap();
        printed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

/// A directory with an `ovn-peerctl` that asks this socket.
fn programs(root: &Path, socket: &Path) -> PathBuf {
    let programs = root.join("bin");
    fs::create_dir(&programs).unwrap();
    let program = programs.join("ovn-peerctl");
    let text = format!(
        "#!/bin/sh\nexec {} --socket {} \"$@\"\n",
        env!("CARGO_BIN_EXE_ovn-peerctl"),
        socket.display()
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    programs
}

fn of(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn shells_complete_commands_options_and_names() {
    let root = directory();
    place(root.path(), "peerings.d/b.toml", HALVES);
    let running = Running::ready(root, &Start::default());
    let programs = programs(running.path(), &running.socket());
    for shell in &SHELLS {
        let complete = |words: &[&str]| shell.complete(&programs, words);
        let name = shell.name;
        assert_eq!(complete(&["ovn-peerctl", "stat"]), of(&["status"]), "{name}");
        assert!(complete(&["ovn-peerctl", ""]).is_superset(&of(&["list", "show", "rm"])), "{name}");
        assert!(!complete(&["ovn-peerctl", ""]).contains("complete"), "{name}");
        assert_eq!(complete(&["ovn-peerctl", "host", "fo"]), of(&["forget"]), "{name}");
        assert_eq!(complete(&["ovn-peerctl", "list", "--deg"]), of(&["--degraded"]), "{name}");
        assert_eq!(complete(&["ovn-peerctl", "list", "--project", ""]), of(&["blue"]), "{name}");
        let json = complete(&["ovn-peerctl", "--format", "j"]);
        assert_eq!(json, of(&["json"]), "{name}");
        let states = complete(&["ovn-peerctl", "list", "--state", "failed,pending"]);
        assert_eq!(states, of(&["failed,pending-peer"]), "{name}");
        let networks = complete(&["ovn-peerctl", "create", "blue/web/new", ""]);
        assert_eq!(networks, of(&["blue/web", "green/db", "red/lab"]), "{name}");
        let halves = complete(&["ovn-peerctl", "delete", "blue/web/to-"]);
        assert_eq!(halves, of(&["blue/web/to-db"]), "{name}");
        assert_eq!(complete(&["ovn-peerctl", "delete", "yellow"]), of(&[]), "{name}");
        // The option's value stands in its own word, or nowhere.
        let halves = complete(&["ovn-peerctl", "delete", "--wait", "blue/web/to-"]);
        assert_eq!(halves, of(&["blue/web/to-db"]), "{name}");
        let keys = complete(&["ovn-peerctl", "unset", "blue/web/to-db", "max_"]);
        assert_eq!(keys, of(&["max_prefixes"]), "{name}");
        let settings = complete(&["ovn-peerctl", "create", "blue/web/new", "green/db", "ex"]);
        assert!(settings.contains("export="), "{name}: {settings:?}");
    }
    for shell in &SHELLS[..2] {
        let halves = shell.complete(&programs, &["ovn-peerctl", "delete", "blue/"]);
        assert_eq!(halves, of(&["blue/web/to-db", QUOTED]), "{}", shell.name);
    }
    // Bash reads `=` as a word of its own, and replaces only what stands behind it.
    let words = ["ovn-peerctl", "list", "--project", "=", "bl"];
    assert_eq!(SHELLS[0].complete(&programs, &words), of(&["blue"]));
    let files =
        SHELLS.map(|shell| shell.complete(&programs, &["ovn-peerctl", "plan", "--config", "ovn"]));
    assert!(files[0].contains("compopt -o default"), "{files:?}");
    assert_eq!(files[1], of(&["files"]));
    assert_eq!(files[2], of(&["ovn-peerctl"]));
}

/// A daemon that hangs, and one that is not there: no names, no error, and at once.
#[test]
fn a_daemon_that_does_not_answer_gives_no_names_quickly() {
    let root = directory();
    let socket = root.path().join("c.sock");
    let silent = UnixListener::bind(&socket).unwrap();
    let programs = programs(root.path(), &socket);
    let ask = |words: &[&str]| -> Output {
        let begin = Instant::now();
        let mut command = Command::new(programs.join("ovn-peerctl"));
        let output = command.args(["complete", "--"]).args(words).output().unwrap();
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        output
    };
    for _ in 0..2 {
        let output = ask(&["delete", ""]);
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        assert_eq!(
            ask(&["stat"]).stdout,
            b"status\tShow the daemon: its northbound, its counts, the errors of its files\n"
        );
        // The second round: nobody listens.
        let _ = fs::remove_file(&socket);
    }
    drop(silent);
}
