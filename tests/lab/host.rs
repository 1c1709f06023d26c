//! A host that sends and receives: a guest of a network, or the one beyond the uplinks.
//!
//! Asserts follow one rule: *reachable* is tried again until a deadline, for OVN may still be at work; *isolated* is a
//! fixed number of packets, all lost, in each family that both hosts have.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::netns::{ip, run_inside};
use super::probe::{Capture, PingReport, Probe, TcpReport};

/// Until when an address must answer, on a slow and busy machine.
const REACH_LIMIT: Duration = Duration::from_secs(30);
/// How long the last echo reply may take on a busy machine.
const REPLY_PATIENCE: Duration = Duration::from_secs(1);
/// How long a TCP connection may take that is not to come about.
const NO_TCP_PATIENCE: Duration = Duration::from_secs(2);
/// The port, or the ICMP identifier, of forged packets.
const FORGED_PORT: &str = "4791";
/// How many lost echo requests count as unreachable: the first few could be lost to address resolution.
const LOST_IN_A_ROW: u32 = 5;

/// A network namespace with an interface `eth0` on the lab's OVN.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name; a guest's is that of its Logical_Switch_Port.
    pub name: String,
    /// Its addresses, one of a family.
    pub addresses: Vec<IpAddr>,
    /// Its interface's MAC address.
    pub mac: String,
    namespace: String,
}

/// How to ping.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    /// How many; 0 until the stream is finished.
    pub count: u32,
    /// Time between two.
    pub interval: Duration,
    /// Time to wait for replies after the last.
    pub patience: Duration,
    /// Hop limit; 0 is the system's own.
    pub ttl: u8,
    /// Bytes of payload after the ICMP header.
    pub size: u16,
    /// Forbids fragmentation, ignoring what is known of the path.
    pub dont_fragment: bool,
}

impl Default for Ping {
    fn default() -> Ping {
        Ping {
            count: 3,
            interval: Duration::from_millis(20),
            patience: REPLY_PATIENCE,
            ttl: 0,
            size: 56,
            dont_fragment: false,
        }
    }
}

/// What a forged packet is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forged {
    Udp,
    IcmpEcho,
}

impl Host {
    pub(super) fn new(name: &str, namespace: &str, mac: &str, addresses: Vec<IpAddr>) -> Host {
        Host {
            name: name.to_owned(),
            addresses,
            mac: mac.to_owned(),
            namespace: namespace.to_owned(),
        }
    }

    /// The network namespace that it is.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its IPv4 address.
    #[track_caller]
    pub fn v4(&self) -> IpAddr {
        self.addresses.iter().copied().find(IpAddr::is_ipv4).expect("the host has IPv4")
    }

    /// Its IPv6 address.
    #[track_caller]
    pub fn v6(&self) -> IpAddr {
        self.addresses.iter().copied().find(IpAddr::is_ipv6).expect("the host has IPv6")
    }

    /// Pings, and reports whatever happens.
    #[track_caller]
    pub fn ping(&self, to: IpAddr, how: Ping) -> PingReport {
        assert!(how.count > 0, "an endless ping is a stream");
        self.start_ping(to, how).report()
    }

    /// Pings at a steady rate until [`Stream::finish`].
    #[track_caller]
    pub fn stream(&self, to: IpAddr, per_second: u32) -> Stream {
        let interval = Duration::from_secs(1) / per_second;
        Stream(self.start_ping(to, Ping { count: 0, interval, ..Ping::default() }))
    }

    /// Asserts that the other host answers, in each family that both have, within a deadline.
    #[track_caller]
    pub fn assert_reaches(&self, other: &Host) {
        self.assert_reach_all(&self.common(other));
    }

    /// Asserts that each of these addresses answers within a deadline.
    #[track_caller]
    pub fn assert_reach_all(&self, addresses: &[IpAddr]) {
        for &address in addresses {
            let start = Instant::now();
            loop {
                let report = self.ping(address, Ping { count: 2, ..Ping::default() });
                if report.received == report.sent {
                    break;
                }
                let waited = start.elapsed();
                assert!(waited < REACH_LIMIT, "{} cannot reach {address}: {report:?}", self.name);
            }
        }
    }

    /// Asserts that the other host does not answer, in any family that both have.
    #[track_caller]
    pub fn assert_isolated_from(&self, other: &Host) {
        self.assert_reach_none(&self.common(other));
    }

    /// Asserts that none of these addresses answers.
    #[track_caller]
    pub fn assert_reach_none(&self, addresses: &[IpAddr]) {
        let how = Ping { count: LOST_IN_A_ROW, ..Ping::default() };
        let probes: Vec<_> =
            addresses.iter().map(|address| (address, self.start_ping(*address, how))).collect();
        for (address, probe) in probes {
            let report: PingReport = probe.report();
            assert_eq!(report.received, 0, "{} reaches {address}: {report:?}", self.name);
        }
    }

    /// Asserts that none of these pairs, from the first to the second, answers an echo request or opens a TCP connection
    /// in any family that both have; with one wait for all of them.
    #[track_caller]
    pub fn assert_all_isolated(pairs: &[(&Host, &Host)]) {
        let how = Ping { count: LOST_IN_A_ROW, ..Ping::default() };
        let mut probes = vec![];
        for (from, to) in pairs {
            let (port, serving) = to.serve();
            let start = |address: &IpAddr| {
                let ping = from.start_ping(*address, how);
                (*address, ping, from.start_tcp(*address, &port, NO_TCP_PATIENCE))
            };
            let of_both: Vec<_> = from.common(to).iter().map(start).collect();
            probes.push((from, of_both, serving));
        }
        for (from, of_both, _serving) in probes {
            for (address, ping, tcp) in of_both {
                let ping: PingReport = ping.report();
                assert_eq!(ping.received, 0, "{} reaches {address}: {ping:?}", from.name);
                let tcp: TcpReport = tcp.report();
                assert!(!tcp.ok, "TCP {} -> {address} works", from.name);
            }
        }
    }

    /// The routers on the way, by expiring hop limits, up to and with the target; `None` for a hop that stays silent.
    #[track_caller]
    pub fn trace(&self, to: IpAddr, max_hops: u8) -> Vec<Option<IpAddr>> {
        let mut hops = vec![];
        for ttl in 1..=max_hops {
            let patience = Duration::from_millis(300);
            let report = self.ping(to, Ping { count: 2, ttl, patience, ..Ping::default() });
            if report.received > 0 {
                hops.push(Some(to));
                break;
            }
            hops.push(report.errors.iter().find_map(|e| e.from.parse().ok()));
        }
        hops
    }

    /// Connects by TCP, in each family that both have, and has data echoed; asserts that it works.
    #[track_caller]
    pub fn assert_tcp(&self, server: &Host) {
        for report in self.tcp_echo(server, Duration::from_secs(10)) {
            assert!(report.ok, "TCP {} -> {}: {}", self.name, server.name, report.why);
        }
    }

    /// Asserts that no TCP connection comes about, in any family that both have.
    #[track_caller]
    pub fn assert_no_tcp(&self, server: &Host) {
        for report in self.tcp_echo(server, NO_TCP_PATIENCE) {
            assert!(!report.ok, "TCP {} -> {} works", self.name, server.name);
        }
    }

    /// One TCP connection for each family that both have, with 100 kB echoed.
    #[track_caller]
    pub fn tcp_echo(&self, server: &Host, patience: Duration) -> Vec<TcpReport> {
        let (port, _serving) = server.serve();
        let common = self.common(server);
        let probes: Vec<_> = common.iter().map(|to| self.start_tcp(*to, &port, patience)).collect();
        probes.into_iter().map(Probe::report).collect()
    }

    /// Megabits per second of one TCP connection to an address of `server` that carries `bytes`.
    #[track_caller]
    pub fn tcp_throughput(&self, server: &Host, to: IpAddr, bytes: u64) -> f64 {
        let (port, _serving) = server.serve();
        let args = ["tcp_bulk", &to.to_string(), &port, "10", &bytes.to_string()];
        let report: TcpReport = Probe::start(&self.namespace, &args).report();
        assert!(report.ok, "TCP {} -> {to}: {}", self.name, report.why);
        bytes as f64 * 8.0 / report.seconds / 1e6
    }

    /// Sends packets that claim to come from `source` to the address `to`, and watches for them at the host that has it.
    #[track_caller]
    pub fn forge(&self, what: Forged, source: IpAddr, to: IpAddr, target: &Host) -> Forgery {
        let (kind, filter) = match (what, source.is_ipv4()) {
            (Forged::Udp, _) => ("udp", "udp"),
            (Forged::IcmpEcho, true) => ("icmp", "icmp"),
            (Forged::IcmpEcho, false) => ("icmp", "icmp6"),
        };
        let capture = target.capture(&format!("{filter} and src {source} and dst {to}"));
        let args = ["forge", kind, &source.to_string(), &to.to_string(), FORGED_PORT, "5", "0.1"];
        Forgery { sending: Probe::start(&self.namespace, &args), capture }
    }

    /// Serves TCP at a port, in both families, as long as it is held.
    #[track_caller]
    pub fn serve_at(&self, port: u16) -> impl Drop {
        let mut serving = Probe::start(&self.namespace, &["serve", &port.to_string()]);
        serving.line();
        serving
    }

    /// Whether a TCP connection to a port comes about with IPv4.
    #[track_caller]
    pub fn connects(&self, server: &Host, port: u16) -> bool {
        let report: TcpReport =
            self.start_tcp(server.v4(), &port.to_string(), NO_TCP_PATIENCE).report();
        report.ok
    }

    /// Captures what passes its interface, both ways: a pcap-filter(7).
    #[track_caller]
    pub fn capture(&self, filter: &str) -> Capture {
        Capture::start(&self.namespace, "eth0", filter)
    }

    /// Runs lines of iproute2 commands here.
    #[track_caller]
    pub fn ip(&self, lines: &[String]) {
        ip(&self.namespace, lines);
    }

    /// Runs a program here; panics when it fails.
    #[track_caller]
    pub fn run(&self, program_and_args: &[&str]) -> String {
        run_inside(&self.namespace, program_and_args)
    }

    /// Starts a command of the script here.
    #[track_caller]
    pub(super) fn probe(&self, args: &[&str]) -> Probe {
        Probe::start(&self.namespace, args)
    }

    /// The other host's addresses in the families that both have.
    #[track_caller]
    fn common(&self, other: &Host) -> Vec<IpAddr> {
        let ours = |a: &&IpAddr| self.addresses.iter().any(|o| o.is_ipv4() == a.is_ipv4());
        let common: Vec<_> = other.addresses.iter().filter(ours).copied().collect();
        assert!(!common.is_empty(), "{} and {} share no family", self.name, other.name);
        common
    }

    #[track_caller]
    fn start_ping(&self, to: IpAddr, how: Ping) -> Probe {
        let args = [
            to.to_string(),
            how.count.to_string(),
            how.interval.as_secs_f64().to_string(),
            how.patience.as_secs_f64().to_string(),
            how.ttl.to_string(),
            how.size.to_string(),
            u8::from(how.dont_fragment).to_string(),
        ];
        let mut all = vec!["ping"];
        all.extend(args.iter().map(String::as_str));
        Probe::start(&self.namespace, &all)
    }

    #[track_caller]
    fn start_tcp(&self, to: IpAddr, port: &str, patience: Duration) -> Probe {
        let (to, patience) = (to.to_string(), patience.as_secs_f64().to_string());
        Probe::start(&self.namespace, &["tcp_echo", &to, port, &patience])
    }

    #[track_caller]
    fn serve(&self) -> (String, Probe) {
        let mut serving = Probe::start(&self.namespace, &["serve", "0"]);
        let said: serde_json::Value =
            serde_json::from_str(&serving.line()).expect("the server says where it listens");
        (said["listening"].to_string(), serving)
    }
}

/// Packets with a false source, on their way.
#[derive(Debug)]
pub struct Forgery {
    sending: Probe,
    capture: Capture,
}

impl Forgery {
    /// Whether any of the packets comes to its target within a second of the last one's sending.
    #[track_caller]
    pub fn arrives(self) -> bool {
        Forgery::which_arrive(vec![self])[0]
    }

    /// The same for many at once, with one wait for all of them.
    #[track_caller]
    pub fn which_arrive(all: Vec<Forgery>) -> Vec<bool> {
        let mut captures = vec![];
        for Forgery { sending, capture } in all {
            let _: serde_json::Value = sending.report();
            captures.push(capture);
        }
        let sent = Instant::now();
        let left = || REPLY_PATIENCE.saturating_sub(sent.elapsed());
        captures.iter().map(|capture| capture.sees_something(left())).collect()
    }
}

/// A ping at a steady rate in the background.
#[derive(Debug)]
pub struct Stream(Probe);

impl Stream {
    /// Stops sending, waits for late replies, and reports.
    #[track_caller]
    pub fn finish(self) -> PingReport {
        self.0.finish()
    }
}
