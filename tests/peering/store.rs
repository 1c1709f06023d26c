//! Declarations by command: stored in the northbound, written by any host, shared by all.

use std::collections::BTreeSet;
use std::process::Output;
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::host::Host;
use crate::owned::link_rows;
use crate::tenants::{BLUE, GREEN, half, wait_all_active, wait_synced};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Two networks with a guest each, bound by so many hosts.
pub(crate) fn raise<const N: usize>() -> (Lab, [Host; 2], [Daemon; N]) {
    let lab = Lab::single_chassis();
    let (a, b) = (lab.add_network("a", &[BLUE]), lab.add_network("b", &[GREEN]));
    let guests = [lab.add_guest(&a, "a1", 0), lab.add_guest(&b, "b1", 1)];
    lab.settle();
    let daemons = std::array::from_fn(|number| {
        let daemon = Daemon::prepare(&lab, &format!("hv{}", number + 1), "");
        daemon.bind_network("blue", "web", "a");
        daemon.bind_network("green", "db", "b");
        daemon.start_again();
        wait_synced(&daemon);
        daemon
    });
    (lab, guests, daemons)
}

/// Runs a command that must end with this exit code; gives what it wrote, errors last.
#[track_caller]
fn ctl(daemon: &Daemon, code: i32, args: &[&str]) -> String {
    let Output { status, stdout, stderr } = daemon.ctl(args);
    let text = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert_eq!(status.code(), Some(code), "{args:?}: {text}");
    text
}

/// The stored halves, as the northbound has them.
fn stored(lab: &Lab) -> BTreeSet<String> {
    let tags = lab.nbctl(&["--bare", "--columns=external_ids", "list", "Address_Set"]);
    let keys = tags.split_whitespace().filter_map(|word| {
        let (key, _) = word.split_once('=')?;
        key.trim_matches('"').strip_prefix("ovn-peerd-declared:@store:").map(str::to_owned)
    });
    keys.collect()
}

/// S1.11, S1.20, S3.8: asked at one host, answered at another, ended at a third.
#[test]
fn a_peering_is_made_and_ended_by_commands_at_any_host() {
    let (lab, [a1, b1], [hv1, hv2, hv3]) = raise();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    let text = ctl(&hv1, 0, &["create", "blue/web/to-db", "green/db", "description=web tier"]);
    assert!(text.contains("stored blue/web/to-db"), "{text}");
    assert!(text.contains("peer only with networks that you trust"), "{text}");
    hv3.wait_state("blue", "web", "to-db", "pending-peer");
    let text = ctl(&hv1, 5, &["create", "blue/web/to-db", "green/db"]);
    assert!(text.contains("there is a half blue/web/to-db already"), "{text}");
    let text = ctl(&hv2, 1, &["create", "blue/none/to-db", "green/db"]);
    assert!(text.contains("no host binds a network blue/none"), "{text}");
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    ctl(&hv2, 0, &["accept", "green/db", "blue/web"]);
    [&hv1, &hv2, &hv3].into_iter().for_each(wait_all_active);
    lab.sync();
    a1.assert_reaches(&b1);
    // The hosts that stored it are gone, and the next holder keeps it.
    hv1.kill9();
    hv2.kill9();
    hv3.restart();
    wait_synced(&hv3);
    wait_all_active(&hv3);
    a1.assert_reaches(&b1);
    // A file counts before the store, and what is in a file is not changed by a command.
    hv3.declare("green", &half("blue-web", "db", "blue/web"));
    poll("the file's half is in effect", LIMIT, || {
        let half = hv3.half("green", "db", "blue-web").ok_or("there is none")?;
        if half["hosts"] == serde_json::json!(["hv3"]) { Ok(()) } else { Err(half.to_string()) }
    });
    let text = ctl(&hv3, 5, &["create", "green/db/blue-web", "blue/web"]);
    assert!(
        text.contains("green/db/blue-web is kept in a file, ") && text.contains(", on hv3"),
        "{text}"
    );
    hv3.withdraw("green");
    poll("the stored half is in effect", LIMIT, || {
        let half = hv3.half("green", "db", "blue-web").ok_or("there is none")?;
        if half["hosts"] == serde_json::json!(["@store"]) { Ok(()) } else { Err(half.to_string()) }
    });
    wait_all_active(&hv3);
    ctl(&hv3, 0, &["delete", "green/db/blue-web"]);
    hv3.wait_state("blue", "web", "to-db", "disconnected");
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    assert_eq!(link_rows(&lab.dump()).len(), 0);
    ctl(&hv3, 0, &["reject", "green/db", "blue/web"]);
    hv3.wait_state("blue", "web", "to-db", "rejected");
    ctl(&hv3, 0, &["accept", "green/db", "blue/web", "again"]);
    wait_all_active(&hv3);
    assert_eq!(stored(&lab), BTreeSet::from(["to-db".to_owned(), "again".to_owned()]));
    // All or nothing, and nothing of a dry run.
    hv3.write("green.txt", "project = \"green\"\n");
    let file = hv3.dir().join("green.txt").display().to_string();
    let apply = ["apply", "--project", "green", "--file", &file];
    let text = ctl(&hv3, 0, &[&apply[..], &["--dry-run"]].concat());
    assert!(text.contains("would delete green/db/again"), "{text}");
    assert_eq!(stored(&lab).len(), 2);
    let text = ctl(&hv3, 0, &apply);
    assert!(text.contains("deleted green/db/again"), "{text}");
    hv3.wait_state("blue", "web", "to-db", "disconnected");
    assert_eq!(ctl(&hv3, 0, &apply), "Nothing changes.\n");
    // Without the northbound nothing is stored, and the command says so.
    lab.databases().nb.stop();
    poll("the northbound is away", LIMIT, || {
        let text = daemon_says(&hv3, &["delete", "blue/web/to-db"]);
        if text.contains("the northbound is not connected") { Ok(()) } else { Err(text) }
    });
    lab.databases().start_nb_again();
    wait_synced(&hv3);
    assert_eq!(stored(&lab), BTreeSet::from(["to-db".to_owned()]));
}

fn daemon_says(daemon: &Daemon, args: &[&str]) -> String {
    String::from_utf8_lossy(&daemon.ctl(args).stderr).into_owned()
}

/// What one writer knows of a name: whether it is stored, if that is known.
type Known = Option<bool>;

/// Three hosts store and delete at the same time, while one of them is killed again and again: what
/// was acknowledged is in the northbound, and nothing else.
#[test]
fn what_three_hosts_acknowledge_at_once_is_stored() {
    const ROUNDS: usize = 25;
    let (lab, _, daemons) = raise::<3>();
    let write = |writer: usize| -> Vec<(String, Known)> {
        let mut known: Vec<(String, Known)> =
            (0..4).map(|name| (format!("w{writer}-{name}"), Some(false))).collect();
        for round in 0..ROUNDS {
            let daemon = &daemons[writer];
            if writer == 2 && round % 6 == 5 {
                daemon.kill9();
                daemon.start_again();
                wait_synced(daemon);
            }
            let (name, is_stored) = &mut known[(round * 7 + writer) % 4];
            let half = format!("blue/web/{name}");
            let creates = *is_stored != Some(true);
            let output = if creates {
                daemon.ctl(&["create", &half, &format!("green/{name}")])
            } else {
                daemon.ctl(&["delete", &half])
            };
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            *is_stored = match output.status.code() {
                Some(0) => Some(creates),
                Some(5) => Some(true),
                Some(3) => Some(false),
                _ if text.contains("nothing was stored") => *is_stored,
                _ => panic!("{half}: {text}"),
            };
        }
        known
    };
    let known: Vec<(String, Known)> = std::thread::scope(|scope| {
        let writers = [0, 1, 2].map(|writer| scope.spawn(move || write(writer)));
        writers.into_iter().flat_map(|writer| writer.join().expect("a writer ends")).collect()
    });
    let expected: BTreeSet<String> = (known.iter())
        .filter(|(_, is_stored)| *is_stored == Some(true))
        .map(|(name, _)| name.clone())
        .collect();
    assert_eq!(stored(&lab), expected);
    for daemon in &daemons {
        poll("all hosts show the same", LIMIT, || {
            let halves = daemon.list();
            let shown = halves.iter().filter(|half| half["state"] != "deleted");
            let shown: BTreeSet<String> =
                shown.map(|half| half["name"].as_str().unwrap_or_default().to_owned()).collect();
            if shown == expected { Ok(()) } else { Err(format!("{shown:?}, not {expected:?}")) }
        });
    }
}
