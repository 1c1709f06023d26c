//! What becomes of packets between two networks, and why: fields, not sentences.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Reason, State};

/// One end of a question: a network, and an address if the question is about one guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyEnd {
    /// The project.
    pub project: String,
    /// The network.
    pub network: String,
    /// The address; `None` for the whole network.
    pub address: Option<IpAddr>,
}

/// What is to be opened: a word, as users write it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Opens {
    /// Anything.
    #[default]
    Any,
    /// TCP, to a port or to any.
    Tcp(Option<u16>),
    /// UDP, likewise.
    Udp(Option<u16>),
    /// SCTP, likewise.
    Sctp(Option<u16>),
    /// The request of `ping`.
    Ping,
    /// Another protocol, by its number.
    Number(u8),
}

/// A text that is nothing to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write tcp:443, udp:53, sctp:9, tcp, udp, sctp, ping, any, or a number of a protocol")]
pub struct NothingToOpen;

impl FromStr for Opens {
    type Err = NothingToOpen;

    fn from_str(text: &str) -> Result<Self, NothingToOpen> {
        let (word, port) = match text.split_once([':', '/']) {
            Some((word, port)) => {
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                (word, Some(port.ok_or(NothingToOpen)?))
            }
            None => (text, None),
        };
        match (word, port) {
            ("tcp", port) => Ok(Self::Tcp(port)),
            ("udp", port) => Ok(Self::Udp(port)),
            ("sctp", port) => Ok(Self::Sctp(port)),
            ("ping" | "icmp", None) => Ok(Self::Ping),
            ("any", None) => Ok(Self::Any),
            (number, None) => match number.parse().map_err(|_| NothingToOpen)? {
                1 | 58 => Ok(Self::Ping),
                6 => Ok(Self::Tcp(None)),
                17 => Ok(Self::Udp(None)),
                132 => Ok(Self::Sctp(None)),
                other => Ok(Self::Number(other)),
            },
            (_, Some(_)) => Err(NothingToOpen),
        }
    }
}

impl fmt::Display for Opens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, port) = match self {
            Self::Any => ("any", None),
            Self::Ping => ("ping", None),
            Self::Tcp(port) => ("tcp", *port),
            Self::Udp(port) => ("udp", *port),
            Self::Sctp(port) => ("sctp", *port),
            Self::Number(number) => return number.fmt(f),
        };
        match port {
            Some(port) => write!(f, "{word}:{port}"),
            None => f.write_str(word),
        }
    }
}

impl TryFrom<String> for Opens {
    type Error = NothingToOpen;

    fn try_from(text: String) -> Result<Self, NothingToOpen> {
        text.parse()
    }
}

impl From<Opens> for String {
    fn from(opens: Opens) -> Self {
        opens.to_string()
    }
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyQuestion {
    /// Who opens.
    pub from: WhyEnd,
    /// To whom.
    pub to: WhyEnd,
    /// What.
    pub opens: Opens,
}

/// Whether packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Passes {
    /// They do.
    Yes,
    /// They do not.
    No,
    /// Some do, or it cannot be told: `reserves` says why.
    Unsure,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// Who opens.
    pub from: WhyEnd,
    /// To whom.
    pub to: WhyEnd,
    /// What.
    pub opens: Opens,
    /// Whether what is opened arrives, and its answer comes back.
    pub passes: Passes,
    /// The state of the half that decides.
    pub state: Option<State>,
    /// Why that half is not active.
    pub reason: Option<Reason>,
    /// What stops the packets first.
    pub stopped_by: Option<WhyStep>,
    /// What to do about it.
    pub next_step: Option<String>,
    /// The way there, in order.
    pub there: Vec<WhyStep>,
    /// The way back.
    pub back: Vec<WhyStep>,
    /// What makes the answer uncertain.
    pub reserves: Vec<WhyReserve>,
    /// What the packets of this answer look like to OVN; only for operators, and for two addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_ovn: Option<WhyInOvn>,
    /// What ovn-trace says; only if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<WhyTrace>,
}

/// One thing on the way, and what it means for the packets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyStep {
    /// Whether it lets them pass.
    pub passes: Passes,
    /// What it is.
    #[serde(flatten)]
    pub what: WhyFact,
}

/// Whose a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// Ours.
    OvnPeerd,
    /// Somebody else's.
    Others,
    /// The router's own network.
    Connected,
}

/// A thing on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum WhyFact {
    /// A half, and where it stands.
    Half {
        /// The half.
        half: String,
        /// Its state.
        state: State,
        /// Why it is not active.
        reason: Option<Reason>,
        /// The same with its details.
        explanation: Option<String>,
        /// What is wrong although it is up.
        degraded: Vec<String>,
    },
    /// A network has no half towards the other one.
    NoHalf {
        /// The network.
        network: String,
        /// The other one.
        target: String,
    },
    /// A network announces an address, and the other one takes it; or not.
    Crosses {
        /// The network.
        network: String,
        /// The other one.
        to: String,
        /// What was asked about.
        address: IpNet,
        /// The prefix that crosses and has it.
        prefix: Option<IpNet>,
        /// What crosses of the network, if no such prefix does.
        crossing: Vec<IpNet>,
        /// Why a prefix with the address does not cross, if that is known.
        because: Option<String>,
    },
    /// A load balancer gives the packets to a backend.
    Balancer {
        /// The virtual address.
        address: String,
        /// The backends.
        backends: Vec<String>,
        /// The network whose balancer it is, if it comes by the peering.
        of: Option<String>,
    },
    /// A list of a traffic filter.
    Filter {
        /// The half; `None` if only the side is told.
        half: Option<String>,
        /// The network whose list it is.
        network: String,
        /// `in` or `out`.
        list: String,
        /// The number of the entry that decides, from 1.
        entry: Option<usize>,
        /// What it says; `None` if no entry matches, which denies.
        rule: Option<String>,
        /// Whether it stands for the reply, which an entry that denies stops, too.
        of_reply: bool,
        /// Whether the operator's policy stands in for a list that the half does not have.
        by_policy: bool,
    },
    /// The route that a router chooses.
    Route {
        /// The network of the router, or the router.
        at: String,
        /// The prefix that matches, the longest.
        prefix: IpNet,
        /// Whether it matches the source.
        by_source: bool,
        /// The route table, if it is not the main one.
        table: Option<String>,
        /// The next hop.
        next_hop: Option<IpAddr>,
        /// Where it leads: a network, or a port.
        to: String,
        /// Whose it is.
        whose: Whose,
        /// The row; only for operators.
        row: Option<String>,
    },
    /// A router has no route to an address.
    NoRoute {
        /// The network of the router, or the router.
        at: String,
        /// The address.
        address: IpNet,
    },
    /// A router policy decides.
    Policy {
        /// The network of the router, or the router.
        at: String,
        /// Its priority.
        priority: i64,
        /// `allow`, `drop`, `reroute` or `jump`.
        action: String,
        /// Whose it is.
        whose: Whose,
        /// What it is for, if it is ours.
        means: Option<String>,
        /// The row; only for operators.
        row: Option<String>,
        /// Its match, if it is somebody else's.
        text: Option<String>,
    },
    /// A router gives the packets another source.
    Nat {
        /// The network of the router, or the router.
        at: String,
        /// `snat` or `dnat_and_snat`.
        kind: String,
        /// The sources.
        from: IpNet,
        /// The address that replaces them.
        to: IpAddr,
        /// The row; only for operators.
        row: Option<String>,
    },
    /// The packets pass a guest that forwards them.
    Appliance {
        /// The network of that guest.
        at: String,
        /// Its address.
        address: IpAddr,
    },
    /// The packets leave by an uplink.
    Gateway {
        /// The network with the uplink.
        at: String,
        /// The port; only for operators.
        port: Option<String>,
    },
    /// They arrive on the switches of a network.
    Arrives {
        /// The network of the router, or the router.
        at: String,
        /// The switches; only for operators.
        switches: Vec<String>,
        /// The guest that is to take them further.
        next_hop: Option<IpAddr>,
    },
    /// They are for a router itself.
    AtRouter {
        /// The network of the router, or the router.
        at: String,
    },
    /// They end without a row that says so.
    Ends {
        /// The network of the router, or the router.
        at: String,
        /// Why: `router-disabled`, `port`, `router-is-silent`, `own-source`, `guard`, `loop`,
        /// `discarded`, `elsewhere`, `no-rows`.
        why: String,
        /// The port or the row, if there is one.
        subject: Option<String>,
    },
}

/// Why an answer is uncertain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyReserve {
    /// One word: `match`, `several`, `part`, `chain`, `translated`, `too-many`, `learned`,
    /// `appliance`, `outside`, `shadowed`, `northd`, `northbound`, `next-hop`.
    pub code: String,
    /// The network of a router, or the router, where it is.
    pub at: Option<String>,
    /// The row; only for operators.
    pub row: Option<String>,
    /// What could not be read, or what is said of it.
    pub text: Option<String>,
}

/// The packets of an answer, as ovn-trace takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyInOvn {
    /// Where the opening enters.
    pub there: WhyFlow,
    /// Where the reply enters.
    pub back: WhyFlow,
    /// The routers that `at` names, by the name that OVN has for them.
    pub routers: Vec<WhyRouter>,
}

/// A router, as OVN and as users know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyRouter {
    /// The Logical_Router's name.
    pub router: String,
    /// Its network.
    pub network: String,
}

/// A packet as it enters OVN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyFlow {
    /// The UUIDs of the switches, of which one has the guest's port.
    pub switches: Vec<String>,
    /// The Ethernet address of the router's port there.
    pub router_mac: String,
    /// The router's port there.
    pub router_port: String,
    /// The source.
    pub source: IpAddr,
    /// The destination.
    pub destination: IpAddr,
    /// The policies that decide on this way: what each is for.
    pub policies: Vec<WhyStep>,
}

/// What ovn-trace says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyTrace {
    /// Of the opening.
    pub there: WhyTraced,
    /// Of the reply; `None` if the opening does not arrive.
    pub back: Option<WhyTraced>,
}

/// What ovn-trace says of one packet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyTraced {
    /// Whether it arrives at a port.
    pub arrives: bool,
    /// The ports where it arrives.
    pub ports: Vec<String>,
    /// The first drop.
    pub dropped: Option<WhyTracedRow>,
    /// The translations on its way.
    pub translated: Vec<WhyTracedRow>,
}

/// A row that ovn-trace has met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyTracedRow {
    /// `acl`, `policy`, `no-route`, `nat`, or `other`.
    pub kind: String,
    /// The switch or the router.
    pub at: String,
    /// The stage of the pipeline.
    pub stage: String,
    /// The row of the northbound: the first eight digits of its UUID.
    pub row: Option<String>,
    /// The match of the flow.
    pub text: Option<String>,
    /// The same in terms of peering, if it is ours.
    pub means: Option<Box<WhyStep>>,
}

/// What `verify` found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyView {
    /// Standing peerings that were looked at.
    pub peerings: usize,
    /// Packets that must pass and were followed.
    pub must_pass: usize,
    /// Packets that must not pass and were followed.
    pub must_not: usize,
    /// Those of them that cannot be told.
    pub unsure: usize,
    /// What should not be.
    pub found: Vec<VerifyFinding>,
    /// How much more there is.
    pub more: usize,
}

/// One thing that should not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyFinding {
    /// `row-missing`, `row-differs`, `row-surplus`, `does-not-pass`, `passes`.
    pub code: String,
    /// The peering, or the two networks: `blue/web - green/db`.
    pub between: String,
    /// The packet, if it is about one.
    pub packet: Option<String>,
    /// The row, if it is about one.
    pub row: Option<super::RowView>,
    /// What stops or passes it.
    pub by: Option<WhyStep>,
}
