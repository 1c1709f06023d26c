//! Clients of the network API that read a thousand times a second, beside a full northbound: how long they wait, and that a
//! half is declared as fast as without them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, scope};
use std::time::{Duration, Instant};

use ovn_peerd::api::secret;
use serde_json::Value;

use super::daemon::Site;
use super::plan::{Plan, half_file, project};
use super::say;
use super::server::Server;
use super::statistics::median;
use super::table::{Table, time};
use super::wire::{Connection, Observer};

/// How often all clients together read in a second.
const RATE: u32 = 1000;
const CLIENTS: u32 = 10;
/// A declaration beside them, against one without them.
const AMONG_READERS: f64 = 1.2;
/// Between two declarations: both kinds begin on a quiet daemon.
const CALM: Duration = Duration::from_millis(30);
/// The name and the secret of the token.
const TOKEN: &str = "bench";

/// Measures all of it.
pub(crate) fn measure(plan: &Plan, full: &Path, dir: &Path, repetitions: usize, table: &mut Table) {
    say("readers of the network API");
    let server = Server::on_copy(dir, full);
    let site = Site::peered(&dir.join("site"), plan);
    let tenant = project(plan.probe(0).0);
    for k in 0..2 * repetitions {
        let (local, remote) = plan.probe(k);
        site.put(&format!("peerings.d/probe-b{k}.toml"), &half_file(remote, local));
    }
    let address = free_address();
    let daemon = site.start_with(&server.socket(), &settings(address, &tenant));
    daemon.settle(2 * plan.peerings.len(), &mut Connection::open(&server.socket()));
    let mut observer = Observer::new(&server.socket());
    let mut declare = |k: usize| {
        let (local, remote) = plan.probe(k);
        let file = format!("peerings.d/probe-a{k}.toml");
        site.lay(&file, &half_file(local, remote));
        thread::sleep(CALM);
        let begin = Instant::now();
        site.commit(&file);
        observer.rows(2);
        begin.elapsed()
    };
    let paths = paths(address);
    // The first ones are slower, in whichever order.
    let alone: Vec<Duration> = (0..repetitions).map(&mut declare).skip(repetitions / 5).collect();
    let (paths, done) = (&*paths, &AtomicBool::new(false));
    let (beside, waits, taken) = scope(|threads| {
        let begin = Instant::now();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| threads.spawn(move || read(address, paths, client, done)))
            .collect();
        let beside: Vec<Duration> =
            (repetitions..2 * repetitions).map(declare).skip(repetitions / 5).collect();
        done.store(true, Ordering::Release);
        let waits: Vec<Duration> =
            clients.into_iter().flat_map(|client| client.join().expect("it reads")).collect();
        (beside, waits, begin.elapsed())
    });
    daemon.stop();

    let (reads, first) = (waits.len() as f64 / taken.as_secs_f64(), time(median(&alone)));
    let work = format!("one half declared beside {reads:.0} reads of the API in a second");
    table.at_most(&work, time(median(&beside)), ("without readers", first), AMONG_READERS);
    let held = reads >= f64::from(RATE) * 0.95;
    table.limit("reads of the API in a second", format!("{reads:.0}"), ">= 950", held);
    let mut sorted = waits;
    sorted.sort_unstable();
    let late = sorted[sorted.len() * 99 / 100];
    let work = "a read of the API, the slowest of a hundred";
    table.stated(work, time(late), ("the middle one", time(median(&sorted))));
}

/// A port that nobody has now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("it is bound")
}

fn settings(address: SocketAddr, tenant: &str) -> String {
    let digest = secret::digest(TOKEN);
    format!(
        "[api]\nlisten = [\"{address}\"]\nrate = {{ per_second = 10000, burst = 10000 }}\n\
         [[token]]\nname = \"{TOKEN}\"\nproject = \"{tenant}\"\nsha256 = \"{digest}\"\n"
    )
}

/// What is read: lists, and single objects.
fn paths(address: SocketAddr) -> Vec<String> {
    let mut client = Client::new(address);
    let first = |answer: &Value, kind: &str, one: &str| {
        let uuid = answer[kind][one][0]["uuid"].as_str();
        uuid.unwrap_or_else(|| panic!("no {one} in {answer}")).to_owned()
    };
    let mut ask = |path: &str| serde_json::from_str::<Value>(&client.get(path)).expect("JSON");
    let peering = first(&ask("/1.3/network-peering"), "network_peerings", "network_peering");
    let network = first(&ask("/1.3/network"), "networks", "network");
    vec![
        format!("/1.3/network-peering/{peering}"),
        format!("/1.3/network/{network}"),
        "/1.3/network-peering?limit=10".to_owned(),
        "/1.3/account".to_owned(),
    ]
}

/// Reads at its share of the rate until it is enough; how long each answer took.
fn read(address: SocketAddr, paths: &[String], client: u32, done: &AtomicBool) -> Vec<Duration> {
    let pace = Duration::from_secs(1) * CLIENTS / RATE;
    let mut connection = Client::new(address);
    // Not all at the same moment.
    let mut next = Instant::now() + pace / CLIENTS * client;
    let mut waits = Vec::new();
    for path in paths.iter().cycle() {
        if done.load(Ordering::Acquire) {
            break;
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
        next += pace;
        let begin = Instant::now();
        connection.get(path);
        waits.push(begin.elapsed());
    }
    waits
}

/// A connection that stays open.
struct Client {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Client {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket has options");
        Self { stream, answer: vec![0; 1 << 20] }
    }

    /// The body of the answer, which must be 200.
    fn get(&mut self, path: &str) -> String {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        self.stream.write_all(request.as_bytes()).expect("it reads");
        let mut length = 0;
        loop {
            let read = self.stream.read(&mut self.answer[length..]).expect("it answers");
            assert!(read > 0, "the connection is closed");
            length += read;
            let text = String::from_utf8_lossy(&self.answer[..length]);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with("HTTP/1.1 200"), "{text}");
            let size = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let size: usize = size.and_then(|size| size.parse().ok()).expect("a length");
            if body.len() == size {
                return body.to_owned();
            }
        }
    }
}
