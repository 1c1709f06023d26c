//! Changes of the store by three writers at three hosts, on a cluster whose leaders change and with daemons that are
//! killed: the northbound has what was acknowledged. And what is said amid an election.
//!
//! Each writer has a project of its own, and keeps all states in which its store may be: after an answer there is one,
//! after none there may be two.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::ground::{DEADLINE, seed};
use crate::lab::command::{poll, require_root_and_tools};
use crate::lab::daemon::Daemon;
use crate::lab::northbound::Dump;
use crate::lab::scope::Scope;
use crate::random::Random;

/// Halves and rejections of one writer: for each a text that no other has.
pub(crate) type Stored = BTreeMap<String, String>;

/// What a writer asks for: what it removes, and what it puts, in one.
#[derive(Clone, Debug, Default)]
struct Change {
    removes: BTreeSet<String>,
    puts: Stored,
    /// What it puts must be new.
    creates: bool,
    /// All else goes.
    replaces: bool,
}

const REJECTION: &str = "no-";

impl Change {
    fn random(random: &mut Random, number: usize) -> Change {
        let name = |random: &mut Random| format!("x{}", random.below(5));
        let rejection = |random: &mut Random| format!("{REJECTION}{}", random.below(3));
        let text = format!("edit {number}");
        let mut change = Change::default();
        match random.below(12) {
            0..=3 => {
                change.creates = true;
                change.puts.insert(name(random), text);
            }
            4..=5 => drop(change.puts.insert(name(random), text)),
            6..=7 => drop(change.removes.insert(name(random))),
            8 => {
                let (from, to) = (name(random), name(random));
                change.creates = true;
                if from != to {
                    change.removes.insert(from);
                }
                change.puts.insert(to, text);
            }
            9 => drop(change.puts.insert(rejection(random), String::new())),
            10 => drop(change.removes.insert(rejection(random))),
            _ => {
                change.replaces = true;
                for _ in 0..3 {
                    change.puts.insert(name(random), text.clone());
                }
                change.puts.insert(rejection(random), String::new());
            }
        }
        change
    }

    fn request(&self, project: &str) -> Value {
        let mut text = format!("project = \"{project}\"\n");
        for (name, put) in &self.puts {
            text += &match name.strip_prefix(REJECTION) {
                Some(from) => format!(
                    "[[rejection]]\nnetwork = \"n\"\nfrom_project = \"q{from}\"\nfrom_network = \"n\"\n"
                ),
                None => format!(
                    "[[peering]]\nname = \"{name}\"\nnetwork = \"n\"\ntarget_project = \"t-{name}\"\ntarget_network = \"n\"\ndescription = \"{put}\"\n"
                ),
            };
        }
        let of = |is_rejection: bool| {
            self.removes.iter().filter(move |name| name.starts_with(REJECTION) == is_rejection)
        };
        let unreject = of(true).map(|name| json!(["n", name.replace(REJECTION, "q"), "n"]));
        json!({
            "project": project,
            "declarations": text,
            "remove": of(false).map(|name| json!(["n", name])).collect::<Vec<_>>(),
            "unreject": unreject.collect::<Vec<_>>(),
            "create": self.creates,
            "replace": self.replaces,
        })
    }

    /// What it makes of a store; none where it is to be refused.
    fn applied(&self, to: &Stored) -> Option<Stored> {
        let is_half = |name: &&String| !name.starts_with(REJECTION);
        let exists = self.puts.keys().filter(is_half).any(|name| to.contains_key(name));
        let missing = self.removes.iter().filter(is_half).any(|name| !to.contains_key(name));
        if (self.creates && exists) || missing {
            return None;
        }
        let mut stored = to.clone();
        stored.retain(|name, _| !self.removes.contains(name) && !self.replaces);
        stored.extend(self.puts.clone());
        Some(stored)
    }
}

/// What a client learns.
#[derive(Debug)]
enum Answer {
    Done,
    /// By what is stored.
    Refused,
    /// For another reason; nothing was changed.
    Nothing(String),
    Unknown(String),
}

/// `POST /v1/store` as any program sends it.
fn post(socket: &Path, body: &Value) -> Answer {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return Answer::Nothing("the daemon is away".to_owned());
    };
    stream.set_read_timeout(Some(Duration::from_secs(70))).expect("a timeout");
    let body = body.to_string();
    let head = format!(
        "POST /v1/store HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut reply = String::new();
    let sent = stream.write_all((head + &body).as_bytes());
    let read = sent.and_then(|()| stream.read_to_string(&mut reply));
    let Some((head, body)) = reply.split_once("\r\n\r\n").filter(|_| read.is_ok()) else {
        return Answer::Unknown(format!("{read:?}: {reply}"));
    };
    if head.starts_with("HTTP/1.1 200") {
        return Answer::Done;
    }
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let code = body["error"]["code"].as_str().unwrap_or_default();
    match code {
        "exists" | "no-such-half" => Answer::Refused,
        "not-known" => Answer::Unknown(body.to_string()),
        "northbound-not-read"
        | "not-in-time"
        | "northbound-refused"
        | "northbound-read-only"
        | "busy" => Answer::Nothing(body.to_string()),
        _ => panic!("{head}\n{body}"),
    }
}

/// One writer's book.
struct Book {
    project: String,
    possible: BTreeSet<Stored>,
    done: usize,
    refused: usize,
    nothing: BTreeMap<String, usize>,
    unknown: usize,
}

impl Book {
    fn new(writer: usize) -> Book {
        Book {
            project: format!("p{writer}"),
            possible: BTreeSet::from([Stored::new()]),
            done: 0,
            refused: 0,
            nothing: BTreeMap::new(),
            unknown: 0,
        }
    }

    fn note(&mut self, change: &Change, answer: Answer) {
        let before = self.possible.clone();
        let applied = before.iter().filter_map(|stored| change.applied(stored));
        match answer {
            Answer::Done => {
                self.done += 1;
                self.possible = applied.collect();
            }
            Answer::Refused => {
                self.refused += 1;
                self.possible.retain(|stored| change.applied(stored).is_none());
            }
            Answer::Nothing(ref why) => {
                *self.nothing.entry(why.clone()).or_default() += 1;
                if why.contains("error") {
                    assert!(why.contains("nothing was stored"), "{why}");
                }
            }
            Answer::Unknown(ref why) => {
                self.unknown += 1;
                println!("{}: {why}", self.project);
                self.possible.extend(applied);
            }
        }
        assert!(!self.possible.is_empty(), "{change:?} on {before:?}: {answer:?}");
    }
}

/// What the northbound has of a project.
pub(crate) fn stored(dump: &Dump, project: &str) -> Stored {
    let mut stored = Stored::new();
    for row in dump.table("Address_Set").values() {
        let tags: BTreeMap<&str, &str> = row["external_ids"][1]
            .as_array()
            .expect("a map")
            .iter()
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)))
            .collect();
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let network = tags.get("ovn-peerd-network").map(|text| json(text));
        if network.is_none_or(|network| network["project"] != project) {
            continue;
        }
        for (key, text) in tags {
            if let Some(name) = key.strip_prefix("ovn-peerd-declared:@store:") {
                let text = json(text)["description"].as_str().unwrap_or_default().to_owned();
                stored.insert(name.to_owned(), text);
            } else if let Some(from) = key.strip_prefix("ovn-peerd-rejects:@store:q") {
                let from = from.trim_end_matches(":n");
                stored.insert(format!("{REJECTION}{from}"), String::new());
            }
        }
    }
    stored
}

pub(crate) fn daemons<const N: usize>(scope: &Scope, northbound: &str) -> [Daemon; N] {
    std::array::from_fn(|host| {
        let daemon = Daemon::prepare_for(scope.dir(), northbound, &format!("hv{host}"), None);
        for network in 0..3 {
            daemon.bind_network(&format!("p{network}"), "n", &format!("r{network}"));
        }
        daemon.start_again();
        wait_synced(&daemon);
        daemon
    })
}

fn wait_synced(daemon: &Daemon) {
    poll("the northbound is read", DEADLINE, || {
        let status = daemon.ctl(&["status", "--format", "json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        if status["northbound"]["synced"] == true { Ok(()) } else { Err(daemon.log()) }
    });
}

/// What happens meanwhile, after every so many edits: by turns a leader hands over, dies after it has sent what it is to
/// commit, dies at once, hangs, and a daemon is killed.
fn harm(cluster: &Cluster, daemons: &[Daemon; 3], round: usize) {
    let leader = cluster.leader();
    let server = &cluster.members[leader].server;
    match round % 5 {
        0 => drop(server.try_appctl(&["cluster/failure-test", "transfer-leadership"])),
        1 => {
            let crash = ["cluster/failure-test", "crash-after-sending-append-request"];
            drop(server.try_appctl(&crash));
            poll("the leader has crashed", DEADLINE, || {
                if server.service.is_running() { Err("not yet".to_owned()) } else { Ok(()) }
            });
            server.kill();
        }
        2 => server.kill(),
        3 => server.service.pause(),
        _ => {
            let daemon = &daemons[round % 3];
            daemon.kill9();
            daemon.start_again();
        }
    }
    if round % 5 < 4 {
        let gone = if round.is_multiple_of(5) { None } else { Some(leader) };
        cluster.leader_but(gone.as_slice());
    }
    match round % 5 {
        1 | 2 => server.start(),
        3 => server.service.resume(),
        _ => {}
    }
}

/// `STORE_EDITS` is how many edits there are, 150 if it is not given.
#[test]
fn what_three_writers_are_answered_while_leaders_change_is_what_is_stored() {
    const EVERY: usize = 30;
    require_root_and_tools();
    let edits = std::env::var("STORE_EDITS").ok().and_then(|edits| edits.parse().ok());
    let edits: usize = edits.unwrap_or(150);
    let scope = Scope::new();
    let cluster = Cluster::start(&scope);
    seed(&cluster.remotes());
    let daemons = daemons::<3>(&scope, &cluster.settings());
    let (asked, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let begin = Instant::now();
    let write = |writer: usize, mut random: Random| {
        let mut book = Book::new(writer);
        let daemon = &daemons[writer];
        loop {
            let number = asked.fetch_add(1, Ordering::Relaxed);
            if number >= edits {
                return book;
            }
            let change = Change::random(&mut random, number);
            let mut answer = post(&daemon.socket(), &change.request(&book.project));
            // What was not done is done once there is a leader again.
            let limit = Instant::now() + DEADLINE;
            while matches!(answer, Answer::Nothing(_)) && Instant::now() < limit {
                book.note(&change, answer);
                thread::sleep(Duration::from_millis(50));
                answer = post(&daemon.socket(), &change.request(&book.project));
            }
            book.note(&change, answer);
        }
    };
    let (books, rounds): (Vec<Book>, usize) = thread::scope(|scope| {
        let writers = [0, 1, 2].map(|writer| {
            let random = Random::seeded();
            let write = &write;
            scope.spawn(move || write(writer, random))
        });
        let (cluster, daemons, over, asked) = (&cluster, &daemons, &over, &asked);
        let harm = scope.spawn(move || {
            let mut rounds = 0;
            while !over.load(Ordering::Relaxed) {
                if asked.load(Ordering::Relaxed) / EVERY > rounds {
                    harm(cluster, daemons, rounds);
                    rounds += 1;
                }
                thread::sleep(Duration::from_millis(5));
            }
            rounds
        });
        let books = writers.map(|writer| writer.join());
        over.store(true, Ordering::Relaxed);
        let rounds = harm.join().expect("the harm ends");
        (books.into_iter().map(|book| book.expect("a writer ends")).collect(), rounds)
    });
    daemons.iter().for_each(wait_synced);
    let dump = Dump::read(&cluster.leading_remote());
    for book in &books {
        let found = stored(&dump, &book.project);
        println!(
            "{}: {} done, {} refused, {} unknown, {} states possible; nothing done: {:?}",
            book.project,
            book.done,
            book.refused,
            book.unknown,
            book.possible.len(),
            book.nothing
        );
        assert!(book.possible.contains(&found), "{found:?} is none of {:?}", book.possible);
    }
    let done: usize = books.iter().map(|book| book.done).sum();
    println!("{edits} edits, {done} done, {rounds} rounds of harm, {:?}", begin.elapsed());
    assert!(done * 3 > edits, "{done} of {edits}");
    let expected: BTreeSet<String> = (books.iter())
        .flat_map(|book| stored(&dump, &book.project).into_keys())
        .filter(|name| !name.starts_with(REJECTION))
        .collect();
    for daemon in &daemons {
        daemon.wait_until("all hosts show the same", |halves| {
            let names = halves.iter().filter(|half| half["state"] != "deleted");
            let names: BTreeSet<String> =
                names.filter_map(|half| half["name"].as_str().map(str::to_owned)).collect();
            if names == expected { Ok(()) } else { Err(format!("{names:?}, not {expected:?}")) }
        });
    }
}

/// The members that are left elect no leader until the one that was stopped goes on.
#[test]
fn a_change_amid_an_election_is_done_once_or_refused() {
    require_root_and_tools();
    let scope = Scope::new();
    let cluster = Cluster::start(&scope);
    seed(&cluster.remotes());
    let [daemon] = daemons(&scope, &cluster.settings());
    let mut book = Book::new(0);
    for turn in 0..3 {
        let leader = cluster.leader();
        let server = &cluster.members[leader].server;
        let name = format!("x{turn}");
        let puts = Stored::from([(name, format!("turn {turn}"))]);
        let change = Change { puts, creates: true, ..Change::default() };
        let answer = thread::scope(|scope| {
            let asked = scope.spawn(|| post(&daemon.socket(), &change.request("p0")));
            // At moments from before the request to after the answer.
            thread::sleep(Duration::from_millis(2 * turn));
            server.service.pause();
            cluster.leader_but(&[leader]);
            asked.join().expect("an answer")
        });
        println!("{answer:?}");
        book.note(&change, answer);
        server.service.resume();
        wait_synced(&daemon);
        let found = stored(&Dump::read(&cluster.leading_remote()), "p0");
        assert!(book.possible.contains(&found), "{found:?} is none of {:?}", book.possible);
    }
    assert_eq!(book.unknown, 0, "a reply that is lost is settled");
}
