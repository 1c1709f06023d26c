//! A northbound that is restored from a backup (B9): no consent that a running host saw withdrawn comes back, and no packet
//! passes. Of several hosts that declare, one is gone.

use std::fs::File;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::hosts::{LIMIT, RATE, plans_nothing, raise};
use crate::lab::Lab;
use crate::lab::command::{poll, run_command};
use crate::lab::host::Host;
use crate::owned::link_rows;
use crate::tenants::{half, wait_all_active};

/// How the northbound is restored.
#[derive(Clone, Copy, Debug)]
enum Restore {
    /// The file is replaced, and the server restarted.
    File,
    /// `ovsdb-client restore`, under the running server.
    Client,
}

/// The northbound as it is now.
fn back_up(lab: &Lab) -> Vec<u8> {
    std::fs::read(lab.databases().nb_file()).expect("the database's file")
}

fn restore(lab: &Lab, backup: &[u8], how: Restore) {
    match how {
        Restore::File => {
            lab.databases().nb.stop();
            std::fs::write(lab.databases().nb_file(), backup).expect("the file is replaced");
            lab.databases().start_nb_again();
        }
        Restore::Client => {
            let file = lab.dir().join("backup.db");
            std::fs::write(&file, backup).expect("the backup is written");
            let mut command = Command::new("ovsdb-client");
            command.args(["restore", &lab.nb_remote(), "OVN_Northbound"]);
            command.stdin(File::open(file).expect("the backup is read"));
            run_command(command);
        }
    }
}

/// Waits until ovn-northd acts on what was restored. The one of OVN 26.03 may abort when all rows
/// have new UUIDs (an assertion in `ods_assign_array_index`). It is then started again, as by the
/// monitor process that ovn-ctl gives it.
fn northd_acts(lab: &Lab) {
    poll("ovn-northd acts on the northbound", LIMIT, || {
        let northd = lab.databases().northd();
        if northd.has_failed() {
            northd.kill9();
            northd.start_again();
        }
        let mut sync = Command::new("ovn-nbctl");
        sync.arg(format!("--db={}", lab.nb_remote())).args(["--timeout=2", "--wait=sb", "sync"]);
        let output = sync.output().expect("ovn-nbctl is installed");
        if output.status.success() { Ok(()) } else { Err(format!("{output:?}\n{}", northd.log())) }
    });
}

/// How long packets are watched: until the northbound is read, decided, written and acted on, and
/// longer than that takes where the backup is believed.
const WATCHED: Duration = Duration::from_secs(5);

/// B9: what a host had withdrawn is not back with a backup, though that host is gone: no packet passes.
#[test]
fn a_restored_northbound_revives_no_consent_that_a_running_host_saw_withdrawn() {
    let (lab, [a1, b1], [hv1, hv2]) = raise();
    let (blue, green) = (half("to-db", "web", "green/db"), half("to-web", "db", "blue/web"));
    hv2.declare("green", &green);
    hv1.wait_state("green", "db", "to-web", "pending-peer");
    hv1.wait_quiet();
    hv2.wait_quiet();
    let backup = back_up(&lab);
    hv2.withdraw("green");
    hv1.wait_until("green's half is gone", |halves| {
        if halves.is_empty() { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    hv2.kill9();
    hv1.wait_quiet();
    for (times, how) in [Restore::File, Restore::Client, Restore::File].into_iter().enumerate() {
        let stream = a1.stream(b1.v4(), RATE);
        restore(&lab, &backup, how);
        hv1.declare("blue", &blue);
        let told = |line: &str| hv1.log().matches(line).count();
        poll("what hv1 knows is restored", LIMIT, || {
            match told("the northbound contains what this host knows of other hosts again") {
                count if count > times => Ok(()),
                _ => Err(hv1.log()),
            }
        });
        assert_eq!(told("the northbound is older than known"), times + 1, "{}", hv1.log());
        northd_acts(&lab);
        hv1.wait_state("blue", "web", "to-db", "pending-peer");
        std::thread::sleep(WATCHED);
        let report = stream.finish();
        assert_eq!(report.received, 0, "{how:?}: {report:?}");
        assert_eq!(link_rows(&lab.dump()).len(), 0, "{how:?}");
        plans_nothing(&hv1);
        hv1.withdraw("blue");
        hv1.wait_quiet();
    }
    // The northbound contains what hv1 knew: a daemon without memory does not believe it either.
    hv1.kill9();
    hv1.declare("blue", &blue);
    hv1.start_again();
    hv1.wait_state("blue", "web", "to-db", "pending-peer");
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    // A daemon without memory that reads the backup believes it: so these packets would have been
    // answered, and soon enough to be seen.
    hv1.kill9();
    restore(&lab, &backup, Restore::File);
    let begin = Instant::now();
    hv1.start_again();
    northd_acts(&lab);
    wait_all_active(&hv1);
    a1.assert_reaches(&b1);
    let answered = begin.elapsed();
    println!("without memory, packets are answered after {answered:?}");
    assert!(answered < WATCHED, "{answered:?}");
    // The host returns without that half, and then declares it.
    hv2.start_again();
    hv1.wait_state("blue", "web", "to-db", "disconnected");
    lab.sync();
    Host::assert_all_isolated(&[(&a1, &b1), (&b1, &a1)]);
    hv2.declare("green", &green);
    wait_all_active(&hv1);
    a1.assert_reaches(&b1);
}

/// B9: a backup with the rows of a link that is gone: they are removed, and do not come back.
#[test]
fn a_link_that_a_backup_contains_ends_again() {
    let (lab, [a1, b1], [hv1, hv2]) = raise();
    hv1.declare("blue", &half("to-db", "web", "green/db"));
    hv2.declare("green", &half("to-web", "db", "blue/web"));
    wait_all_active(&hv1);
    wait_all_active(&hv2);
    a1.assert_reaches(&b1);
    hv1.wait_quiet();
    let backup = back_up(&lab);
    hv2.withdraw("green");
    hv1.wait_state("blue", "web", "to-db", "disconnected");
    hv2.kill9();
    hv1.wait_quiet();
    for how in [Restore::Client, Restore::File] {
        restore(&lab, &backup, how);
        poll("no row of a link is left", LIMIT, || match link_rows(&lab.dump()).len() {
            0 => Ok(()),
            left => Err(format!("{how:?}: {left} rows")),
        });
        northd_acts(&lab);
        lab.sync();
        let stream = a1.stream(b1.v4(), RATE);
        std::thread::sleep(WATCHED);
        let report = stream.finish();
        assert_eq!(report.received, 0, "{how:?}: {report:?}");
        hv1.wait_state("blue", "web", "to-db", "disconnected");
        plans_nothing(&hv1);
    }
}
