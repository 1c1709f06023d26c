//! A lab leaves nothing behind, however its test ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::scope;

/// Set for the process that is to be killed.
const VICTIM: &str = "LAB_VICTIM";

#[test]
fn a_panic_leaves_nothing() {
    let outcome = std::thread::spawn(|| {
        let lab = Lab::single_chassis();
        let network = lab.add_network("blue", &["10.1.0.0/24"]);
        lab.add_guest(&network, "b1", 0);
        std::panic::panic_any(lab.dir().to_owned());
    })
    .join();
    let panicked = outcome.expect_err("the test panicked");
    let dir = panicked.downcast::<std::path::PathBuf>().expect("with the lab's directory");
    assert_eq!(left_of(&dir), Vec::<String>::new());
}

#[test]
fn a_killed_test_leaves_nothing() {
    if std::env::var_os(VICTIM).is_some() {
        let lab = Lab::two_chassis_and_gateway();
        let network = lab.add_network("blue", &["10.1.0.0/24"]);
        let guest = lab.add_guest(&network, "b1", 0);
        let _stream = guest.stream(guest.v4(), 10);
        println!("victim {}", lab.dir().display());
        loop {
            std::thread::park();
        }
    }
    let mut victim = Command::new(std::env::current_exe().expect("this test's binary"))
        .args(["--exact", "leftovers::a_killed_test_leaves_nothing", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the victim starts");
    let lines = BufReader::new(victim.stdout.take().expect("stdout is piped")).lines();
    let said = lines
        .map_while(Result::ok)
        .find_map(|l| l.split_once("victim ").map(|(_, dir)| dir.to_owned()));
    victim.kill().expect("the victim can be killed");
    victim.wait().expect("the victim ends");
    let dir = said.expect("the victim built a lab");
    assert!(!left_of(Path::new(&dir)).is_empty(), "files and namespaces are still there");
    poll("the victim's processes end by themselves", Duration::from_secs(5), || {
        let running = processes_in(Path::new(&dir));
        if running.is_empty() { Ok(()) } else { Err(format!("{running:?}")) }
    });
    scope::sweep();
    assert_eq!(left_of(Path::new(&dir)), Vec::<String>::new());
}

/// A set that a NAT row exempts is held by it.
#[test]
fn a_northbound_is_emptied_whoever_holds_its_rows() {
    let lab = Lab::northbound_only();
    lab.nbctl_batch("lr-add a\nlr-nat-add a snat 192.0.2.1 10.0.0.0/24\nls-add b");
    let set = lab.nbctl(&["create", "Address_Set", "name=set"]);
    let row = lab.nbctl(&["--bare", "--columns=_uuid", "list", "NAT"]);
    lab.nbctl(&["set", "NAT", row.trim(), &format!("exempted_ext_ips={}", set.trim())]);
    for _ in 0..2 {
        lab.empty_northbound();
        let dump = lab.dump();
        for table in ["Logical_Router", "NAT", "Logical_Switch", "Address_Set"] {
            assert!(dump.table(table).is_empty(), "{table}");
        }
    }
}

/// What there still is of the lab with this directory.
fn left_of(dir: &Path) -> Vec<String> {
    let name = dir.file_name().expect("a lab's directory").to_string_lossy().into_owned();
    let names = |parent: &str| {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        entries.map(|e| e.path().display().to_string()).collect::<Vec<_>>()
    };
    let mut left: Vec<_> = [scope::NAMESPACES, "/tmp"].into_iter().flat_map(names).collect();
    left.retain(|path| path.contains(&format!("/{name}")));
    left.extend(processes_in(dir));
    left
}

fn processes_in(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let working_there = entries.filter(|process| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(dir))
    });
    working_there.map(|process| process.path().display().to_string()).collect()
}
