//! The network API under attack from many addresses: connections that say nothing or little, bodies without end, requests
//! without end, and wrong secrets. Operators at the control socket, and the event loop that answers them, do not notice.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use crate::api_site::{PEERING, Site, network};
use crate::http::read_answer;
use crate::running::wait_for;

/// How long it lasts.
const ATTACK: Duration = Duration::from_secs(8);
/// How long it lasts at the most, where so many connections take long.
const LONGEST: Duration = Duration::from_secs(150);
const CONNECTIONS: usize = 10_000;
/// What the daemon's memory may grow by.
const MOST_MEMORY: usize = 48 << 20;

/// Connects from an address of loopback that differs each time.
fn from_somewhere(to: SocketAddr) -> std::io::Result<TcpStream> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [_, a, b, c] = (NEXT.fetch_add(1, Ordering::Relaxed) * 7).to_be_bytes();
    let own = SocketAddrV4::new(Ipv4Addr::new(127, 1 + a % 60, b, 1 + c % 254), 0);
    let one = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&one, &own)?;
    connect(&one, &to)?;
    let stream = TcpStream::from(one);
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

/// The times of an operator's questions, each answered by the event loop, over one connection each.
fn operator(site: &Site, until: impl Fn(usize) -> bool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !until(times.len()) {
        let begun = Instant::now();
        let mut stream = UnixStream::connect(site.daemon.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(read_answer(&mut stream).unwrap().status, 200);
        times.push(begun.elapsed());
        thread::sleep(Duration::from_millis(2));
    }
    times.sort();
    times
}

fn percentile(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn memory(site: &Site) -> usize {
    let path = format!("/proc/{}/status", site.daemon.daemon.0.id());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    1024 * line.trim().trim_end_matches(" kB").parse::<usize>().unwrap()
}

#[test]
fn an_attack_on_the_network_api_is_not_noticed_at_the_control_socket() {
    let site = Site::start("");
    let (web, db) = (network("blue", "web"), network("green", "db"));
    let uuid = site.create("blue", "there", &web, &db);
    let quiet = operator(&site, |count| count >= 300);
    let before = memory(&site);

    let (to, over) = (site.http.address, AtomicBool::new(false));
    let [opened, wrong, heads, bodies, pipelined] = [const { AtomicUsize::new(0) }; 5];
    let goes = || !over.load(Ordering::Relaxed);
    // Attackers are elsewhere: here they only have the processor's time that is left over.
    let elsewhere = || _ = rustix::process::nice(19);
    let attacked = thread::scope(|scope| {
        // Ten thousand connections, hundreds at a time, that say nothing.
        scope.spawn(|| {
            elsewhere();
            let mut held = std::collections::VecDeque::new();
            while goes() && opened.load(Ordering::Relaxed) < CONNECTIONS {
                if let Ok(stream) = from_somewhere(to) {
                    held.push_back(stream);
                    opened.fetch_add(1, Ordering::Relaxed);
                }
                if held.len() > 600 {
                    held.pop_front();
                }
            }
        });
        // Heads that come byte by byte.
        scope.spawn(|| {
            elsewhere();
            let mut slow: Vec<TcpStream> = Vec::new();
            while goes() {
                slow.retain_mut(|stream| stream.write_all(b"x").is_ok());
                while slow.len() < 40 {
                    let Ok(mut stream) = from_somewhere(to) else { break };
                    if stream.write_all(b"GET / HTTP/1.1\r\nX: ").is_ok() {
                        heads.fetch_add(1, Ordering::Relaxed);
                        slow.push(stream);
                    }
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        // Bodies without end, of a token that is right.
        scope.spawn(|| {
            elsewhere();
            let head = format!(
                "POST {PEERING} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer blue\r\n\
                 Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            let chunk = format!("8000\r\n{}\r\n", " ".repeat(0x8000));
            while goes() {
                let Ok(mut stream) = from_somewhere(to) else { continue };
                if stream.write_all(head.as_bytes()).is_err() {
                    continue;
                }
                let sent = (0..256).take_while(|_| stream.write_all(chunk.as_bytes()).is_ok());
                bodies.fetch_add(sent.count(), Ordering::Relaxed);
            }
        });
        // Requests without end on one connection, whose answers nobody reads.
        scope.spawn(|| {
            elsewhere();
            let one =
                format!("GET {PEERING} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer blue\r\n\r\n");
            let many = one.repeat(100);
            while goes() {
                let Ok(mut stream) = from_somewhere(to) else { continue };
                let sent = (0..50).take_while(|_| stream.write_all(many.as_bytes()).is_ok());
                pipelined.fetch_add(100 * sent.count(), Ordering::Relaxed);
            }
        });
        // A hundred wrong secrets a second.
        scope.spawn(|| {
            elsewhere();
            while goes() {
                thread::sleep(Duration::from_millis(10));
                let Ok(mut stream) = from_somewhere(to) else { continue };
                let guess =
                    "GET /1.3/account HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guess\r\n\r\n";
                if stream.write_all(guess.as_bytes()).is_ok()
                    && stream.read(&mut [0; 1]).is_ok_and(|read| read > 0)
                {
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let begun = Instant::now();
        let times = operator(&site, |_| {
            let done = opened.load(Ordering::Relaxed) >= CONNECTIONS;
            begun.elapsed() >= ATTACK && done || begun.elapsed() >= LONGEST
        });
        over.store(true, Ordering::Relaxed);
        times
    });
    let grown = memory(&site).saturating_sub(before);
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{} connections, {} slow heads, {} chunks of 32 KiB, {} pipelined requests, {} wrong logins answered",
        count(&opened),
        count(&heads),
        count(&bodies),
        count(&pipelined),
        count(&wrong)
    );
    let shown = |times: &[Duration]| [50, 99, 100].map(|percent| percentile(times, percent));
    println!(
        "an operator's question, p50, p99, most: quiet {:?}, attacked {:?} ({} questions)",
        shown(&quiet),
        shown(&attacked),
        attacked.len()
    );
    println!("memory: {} KiB more at most, of {} KiB", grown >> 10, before >> 10);
    assert!(count(&opened) >= CONNECTIONS, "{} connections", count(&opened));
    assert!(grown < MOST_MEMORY, "{grown} bytes");
    // On a machine that others use, as much later as without an attack.
    let bound = Duration::from_millis(20).max(percentile(&quiet, 99) * 4);
    assert!(percentile(&attacked, 99) < bound, "{:?}", percentile(&attacked, 99));
    // It serves again, at once or once the slow ones have had their time.
    wait_for("an answer", || {
        let headers = [("Authorization", "Bearer blue")];
        let path = format!("{PEERING}/{uuid}");
        site.http.try_send("GET", &path, &headers, None).ok().filter(|answer| answer.status == 200)
    });
    assert!(!site.daemon.log().contains("panicked"));
}
