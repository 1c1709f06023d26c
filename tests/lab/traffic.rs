//! Packets of chosen shapes between hosts, and what becomes of them: for what traffic filters let pass.
//!
//! Invariants: whoever asks tells an answer from a refusal and from silence. What is asked at once is waited for once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::host::Host;
use super::probe::Probe;

/// How long somebody who asks waits for an answer that is to come, in seconds, on a slow and busy machine.
const PATIENCE: &str = "15";
/// The same for one that is not to come.
const LOST_PATIENCE: &str = "2";
/// How long a held connection may be silent before it counts as cut, in seconds.
const SILENCE: &str = "2";
/// How long one is held at the most, in seconds.
const HOLD_LIMIT: &str = "20";
/// How long the last packet of a flood may take, in seconds.
const QUIET: &str = "0.5";

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Answered,
    /// "Connection refused": a TCP RST, or an ICMP error about the port.
    Refused,
    /// Another ICMP error.
    Unreachable,
    /// Nothing came back.
    Lost,
}

#[derive(Debug, Deserialize)]
struct Report {
    outcome: Outcome,
}

/// Somebody who asks, and what is to come of it.
#[derive(Debug)]
pub struct Asked {
    what: String,
    probe: Probe,
    wanted: Outcome,
}

impl Asked {
    /// What comes of each, with one wait for all of them.
    #[track_caller]
    pub fn outcomes(all: impl IntoIterator<Item = Asked>) -> Vec<Outcome> {
        let all: Vec<Asked> = all.into_iter().collect();
        all.into_iter().map(|asked| asked.probe.report::<Report>().outcome).collect()
    }

    /// Asserts that what comes of each is what is wanted, with one wait for all of them.
    #[track_caller]
    pub fn assert_all(all: impl IntoIterator<Item = Asked>) {
        // All are asking before the first one is waited for.
        let all: Vec<Asked> = all.into_iter().collect();
        let wrong = all.into_iter().filter_map(|Asked { what, probe, wanted }| {
            let found = probe.report::<Report>().outcome;
            (found != wanted).then(|| format!("{what}: {found:?}, not {wanted:?}"))
        });
        let wrong: Vec<_> = wrong.collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// A TCP connection that is kept busy.
#[derive(Debug)]
pub struct Held(Probe);

/// What became of it.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct HeldReport {
    /// Whether nothing was echoed for two seconds.
    pub cut: bool,
    /// How many bytes were echoed.
    pub echoed: u64,
    /// When the last one was, in milliseconds since 1970.
    pub last_at: i64,
}

impl Held {
    /// Waits until it is cut, or for twenty seconds.
    #[track_caller]
    pub fn until_cut(self) -> HeldReport {
        self.0.report()
    }

    /// Lets it go.
    #[track_caller]
    pub fn finish(self) -> HeldReport {
        self.0.finish()
    }
}

/// Packets of one shape, for a flood. What the protocol has not is ignored.
#[derive(Clone, Debug, Serialize)]
pub struct Flow {
    /// Which one it is, in all floods of a test.
    pub number: u16,
    pub source: IpAddr,
    pub target: IpAddr,
    pub protocol: u8,
    /// The source's and the destination's.
    pub ports: [u16; 2],
    pub flags: u8,
    /// The type of an ICMP message.
    pub kind: u8,
}

/// Packets that are being sent.
#[derive(Debug)]
pub struct Flood(Probe);

/// Packets that are being watched for.
#[derive(Debug)]
pub struct Watch(Probe);

#[derive(Deserialize)]
struct Sent {
    number: u16,
    sent_at: Vec<[i64; 2]>,
}

#[derive(Deserialize)]
struct Arrived {
    number: u16,
    arrived: BTreeSet<usize>,
}

#[derive(Deserialize)]
struct FloodReport {
    flows: Vec<Sent>,
    failed: u32,
}

#[derive(Deserialize)]
struct WatchReport {
    flows: Vec<Arrived>,
    /// What the kernel had no room for.
    missed: u32,
}

impl Flood {
    /// Stops; tells between which two moments each packet of each flow was sent, in microseconds since 1970.
    #[track_caller]
    pub fn finish(self) -> BTreeMap<u16, Vec<[i64; 2]>> {
        let report: FloodReport = self.0.finish();
        assert_eq!(report.failed, 0, "the sender's own kernel refused packets");
        report.flows.into_iter().map(|flow| (flow.number, flow.sent_at)).collect()
    }
}

impl Watch {
    /// Stops once nothing comes any more; tells which packets of each flow have come.
    #[track_caller]
    pub fn finish(self) -> BTreeMap<u16, BTreeSet<usize>> {
        let report: WatchReport = self.0.finish();
        assert_eq!(report.missed, 0, "the watcher was too slow");
        report.flows.into_iter().map(|flow| (flow.number, flow.arrived)).collect()
    }
}

impl Host {
    /// Asks a TCP port, and has some bytes echoed; from a port of one's choice unless that is 0.
    #[track_caller]
    pub fn ask_tcp(&self, to: IpAddr, port: u16, from: u16, wanted: Outcome) -> Asked {
        self.outcome(
            &["ask_tcp", &to.to_string(), &port.to_string(), &from.to_string()],
            &[],
            wanted,
        )
    }

    /// Asks a UDP port for an echo, likewise.
    #[track_caller]
    pub fn ask_udp(&self, to: IpAddr, port: u16, from: u16, wanted: Outcome) -> Asked {
        self.ask_udp_with(to, port, from, 16, wanted)
    }

    /// The same with so many bytes, which may need fragments.
    #[track_caller]
    pub fn ask_udp_with(
        &self,
        to: IpAddr,
        port: u16,
        from: u16,
        size: u16,
        wanted: Outcome,
    ) -> Asked {
        let args = ["ask_udp", &to.to_string(), &port.to_string(), &from.to_string()];
        self.outcome(&args, &[&size.to_string()], wanted)
    }

    /// Asks for an echo of ICMP.
    #[track_caller]
    pub fn ask_echo(&self, to: IpAddr, wanted: Outcome) -> Asked {
        self.outcome(&["ask_echo", &to.to_string()], &[], wanted)
    }

    #[track_caller]
    fn outcome(&self, args: &[&str], more: &[&str], wanted: Outcome) -> Asked {
        let patience = if wanted == Outcome::Lost { LOST_PATIENCE } else { PATIENCE };
        let args = [args, &[patience], more].concat();
        let what = format!("{}: {}", self.name, args.join(" "));
        Asked { what, probe: self.probe(&args), wanted }
    }

    /// Echoes at ports of TCP and of UDP, in both families, as long as it is held.
    #[track_caller]
    pub fn serve_all(&self, tcp: &[u16], udp: &[u16]) -> Probe {
        let mut serving = self.probe(&["serve_all", &format!("{tcp:?}"), &format!("{udp:?}")]);
        serving.line();
        serving
    }

    /// Asks for TCP connections by SYNs in two fragments each, with one wait for all: which are answered.
    #[track_caller]
    pub fn are_answered_in_fragments(&self, asked: &[(IpAddr, u16)]) -> Vec<bool> {
        #[derive(Deserialize)]
        struct Answer {
            answered: bool,
        }
        let ask = |(to, port): &(IpAddr, u16)| {
            let own = if to.is_ipv4() { self.v4() } else { self.v6() };
            let (own, to, port) = (own.to_string(), to.to_string(), port.to_string());
            self.probe(&["fragmented_syn", &own, &to, &port, LOST_PATIENCE])
        };
        let probes: Vec<Probe> = asked.iter().map(ask).collect();
        probes.into_iter().map(|probe| probe.report::<Answer>().answered).collect()
    }

    /// Whether a SYN in two fragments is answered with IPv4.
    #[track_caller]
    pub fn is_answered_in_fragments(&self, server: &Host, port: u16) -> bool {
        self.are_answered_in_fragments(&[(server.v4(), port)])[0]
    }

    /// Opens a TCP connection to an echo server, and keeps it busy.
    #[track_caller]
    pub fn hold(&self, to: IpAddr, port: u16) -> Held {
        let args = ["hold", &to.to_string(), &port.to_string(), SILENCE, HOLD_LIMIT];
        let mut probe = self.probe(&args);
        probe.line();
        Held(probe)
    }

    /// Sends packets of these flows in turn, so many a second in all.
    #[track_caller]
    pub fn flood(&self, flows: &[Flow], rate: u32) -> Flood {
        let flows = serde_json::to_string(flows).expect("flows are JSON");
        let mut probe = self.probe(&["flood", &flows, &rate.to_string()]);
        probe.line();
        Flood(probe)
    }

    /// Watches for packets of these flows of floods, which are to this host.
    #[track_caller]
    pub fn watch(&self, flows: &[Flow]) -> Watch {
        let numbers: Vec<u16> = flows.iter().map(|flow| flow.number).collect();
        let mut probe = self.probe(&["watch", &format!("{numbers:?}"), QUIET]);
        probe.line();
        Watch(probe)
    }
}
