//! `edit`, as a person has it: in an editor on a terminal, and as a script has it: by standard input.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ovn_peerd::view::State;

use crate::running::{Northbound, Running, Start, directory, place, wait_for};

/// A bound network with a stored half, and one with a half in a file.
struct Session {
    running: Running,
    _northbound: Northbound,
}

fn session() -> Session {
    let directory = directory();
    let northbound = Northbound::start(directory.path());
    northbound.router("near", "0a:00:00:00:00:01", "10.1.0.1/24");
    let network = "[[network]]\nproject = \"blue\"\nname = \"web\"\nrouter = \"near\"\n";
    place(directory.path(), "networks.d/a.toml", network);
    let filed = "project = \"blue\"\n[[peering]]\nname = \"filed\"\nnetwork = \"web\"\n\
                 target_project = \"red\"\ntarget_network = \"lab\"\n";
    place(directory.path(), "peerings.d/blue.toml", filed);
    let running = Running::ready(directory, &Start::default());
    let session = Session { running, _northbound: northbound };
    let create = ["create", "blue/web/it", "green/db", "description=old"];
    wait_for("the northbound to be read", || {
        session.running.ctl(&create).status.success().then_some(())
    });
    session
}

impl Session {
    /// `edit` on a terminal, with an editor that runs the first script when it is opened first, and so on; the last of
    /// them again and again. What it was given each time is kept.
    fn edit(&self, arguments: &str, scripts: &[&str]) -> (String, Option<i32>, Vec<String>) {
        let dir = self.running.path().join("editor");
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).unwrap();
        for (number, script) in scripts.iter().enumerate() {
            fs::write(dir.join(format!("script{number}")), script).unwrap();
        }
        let editor = dir.join("editor");
        let text = format!(
            "#!/bin/bash\nset -eu\ncd {}\nfor file; do :; done\nopened=$(ls | grep -c ^text || :)\n\
             cp \"$file\" \"text$opened\"; echo \"$@\" >\"arguments\"\n\
             last={}\nsource \"./script$((opened < last ? opened : last))\"\n",
            dir.display(),
            scripts.len() - 1
        );
        fs::write(&editor, text).unwrap();
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        let command = format!(
            "exec {} --socket {} edit {arguments}",
            env!("CARGO_BIN_EXE_ovn-peerctl"),
            self.running.socket().display()
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
        script.env_remove("VISUAL").env("EDITOR", &editor).env("PEERCTL", peerctl());
        script.env("SOCKET", self.running.socket());
        let output = script.output().unwrap();
        let texts =
            (0..).map(|number| dir.join(format!("text{number}"))).take_while(|it| it.exists());
        let texts = texts.map(|path| fs::read_to_string(path).unwrap()).collect();
        (String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n"), output.status.code(), texts)
    }

    fn get(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.running.ctl(&[&["get"], arguments].concat());
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }
}

fn peerctl() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_ovn-peerctl")).to_owned()
}

/// S0.20, S0.21: opened again with its errors until it is right, as TOML and as YAML.
#[test]
fn a_half_is_edited_until_it_is_right() {
    let session = session();
    let wrong = "sed -i 's/old/new/; $a colour = \"red\"' \"$file\"";
    let right = "sed -i '/^colour/d' \"$file\"";
    let (said, code, texts) = session.edit("blue/web/it", &[wrong, right]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stored blue/web/it\npending-peer"), "{said}");
    assert_eq!(texts.len(), 2);
    assert!(texts[0].starts_with("#: Edit the half") && texts[0].contains("[[peering]]"));
    let noted = texts[1].lines().filter(|line| line.starts_with("#: "));
    assert!(noted.clone().any(|line| line.contains("colour")), "{}", texts[1]);
    assert!(texts[1].contains("description = \"new\""), "what was written is kept: {}", texts[1]);
    assert_eq!(session.get(&["blue/web/it", "description"]), "new\n");

    let (said, code, texts) = session.edit(
        "blue web it --yaml",
        &["sed -i 's/^description:.*/description: by yaml/; $a colour: red' \"$file\"", right],
    );
    assert_eq!((code, texts.len()), (Some(0), 2), "{said}");
    assert!(texts[0].contains("\ntarget_network: db\n"), "{}", texts[0]);
    assert!(texts[1].starts_with("#: ") && texts[1].contains("\ndescription: by yaml\n"));
    assert_eq!(session.get(&["blue/web/it", "description"]), "by yaml\n");

    let etag = session.get(&["blue/web/it", "--etag"]);
    let (said, code, _) = session.edit("blue/web/it", &["true"]);
    assert_eq!((code, said.trim()), (Some(0), "Nothing changes."));
    let (said, code, _) = session.edit("blue/web/it", &["exit 3"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("failed") && said.contains("Nothing is stored"), "{said}");
    // Whoever gives up has the text.
    let (said, code, texts) =
        session.edit("blue/web/it", &["sed -i 's/name = /nome = /' \"$file\"", "true"]);
    assert_eq!((code, texts.len()), (Some(1), 2), "{said}");
    assert!(said.contains("Your text was:") && said.contains("nome = \"it\""), "{said}");
    assert_eq!(session.get(&["blue/web/it", "--etag"]), etag);
    // Another name is a rename.
    let (said, code, _) =
        session.edit("blue/web/it", &["sed -i 's/^name = .*/name = \"new\"/' \"$file\""]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stored blue/web/new\ndeleted blue/web/it"), "{said}");
}

/// Somebody else changes the half while the editor is open: both texts are shown.
#[test]
fn what_has_changed_meanwhile_is_shown_beside_ones_own_text() {
    let session = session();
    let other = "\"$PEERCTL\" --socket \"$SOCKET\" set blue/web/it description=theirs >/dev/null\n\
                 sed -i 's/old/mine/' \"$file\"";
    let again = "sed -i 's/theirs/both/' \"$file\"";
    let (said, code, texts) = session.edit("blue/web/it", &[other, again]);
    assert_eq!(code, Some(0), "{said}");
    assert!(texts[1].contains("\ndescription = \"theirs\"\n"), "{}", texts[1]);
    assert!(texts[1].contains("\n#: description = \"mine\"\n"), "{}", texts[1]);
    assert_eq!(session.get(&["blue/web/it", "description"]), "both\n");
}

/// A half of a file is edited where it is, and the command waits until that is in effect.
#[test]
fn a_half_of_a_file_is_edited_in_its_file() {
    let session = session();
    let change = "sed -i 's/\"filed\"/\"filed\"\\ndescription = \"new\"/' \"$file\"";
    let (said, code, texts) = session.edit("blue/web/filed", &[change]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("blue/web/filed is kept in ") && said.contains("It is in effect."),
        "{said}"
    );
    assert!(texts[0].starts_with("project = "), "the file itself: {}", texts[0]);
    let arguments = fs::read_to_string(session.running.path().join("editor/arguments")).unwrap();
    assert!(arguments.starts_with("+3 ") && arguments.contains("blue.toml"), "{arguments}");
    assert_eq!(session.get(&["blue/web/filed", "description"]), "new\n");
    // A command does not change it, and says where it is.
    let refused = session.running.ctl(&["set", "blue/web/filed", "description=x"]);
    assert_eq!(refused.status.code(), Some(5));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("blue/web/filed is kept in a file, ") && said.contains("blue.toml:3, on"),
        "{said}"
    );
}

/// A half in a file of another host is refused before anybody writes anything, as a command is.
#[test]
fn a_half_of_another_hosts_file_is_refused_before_the_editor_opens() {
    let session = session();
    let there = directory();
    symlink(session.running.path().join("nb.sock"), there.path().join("nb.sock")).unwrap();
    let away = "project = \"blue\"\n[[peering]]\nname = \"away\"\nnetwork = \"web\"\n\
                target_project = \"red\"\ntarget_network = \"x\"\n";
    place(there.path(), "peerings.d/away.toml", away);
    let settings = "[daemon]\nhost = \"there\"\n";
    let _there = Running::ready(there, &Start { settings, ..Start::default() });
    wait_for("the other host's half", || {
        session.running.halves().into_iter().find(|half| half.name == "away")
    });
    let (said, code, texts) = session.edit("blue/web/away", &["sed -i 's/x/y/' \"$file\""]);
    assert_eq!((code, texts.len()), (Some(5), 0), "{said}");
    assert!(said.contains("blue/web/away is kept in a file, on there"), "{said}");
    let refusal = |arguments: &[&str]| {
        let output = session.running.ctl(&[&["--format", "json"], arguments].concat());
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let by_server = refusal(&["set", "blue/web/away", "description=x"]);
    assert_eq!(refusal(&["edit", "blue/web/away"]), by_server);
}

/// Without a terminal the text comes by standard input.
#[test]
fn a_script_edits_by_standard_input() {
    let session = session();
    let edit = |text: &str, arguments: &[&str]| {
        let path = session.running.path().join("input");
        fs::write(&path, text).unwrap();
        let mut command = Command::new(peerctl());
        command.arg("--socket").arg(session.running.socket()).args(["edit", "blue/web/it"]);
        command.args(arguments).stdin(fs::File::open(path).unwrap()).output().unwrap()
    };
    let text = session.get(&["blue/web/it"]);
    assert!(edit(&text.replace("old", "new"), &[]).status.success());
    assert_eq!(session.get(&["blue/web/it", "description"]), "new\n");
    let refused = edit(&text, &["--if-match", "0011223344556677"]);
    assert_eq!(refused.status.code(), Some(5), "{refused:?}");
    let refused = edit("project = \"blue\"\n", &[]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(edit(&text, &["--wait=pending-peer", "--timeout", "5s"]).status.success());
    wait_for("its state", || {
        session.running.halves().into_iter().find(|half| half.state == State::PendingPeer)
    });
    // What is not reached in time is told apart.
    let late = session.running.ctl(&["wait", "blue/web/it", "--for", "active", "--timeout", "0s"]);
    assert_eq!(late.status.code(), Some(6), "{late:?}");
}
