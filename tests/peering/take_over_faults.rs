//! A take-over that fails at any point leaves the old link or the new one, never neither and never both (B16): rows that somebody
//! changes meanwhile, a reply that is lost, a daemon that is killed.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::lab::Lab;
use crate::lab::command::poll;
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Dump;
use crate::owned::{foreign, link_rows};
use crate::take_over::{take_over, wait_in_the_way};
use crate::tenants::{Tenants, status, wait_synced};

/// A link of another tool, with a route on each side.
const THEIRS: &str = "lrp-add a hand-a 0a:00:00:00:02:01 169.254.7.1/30 peer=hand-b\n\
    lrp-add b hand-b 0a:00:00:00:02:02 169.254.7.2/30 peer=hand-a\n\
    lr-route-add a 10.2.0.0/24 169.254.7.2\nlr-route-add b 10.1.0.0/24 169.254.7.1";
/// The rows of that link: two ports and two routes.
const THEIR_ROWS: usize = 4;

/// What a proxy does to the bytes of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// A take-over waits; whatever else is asked passes.
    Held,
    /// They are lost.
    Lost,
}

/// The gates of both ways, and the connections.
#[derive(Default)]
struct Gates {
    state: Mutex<Ways>,
    moved: Condvar,
}

struct Ways {
    requests: Gate,
    replies: Gate,
    /// Whether a take-over waits.
    waits: bool,
    connections: Vec<UnixStream>,
}

impl Default for Ways {
    fn default() -> Self {
        Self { requests: Gate::Open, replies: Gate::Open, waits: false, connections: Vec::new() }
    }
}

/// Between the daemon and the northbound.
struct Proxy {
    path: PathBuf,
    gates: Arc<Gates>,
}

impl Proxy {
    fn before(server: &Path, directory: &Path) -> Self {
        let path = directory.join("between.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let gates = Arc::<Gates>::default();
        let (server, shared) = (server.to_owned(), Arc::clone(&gates));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&server)) else {
                    return;
                };
                for (from, to, is_request) in [(&client, &server, true), (&server, &client, false)]
                {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let gates = Arc::clone(&shared);
                    gates.with(|ways| ways.connections.push(from.try_clone().unwrap()));
                    thread::spawn(move || gates.pass(from, to, is_request));
                }
            }
        });
        Self { path, gates }
    }

    /// Waits until the transaction of a take-over is on its way, and held.
    #[track_caller]
    fn wait_held(&self) {
        poll("a take-over is sent", Duration::from_secs(10), || {
            if self.gates.with(|ways| ways.waits) { Ok(()) } else { Err("not yet".to_owned()) }
        });
    }

    fn set(&self, requests: Gate, replies: Gate) {
        self.gates.with(|ways| {
            (ways.requests, ways.replies, ways.waits) = (requests, replies, false);
        });
        self.gates.moved.notify_all();
    }

    /// Cuts all connections; what is held is lost. New ones are as any other.
    fn cut(&self) {
        self.gates.with(|ways| {
            ways.connections.drain(..).for_each(|it| drop(it.shutdown(std::net::Shutdown::Both)));
            (ways.requests, ways.replies) = (Gate::Lost, Gate::Lost);
        });
        self.gates.moved.notify_all();
    }
}

impl Gates {
    fn with<T>(&self, of: impl FnOnce(&mut Ways) -> T) -> T {
        of(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn pass(&self, mut from: UnixStream, mut to: UnixStream, is_request: bool) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut bytes) {
            let gate = |ways: &Ways| if is_request { ways.requests } else { ways.replies };
            let mut ways = self.state.lock().unwrap();
            // No other request names a port of the other tool.
            let is_take_over = bytes[..count].windows(6).any(|word| word == b"hand-a");
            if is_request && is_take_over && gate(&ways) == Gate::Held {
                ways.waits = true;
                ways = self.moved.wait_while(ways, |ways| gate(ways) == Gate::Held).unwrap();
            }
            if gate(&ways) == Gate::Lost {
                continue;
            }
            drop(ways);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

/// Blue and green, whose daemon reaches the northbound by a proxy, with another tool's link in the way of both halves.
fn proxied(lab: &Lab) -> (Tenants, Proxy) {
    let (a, b) = (lab.add_network("a", &["10.1.0.0/24"]), lab.add_network("b", &["10.2.0.0/24"]));
    let proxy = Proxy::before(&lab.nb_socket(), lab.dir());
    let remote = format!("remotes = [\"unix:{}\"]\n", proxy.path.display());
    let daemon = Daemon::prepare_for(lab.dir(), &remote, "hv1", None);
    daemon.bind_network("blue", "web", a.router());
    daemon.bind_network("green", "db", b.router());
    lab.nbctl_batch(THEIRS);
    daemon.start_again();
    let tenants = Tenants { a, b, daemon };
    tenants.both_declare();
    wait_in_the_way(&tenants);
    tenants.daemon.wait_quiet();
    (tenants, proxy)
}

/// How many rows of another tool's link are there, and how many of ours.
fn rows(dump: &Dump) -> (usize, usize) {
    let ports = dump.table("Logical_Router_Port").values();
    let ports = ports.filter(|row| row["name"].as_str().is_some_and(|it| it.starts_with("hand-")));
    let routes = dump.table("Logical_Router_Static_Route").values();
    let routes =
        routes.filter(|row| row["nexthop"].as_str().is_some_and(|it| it.starts_with("169.254.7.")));
    (ports.count() + routes.count(), link_rows(dump).len())
}

/// Whether it is the old link and nothing else, or the new one and nothing else.
#[track_caller]
fn is_new(dump: &Dump) -> bool {
    match rows(dump) {
        (THEIR_ROWS, 0) => false,
        // Two ports, two routes, three policies on each router.
        (0, 10) => true,
        (theirs, ours) => panic!("{theirs} rows of the other tool's link, {ours} of ours"),
    }
}

/// Runs `take-over` while something happens to the connection.
fn during(tenants: &Tenants, fault: impl FnOnce()) -> (Option<i32>, serde_json::Value) {
    thread::scope(|scope| {
        let command = scope.spawn(|| take_over(tenants, &["blue/web/to-db"]));
        fault();
        command.join().unwrap()
    })
}

#[test]
fn rows_that_change_meanwhile_make_it_refused_and_nothing_is_done() {
    let lab = Lab::databases_only();
    let (tenants, proxy) = proxied(&lab);
    let find_route =
        |router: &str| lab.nbctl(&["--bare", "get", "Logical_Router", router, "static_routes"]);
    // Of the port, of a route, a route more, and a route less.
    for (alter, undo) in [
        ("set Logical_Router_Port hand-a enabled=true", "clear Logical_Router_Port hand-a enabled"),
        (
            "set Logical_Router_Port hand-b external_ids:x=y",
            "clear Logical_Router_Port hand-b external_ids",
        ),
        ("lr-route-add a 10.77.0.0/16 10.1.0.77", "lr-route-del a 10.77.0.0/16"),
        ("lr-route-del b 10.1.0.0/24", "lr-route-add b 10.1.0.0/24 169.254.7.1"),
    ] {
        assert!(!find_route("a").is_empty());
        let failed = || status(&tenants.daemon)["counters"]["transactions_failed"].as_u64();
        let before = failed();
        proxy.set(Gate::Held, Gate::Open);
        let (code, said) = during(&tenants, || {
            proxy.wait_held();
            lab.nbctl_batch(alter);
            proxy.set(Gate::Open, Gate::Open);
        });
        assert_eq!(
            (code, &said["links"][0]["outcome"]),
            (Some(1), &"not-taken-over".into()),
            "{said}"
        );
        assert!(failed() > before, "the server has refused it");
        assert_eq!(link_rows(&lab.dump()).len(), 0, "{alter}");
        lab.nbctl_batch(undo);
        wait_in_the_way(&tenants);
        tenants.daemon.wait_quiet();
        assert!(!is_new(&lab.dump()));
        // Without another command nothing follows.
        assert_eq!(tenants.daemon.ctl(&["plan"]).status.code(), Some(0));
    }
    let (code, said) = take_over(&tenants, &["blue/web/to-db"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(is_new(&lab.dump()));
    let log = tenants.daemon.log();
    assert!(log.contains("take-over blue/web/to-db: refused: somebody has changed rows"), "{log}");
}

#[test]
fn a_lost_reply_is_settled_by_the_rows() {
    let lab = Lab::databases_only();
    let (tenants, proxy) = proxied(&lab);
    // Lost before the server has it.
    proxy.set(Gate::Held, Gate::Open);
    let (code, said) = during(&tenants, || {
        proxy.wait_held();
        proxy.cut();
        proxy.set(Gate::Open, Gate::Open);
    });
    assert_eq!((code, &said["links"][0]["outcome"]), (Some(1), &"not-taken-over".into()), "{said}");
    wait_in_the_way(&tenants);
    assert!(!is_new(&lab.dump()));
    // Lost after the server has done it.
    wait_synced(&tenants.daemon);
    tenants.daemon.wait_quiet();
    proxy.set(Gate::Open, Gate::Lost);
    let (code, said) = during(&tenants, || {
        poll("the server has done it", Duration::from_secs(10), || {
            if is_new(&lab.dump()) { Ok(()) } else { Err("not yet".to_owned()) }
        });
        proxy.cut();
        proxy.set(Gate::Open, Gate::Open);
    });
    assert_eq!((code, &said["links"][0]["outcome"]), (Some(0), &"taken-over".into()), "{said}");
    tenants.wait_active();
    assert!(is_new(&lab.dump()));
}

#[test]
fn killed_at_random_moments_it_is_the_old_link_or_the_new_one() {
    const TIMES: u32 = 40;
    let lab = Lab::databases_only();
    let tenants = Tenants::with_subnets(&lab, &["10.1.0.0/24"], &["10.2.0.0/24"]);
    tenants.hear_of(|| lab.nbctl_batch(THEIRS));
    tenants.both_declare();
    wait_in_the_way(&tenants);
    tenants.daemon.wait_quiet();
    let theirs = foreign(&lab);
    // How long it takes, with what the command itself takes.
    let start = Instant::now();
    assert_eq!(take_over(&tenants, &["--all"]).0, Some(0));
    let whole = start.elapsed();
    tenants.wait_active();
    back(&lab, &tenants);
    let mut done = 0;
    for n in 0..TIMES {
        // From the beginning until a while after the end.
        let moment = whole * (n * 7919 % TIMES) * 3 / (2 * TIMES);
        thread::scope(|scope| {
            let command = scope.spawn(|| tenants.daemon.ctl(&["take-over", "--all"]));
            thread::sleep(moment);
            tenants.daemon.kill9();
            drop(command.join());
        });
        // The server may still have to do what it was sent.
        lab.nbctl(&["show"]);
        let new = is_new(&lab.dump());
        done += u32::from(new);
        tenants.daemon.start_again();
        if new {
            tenants.wait_active();
            back(&lab, &tenants);
        }
        wait_in_the_way(&tenants);
        tenants.daemon.wait_quiet();
        assert!(!is_new(&lab.dump()), "a restart takes nothing over");
        assert_eq!(foreign(&lab).rows().count(), theirs.rows().count());
    }
    println!("{done} of {TIMES} were done; one takes {whole:?}");
    assert!((1..TIMES).contains(&done), "{done} of {TIMES} were done: the moments do not tell");
}

/// Back to the other tool's link: ours goes first.
#[track_caller]
fn back(lab: &Lab, tenants: &Tenants) {
    tenants.daemon.withdraw("blue");
    tenants.wait_green("disconnected");
    poll("our rows are gone", Duration::from_secs(10), || match link_rows(&lab.dump()).len() {
        0 => Ok(()),
        left => Err(format!("{left} rows are left")),
    });
    lab.nbctl_batch(THEIRS);
    tenants.blue_declares();
    wait_in_the_way(tenants);
    tenants.daemon.wait_quiet();
}
