//! A northbound that is there and does not take writes: read-only remotes, roles without a grant, a full disk. What is
//! refused is told with what to do about it, and done as soon as it can be.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};

use crate::ground::{DEADLINE, Ground, foreign, own, seed};
use crate::lab::command::{poll, require_root_and_tools, run};
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::lab::service::{Launch, Service};
use crate::server::{SCHEMA, Server};

pub(crate) const SB_SCHEMA: &str = "/usr/share/ovn/ovn-sb.ovsschema";

/// A server that listens besides where the southbound's `Connection` table says (there are such with `read_only` and `role`,
/// and they hold for every database of the server), and a daemon that comes that way.
struct Restricted {
    scope: Scope,
    server: Server,
}

impl Restricted {
    #[track_caller]
    fn start(schema: &Path, columns: &[&str]) -> Restricted {
        require_root_and_tools();
        let scope = Scope::new();
        let southbound = scope.dir().join("sb.db");
        run("ovsdb-tool", [Path::new("create"), &southbound, Path::new(SB_SCHEMA)]);
        let more = [
            "--remote=db:OVN_Southbound,SB_Global,connections".to_owned(),
            southbound.display().to_string(),
        ];
        let server = Server::prepare(scope.dir(), "nb", None, &more);
        run("ovsdb-tool", [Path::new("create"), &server.file(), schema]);
        server.start();
        seed(&server.remote());
        let restricted = Restricted { scope, server };
        restricted.sbctl(&["init"]);
        restricted.connection(columns);
        restricted
    }

    fn socket(&self) -> PathBuf {
        self.scope.dir().join("restricted.sock")
    }

    /// Adds the row, and waits until the server listens there.
    #[track_caller]
    fn connection(&self, columns: &[&str]) {
        let target = format!("target=\"punix:{}\"", self.socket().display());
        let mut words = vec!["--id=@c", "create", "Connection", &target];
        words.extend(columns);
        words.extend(["--", "set", "SB_Global", ".", "connections=@c"]);
        self.sbctl(&words);
        poll("the remote", DEADLINE, || fs::metadata(self.socket()).map_err(|e| e.to_string()));
    }

    /// Makes the row anew: a server keeps a listener as it was made.
    #[track_caller]
    fn again(&self, columns: &[&str]) {
        self.sbctl(&["del-connection"]);
        poll("nobody listens", DEADLINE, || match fs::metadata(self.socket()) {
            Ok(_) => Err("somebody does".to_owned()),
            Err(_) => Ok(()),
        });
        self.connection(columns);
    }

    fn sbctl(&self, words: &[&str]) {
        let database = format!("--db={}", self.server.remote());
        run("ovn-sbctl", [database.as_str()].into_iter().chain(words.iter().copied()));
    }

    fn daemon(&self) -> Ground {
        let settings = format!("remotes = [\"unix:{}\"]\n", self.socket().display());
        Ground::start(self.scope.dir(), &settings, None, &[(0, 1), (1, 2), (3, 4)])
    }
}

/// Waits until all halves are refused; gives one's explanation. Refused together, not one by one.
#[track_caller]
pub(crate) fn refused(ground: &Ground) -> String {
    let halves = ground.daemon.wait_until("every half is refused", |halves| {
        let all = halves.iter().all(|half| half["reason"] == "northbound-refused");
        if all && halves.len() == 2 * ground.pairs.len() {
            Ok(halves)
        } else {
            Err(format!("{halves:?}"))
        }
    });
    // What was refused together, and the counters of hosts.
    let counters = &ground.status().expect("the daemon answers")["counters"];
    assert!(counters["transactions"].as_u64().unwrap() < 3, "tried again and again: {counters}");
    let text = |half: &Value| half["explanation"].as_str().unwrap_or_default().to_owned();
    text(&halves[0])
}

#[test]
fn a_read_only_remote_is_named_as_such() {
    let restricted = Restricted::start(Path::new(SCHEMA), &["read_only=true"]);
    let before = Dump::read(&restricted.server.remote());
    let ground = restricted.daemon();
    let error = ground.error_with("without read_only");
    assert_eq!(ground.daemon.list().len(), 6);
    Dump::read(&restricted.server.remote()).assert_same_as(&before);
    restricted.again(&["read_only=false"]);
    let took = ground.converge(&restricted.server.remote(), "a grant");
    println!("{error}\nwritten {took:?} after the grant");
    assert_eq!(foreign(&Dump::read(&restricted.server.remote())), foreign(&before));
}

/// A backup server mirrors the active one and may only be read (ovsdb(7), "Active-Backup Database Service Model"): it is
/// left for the active one, and used once it is made that.
#[test]
fn a_backup_server_is_left_for_the_active_one() {
    require_root_and_tools();
    let scope = Scope::new();
    let active = Server::standalone(scope.dir(), &[]);
    seed(&active.remote());
    let backup = Server::prepare(
        scope.dir(),
        "backup",
        None,
        &[format!("--sync-from={}", active.remote()), "--active".to_owned()],
    );
    backup.create();
    backup.start();
    backup.appctl(&["ovsdb-server/connect-active-ovsdb-server"]);
    let settings = format!("remotes = {:?}\n", [backup.remote(), active.remote()]);
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1), (2, 3)]);
    ground.converge(&active.remote(), "the start");
    let before = own(&Dump::read(&active.remote()));
    poll("the backup has it all", DEADLINE, || {
        if own(&Dump::read(&backup.remote())) == before {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    });
    active.kill();
    ground.error_with("may only read");
    backup.appctl(&["ovsdb-server/disconnect-active-ovsdb-server"]);
    ground.toggle((1, 4));
    let took = ground.converge(&backup.remote(), "the backup made active");
    println!("written {took:?} after the backup was made active");
}

/// The two change places under a session: from OVS 3.3 on it goes on, and only a transaction tells that the server takes none
/// any more. Where all are backups that is what the operator reads.
#[test]
fn a_server_that_is_made_a_backup_under_a_session_is_left() {
    require_root_and_tools();
    let scope = Scope::new();
    let one = Server::standalone(scope.dir(), &[]);
    seed(&one.remote());
    let two = Server::prepare(
        scope.dir(),
        "two",
        None,
        &[format!("--sync-from={}", one.remote()), "--active".to_owned()],
    );
    two.create();
    two.start();
    let mirrors = |server: &Server, active: &Server| {
        let set = "ovsdb-server/set-active-ovsdb-server";
        server.appctl(&[set, &active.remote()]);
        server.appctl(&["ovsdb-server/connect-active-ovsdb-server"]);
        poll("it has what the active one has", DEADLINE, || {
            let rows = [server, active].map(|server| own(&Dump::read(&server.remote())));
            if rows[0] == rows[1] { Ok(()) } else { Err("not yet".to_owned()) }
        });
    };
    mirrors(&two, &one);
    let settings = format!("remotes = {:?}\n", [one.remote(), two.remote()]);
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1)]);
    ground.converge(&one.remote(), "the start");
    mirrors(&two, &one);
    two.appctl(&["ovsdb-server/disconnect-active-ovsdb-server"]);
    mirrors(&one, &two);
    ground.toggle((2, 3));
    ground.converge(&two.remote(), "the other one is active");
    assert_eq!(own(&Dump::read(&two.remote())).len(), own(&Dump::read(&one.remote())).len());

    // Each a backup of the other: nobody takes anything, which is said of all.
    mirrors(&two, &one);
    ground.toggle((4, 5));
    let error = ground.error_with("none of the 2 remotes takes a transaction");
    assert!(error.contains("a backup server has to be made the active one"), "{error}");
    std::thread::sleep(std::time::Duration::from_secs(3));
    let attempts = ground.daemon.log().matches("no connection to the northbound").count();
    assert!(attempts <= 8, "each cause once:\n{}", ground.daemon.log());
    two.appctl(&["ovsdb-server/disconnect-active-ovsdb-server"]);
    let took = ground.converge(&two.remote(), "one is active");
    println!("{error}\nwritten {took:?} after one was active");
}

/// The northbound's schema with the tables of roles, which only the southbound's has as yet.
pub(crate) fn with_roles(schema: &str, directory: &Path) -> PathBuf {
    let read = |path: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(path).expect("OVN's schemas")).expect("JSON")
    };
    let (mut schema, southbound) = (read(schema), read(SB_SCHEMA));
    for table in ["RBAC_Role", "RBAC_Permission"] {
        schema["tables"][table] = southbound["tables"][table].clone();
    }
    let path = directory.join("roles.ovsschema");
    fs::write(&path, schema.to_string()).expect("written");
    path
}

/// The northbound's schema has no roles as yet; with the southbound's tables for them it has.
#[test]
fn a_role_without_a_grant_is_reported_with_what_to_grant() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = with_roles(SCHEMA, directory.path());
    let restricted = Restricted::start(&path, &["role=peering"]);
    let role = json!(["OVN_Northbound", {"op": "insert", "table": "RBAC_Role", "row": {"name": "peering"}}]);
    let said = run("ovsdb-client", ["transact", &restricted.server.remote(), &role.to_string()]);
    assert!(!said.contains("error"), "{said}");
    let ground = restricted.daemon();
    let explanation = refused(&ground);
    for word in ["peering", "RBAC_Permission", "without a role"] {
        assert!(explanation.contains(word), "{explanation}");
    }
    // The other way out that is told: a remote without a role. The new session tries at once what was refused.
    restricted.again(&["role=\"\""]);
    let took = ground.converge(&restricted.server.remote(), "a remote without a role");
    println!("{explanation}\nwritten {took:?} after the remote was there");
}

/// A file system of one mebibyte in a mount namespace that only the server is in; it is reached by /proc/PID/root.
#[test]
fn a_full_disk_is_waited_for() {
    require_root_and_tools();
    let scope = Scope::new();
    let disk = scope.dir().join("disk");
    fs::create_dir(&disk).expect("a directory");
    let path = |name: &str| scope.dir().join(name).display().to_string();
    let script = format!(
        "mount -t tmpfs -o size=1m none {disk} && ovsdb-tool create {disk}/nb.db {SCHEMA} && \
         exec ovsdb-server -vconsole:info -vfile:off -vsyslog:off --remote=punix:{} --unixctl={} {disk}/nb.db",
        path("nb.sock"),
        path("nb.ctl"),
        disk = disk.display()
    );
    let launch = Launch::new("unshare", scope.dir()).args(["--mount", "sh", "-c", &script]);
    let server = Service::start("nb-server", launch);
    let remote = format!("unix:{}", path("nb.sock"));
    poll("the server listens", DEADLINE, || {
        fs::metadata(path("nb.sock")).map_err(|e| format!("{e}: {}", server.log()))
    });
    seed(&remote);
    let settings = format!("remotes = [{remote:?}]\n");
    let mut ground = Ground::start(scope.dir(), &settings, None, &[(0, 1)]);
    ground.converge(&remote, "the start");
    let before = foreign(&Dump::read(&remote));
    let ballast = format!("/proc/{}/root{}/ballast", server.pid(), disk.display());
    let mut file = fs::File::create(&ballast).expect("the server's own view");
    while file.write_all(&[0; 4096]).is_ok() {}
    // More than may be left in the last page.
    for pair in [(0, 2), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5)] {
        ground.toggle(pair);
    }
    let begin = Instant::now();
    poll("the daemon says why", DEADLINE, || {
        let log = ground.daemon.log();
        if log.contains("I/O error") { Ok(()) } else { Err(log) }
    });
    let log = ground.daemon.log();
    let line = log.lines().find(|line| line.contains("I/O error")).expect("a line").to_owned();
    assert!(line.contains("disk") && line.contains("WARN"), "{line}");
    let status = ground.status_that("it is in the status", |status| {
        status["northbound"]["refusal"]["times"].as_u64().is_some_and(|times| times > 2)
    });
    let refusal = &status["northbound"]["refusal"];
    assert!(refusal["error"].as_str().is_some_and(|error| error.contains("is the disk full?")));
    assert!(refusal["since"].is_string(), "{refusal}");
    assert_eq!(ground.daemon.log().matches("I/O error").count(), 1, "told once");
    poll("all files are read, and no half is lost", DEADLINE, || {
        let halves = ground.daemon.list();
        if halves.len() == 14 { Ok(()) } else { Err(format!("{halves:?}")) }
    });
    drop(file);
    fs::remove_file(&ballast).expect("room again");
    let took = ground.converge(&remote, "room on the disk");
    assert!(ground.status().expect("the daemon answers")["northbound"]["refusal"].is_null());
    println!(
        "{line}\nfull for {:?}; written {took:?} after there was room",
        begin.elapsed() - took
    );
    assert_eq!(foreign(&Dump::read(&remote)), before);
}
