//! The packets that a question is about: what is known of them.
//!
//! A field that the question leaves open has a range, so one value stands for many packets. A
//! question about a whole prefix is the same as one about an address.

use ipnet::IpNet;

use super::truth::Truth;

/// Numbers of protocols (IANA).
pub const ICMP: u8 = 1;
/// TCP.
pub const TCP: u8 = 6;
/// UDP.
pub const UDP: u8 = 17;
/// ICMP for IPv6.
pub const ICMP6: u8 = 58;
/// SCTP.
pub const SCTP: u8 = 132;

/// The bits of SYN and ACK in the flags of TCP (RFC 9293 section 3.1).
pub const SYN: u8 = 1 << 1;
/// See [`SYN`].
pub const ACK: u8 = 1 << 4;

/// The ports that hosts choose for what they open (IANA: 49152 on; Linux: 32768 to 60999).
pub const CHOSEN_PORTS: (u16, u16) = (32_768, 60_999);
/// All ports.
pub const ALL_PORTS: (u16, u16) = (1, u16::MAX);

/// The packets that a question is about; none of them is a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where they come from.
    pub source: IpNet,
    /// Where they go.
    pub destination: IpNet,
    /// The number of their protocol; `None` for any.
    pub protocol: Option<u8>,
    /// The lowest and the highest port from which they may come.
    pub from_ports: (u16, u16),
    /// The lowest and the highest port to which they may go.
    pub to_ports: (u16, u16),
    /// The flags of TCP, if it is TCP and they are known.
    pub flags: Option<u8>,
    /// The type of an ICMP message, if it is one and it is known.
    pub kind: Option<u8>,
}

/// The content of what a side opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Anything.
    Any,
    /// TCP to a port, or to any port.
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

impl Packet {
    /// The first packets of what is opened from one place to another.
    #[must_use]
    pub fn opening(source: IpNet, destination: IpNet, opening: Opening) -> Self {
        let is_v4 = matches!(source, IpNet::V4(_));
        let ports = |port: Option<u16>| port.map_or(ALL_PORTS, |port| (port, port));
        let any = Self {
            source,
            destination,
            protocol: None,
            from_ports: CHOSEN_PORTS,
            to_ports: ALL_PORTS,
            flags: None,
            kind: None,
        };
        match opening {
            Opening::Any => any,
            Opening::Tcp(port) => {
                Self { protocol: Some(TCP), to_ports: ports(port), flags: Some(SYN), ..any }
            }
            Opening::Udp(port) => Self { protocol: Some(UDP), to_ports: ports(port), ..any },
            Opening::Sctp(port) => Self { protocol: Some(SCTP), to_ports: ports(port), ..any },
            Opening::Ping => {
                let (protocol, kind) = if is_v4 { (ICMP, 8) } else { (ICMP6, 128) };
                Self { protocol: Some(protocol), kind: Some(kind), ..any }
            }
            Opening::Number(number) => Self { protocol: Some(number), ..any },
        }
    }

    /// The answer to it.
    #[must_use]
    pub fn reply(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            from_ports: self.to_ports,
            to_ports: self.from_ports,
            flags: self.flags.map(|_| SYN | ACK),
            kind: self.kind.map(|kind| if kind == 128 { 129 } else { 0 }),
            ..self.clone()
        }
    }

    /// Whether it is IPv4.
    #[must_use]
    pub fn is_v4(&self) -> bool {
        matches!(self.source, IpNet::V4(_))
    }

    /// Whether it has this protocol.
    #[must_use]
    pub fn has_protocol(&self, number: u8) -> Truth {
        self.protocol.map_or(Truth::Maybe, |protocol| (protocol == number).into())
    }
}

/// Whether a net is inside another one: `Maybe` if a part of it is.
#[must_use]
pub fn is_within(net: &IpNet, around: &IpNet) -> Truth {
    if around.contains(net) {
        Truth::Yes
    } else if net.contains(around) {
        Truth::Maybe
    } else {
        Truth::No
    }
}

/// Whether a range lies within another one, likewise.
#[must_use]
pub fn is_between((low, high): (u16, u16), (first, last): (u16, u16)) -> Truth {
    if first <= low && high <= last {
        Truth::Yes
    } else if high < first || last < low {
        Truth::No
    } else {
        Truth::Maybe
    }
}
