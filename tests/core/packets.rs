//! A packet as it comes to the policies of a router.

use std::net::IpAddr;

pub const ICMP4: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP6: u8 = 58;
/// What OVN takes for the protocol of all fragments in IPv6 but the first.
pub const FRAGMENT6: u8 = 44;
pub const SCTP: u8 = 132;

/// Bits of the flags of TCP (RFC 9293 section 3.1).
pub const SYN: u8 = 1 << 1;
pub const RST: u8 = 1 << 2;
pub const ACK: u8 = 1 << 4;

/// Which part of a packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// The first fragment.
    First,
    /// A later fragment.
    Later,
}

/// What a packet says. A fragment has what its whole packet would say, which OVN does not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub inport: String,
    pub outport: String,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// The source's and the destination's.
    pub ports: [u16; 2],
    pub flags: u8,
    /// The type of an ICMP message.
    pub kind: u8,
    pub part: Part,
    /// OVN has turned it around at the port through which it would have left.
    pub turned_around: bool,
}

impl Packet {
    /// Of a protocol, from one address to another, with all else zero.
    pub fn new(protocol: u8, source: IpAddr, destination: IpAddr) -> Self {
        Self {
            inport: String::new(),
            outport: String::new(),
            source,
            destination,
            protocol,
            ports: [0; 2],
            flags: 0,
            kind: 0,
            part: Part::Whole,
            turned_around: false,
        }
    }

    pub fn is_v4(&self) -> bool {
        self.source.is_ipv4()
    }

    pub fn is_icmp4(&self) -> bool {
        self.is_v4() && self.protocol == ICMP4
    }

    pub fn is_icmp6(&self) -> bool {
        !self.is_v4() && self.protocol == ICMP6
    }

    pub fn is_icmp(&self) -> bool {
        self.is_icmp4() || self.is_icmp6()
    }

    /// The same in fragments.
    pub fn in_fragments(&self) -> Self {
        Self { part: Part::First, ..self.clone() }
    }

    pub fn is_fragment(&self) -> bool {
        self.part != Part::Whole
    }

    /// All parts that have to pass.
    pub fn parts(&self) -> Vec<Self> {
        let parts =
            if self.is_fragment() { &[Part::First, Part::Later][..] } else { &[Part::Whole] };
        parts.iter().map(|part| Self { part: *part, ..self.clone() }).collect()
    }
}
