//! Protocols, ports and ICMP types of an entry.

use std::fmt;

/// What an entry says of a packet besides its addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Every packet.
    #[default]
    Any,
    /// TCP to these ports of the side that is opened to.
    Tcp(Ports),
    /// UDP, likewise.
    Udp(Ports),
    /// SCTP, likewise.
    Sctp(Ports),
    /// ICMP in IPv4 and ICMPv6 in IPv6, of these types; of all if there are none.
    Icmp(Box<[IcmpType]>),
    /// Another protocol, by its number in the IP header.
    Number(u8),
}

/// Ranges of ports: sorted, each with its last port, neither overlapping nor touching. Never port
/// 0: to OVN every fragment has that one. None at all means every port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports(Box<[(u16, u16)]>);

/// An ICMP message that asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IcmpType {
    /// The request of `ping`.
    EchoRequest,
    /// It has no counterpart in ICMPv6.
    TimestampRequest,
}

impl Protocol {
    /// The protocol with this number; `None` for ICMP, which has two, and for extension headers of
    /// IPv6, after which the protocol follows. OVN sees the one of fragments in their place.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        match number {
            0 | 1 | 43 | 44 | 51 | 58 | 60 => None,
            6 => Some(Self::Tcp(Ports::default())),
            17 => Some(Self::Udp(Ports::default())),
            132 => Some(Self::Sctp(Ports::default())),
            other => Some(Self::Number(other)),
        }
    }

    /// What both match; `None` if there is no such packet.
    pub(super) fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, only) | (only, Self::Any) => Some(only.clone()),
            (Self::Tcp(one), Self::Tcp(other)) => one.and(other).map(Self::Tcp),
            (Self::Udp(one), Self::Udp(other)) => one.and(other).map(Self::Udp),
            (Self::Sctp(one), Self::Sctp(other)) => one.and(other).map(Self::Sctp),
            (Self::Icmp(all), Self::Icmp(types)) | (Self::Icmp(types), Self::Icmp(all))
                if all.is_empty() =>
            {
                Some(Self::Icmp(types.clone()))
            }
            (Self::Icmp(one), Self::Icmp(other)) => {
                let both: Box<[_]> = one.iter().filter(|it| other.contains(it)).copied().collect();
                (!both.is_empty()).then_some(Self::Icmp(both))
            }
            (Self::Number(one), Self::Number(other)) if one == other => Some(Self::Number(*one)),
            (Self::Tcp(_) | Self::Udp(_) | Self::Sctp(_) | Self::Icmp(_) | Self::Number(_), _) => {
                None
            }
        }
    }

    /// What one or the other matches; `None` if they differ in more than ports or types.
    pub(super) fn or(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Tcp(one), Self::Tcp(other)) => Some(Self::Tcp(one.or(other))),
            (Self::Udp(one), Self::Udp(other)) => Some(Self::Udp(one.or(other))),
            (Self::Sctp(one), Self::Sctp(other)) => Some(Self::Sctp(one.or(other))),
            (Self::Icmp(one), Self::Icmp(other)) if one.is_empty() || other.is_empty() => {
                Some(Self::icmp(Vec::new()))
            }
            (Self::Icmp(one), Self::Icmp(other)) => Some(Self::icmp([&**one, other].concat())),
            (one, other) => (one == other).then(|| one.clone()),
        }
    }

    /// Whether it matches every packet that the other one matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Tcp(one), Self::Tcp(other))
            | (Self::Udp(one), Self::Udp(other))
            | (Self::Sctp(one), Self::Sctp(other)) => one.covers(other),
            (Self::Icmp(one), Self::Icmp(other)) => {
                one.is_empty()
                    || !other.is_empty() && other.iter().all(|message| one.contains(message))
            }
            (Self::Number(one), Self::Number(other)) => one == other,
            (Self::Tcp(_) | Self::Udp(_) | Self::Sctp(_) | Self::Icmp(_) | Self::Number(_), _) => {
                false
            }
        }
    }

    /// The protocol with every port and type.
    pub(super) fn whole(&self) -> Self {
        match self {
            Self::Tcp(_) => Self::Tcp(Ports::default()),
            Self::Udp(_) => Self::Udp(Ports::default()),
            Self::Sctp(_) => Self::Sctp(Ports::default()),
            Self::Icmp(_) => Self::icmp(Vec::new()),
            Self::Any | Self::Number(_) => self.clone(),
        }
    }

    /// Whether it matches requests of `ping`.
    pub(super) fn has_echo(&self) -> bool {
        self.covers(&Self::Icmp([IcmpType::EchoRequest].into()))
    }

    /// Whether it has such packets in IPv6.
    pub(super) fn is_in_ip6(&self) -> bool {
        match self {
            Self::Icmp(types) => {
                types.is_empty() || types.iter().any(|message| message.request(true).is_some())
            }
            Self::Any | Self::Tcp(_) | Self::Udp(_) | Self::Sctp(_) | Self::Number(_) => true,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Tcp(ports) => write!(f, "tcp{ports}"),
            Self::Udp(ports) => write!(f, "udp{ports}"),
            Self::Sctp(ports) => write!(f, "sctp{ports}"),
            Self::Icmp(types) => {
                f.write_str("icmp")?;
                for (at, message) in types.iter().enumerate() {
                    write!(f, "{}{}", if at == 0 { " " } else { "," }, message.as_str())?;
                }
                Ok(())
            }
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

impl Protocol {
    /// Reads its form: a word or a number, and the ports or types.
    pub(super) fn parse(word: &str, list: Option<&str>) -> Option<Self> {
        let ports = || list.map_or(Some(Ports::default()), Ports::parse);
        match word {
            "tcp" => ports().map(Self::Tcp),
            "udp" => ports().map(Self::Udp),
            "sctp" => ports().map(Self::Sctp),
            "icmp" => {
                let words = list.into_iter().flat_map(|list| list.split(','));
                words.map(IcmpType::parse).collect::<Option<Vec<_>>>().map(Self::icmp)
            }
            _ if list.is_some() => None,
            "any" => Some(Self::Any),
            number => {
                let number: u8 = number.parse().ok()?;
                // A protocol with a word is written as that.
                Self::of_number(number).filter(|protocol| *protocol == Self::Number(number))
            }
        }
    }

    /// ICMP of these types, in any order.
    #[must_use]
    pub fn icmp(mut types: Vec<IcmpType>) -> Self {
        types.sort_unstable();
        types.dedup();
        Self::Icmp(types.into())
    }
}

impl Ports {
    /// These ranges, each with its last port, in any order; a range that is empty or contains port
    /// 0 is left out.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut ranges: Vec<(u16, u16)> =
            ranges.into_iter().filter(|(first, last)| *first > 0 && first <= last).collect();
        ranges.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self(merged.into())
    }

    /// The ranges; none for every port.
    #[must_use]
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.0
    }

    /// Every port, as a range.
    pub(super) fn every() -> Self {
        Self([(1, u16::MAX)].into())
    }

    /// The ports of these ranges that others have not; `None` if there are none. Both have ranges.
    pub(super) fn without(&self, others: &Self) -> Option<Self> {
        let mut left = self.0.to_vec();
        for (from, to) in &others.0 {
            let parts = left.into_iter().flat_map(|(first, last)| {
                let below = (first, last.min(from.saturating_sub(1)));
                let above =
                    (first.max(to.saturating_add(1)), if *to == u16::MAX { 0 } else { last });
                [below, above]
            });
            left = parts.filter(|(first, last)| first <= last).collect();
        }
        (!left.is_empty()).then(|| Self::of(left))
    }

    fn and(&self, other: &Self) -> Option<Self> {
        if self.0.is_empty() || other.0.is_empty() {
            return Some(if self.0.is_empty() { other } else { self }.clone());
        }
        let pairs = self.0.iter().flat_map(|one| other.0.iter().map(move |other| (one, other)));
        let both = pairs.map(|(one, other)| (one.0.max(other.0), one.1.min(other.1)));
        let both = Self::of(both);
        (!both.0.is_empty()).then_some(both)
    }

    fn or(&self, other: &Self) -> Self {
        if self.0.is_empty() || other.0.is_empty() {
            return Self::default();
        }
        Self::of(self.0.iter().chain(&other.0).copied())
    }

    fn covers(&self, other: &Self) -> bool {
        let within = |(first, last): &(u16, u16)| {
            self.0.iter().any(|(from, to)| from <= first && last <= to)
        };
        self.0.is_empty() || !other.0.is_empty() && other.0.iter().all(within)
    }
}

/// ` 22,8000-8100`; nothing for every port.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.0.iter().enumerate() {
            write!(f, "{}{first}", if at == 0 { " " } else { "," })?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        Ok(())
    }
}

impl Ports {
    /// Reads `22,8000-8100`.
    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(Self::range).collect::<Option<Vec<_>>>().map(Self::of)
    }

    /// Reads `22` or `8000-8100`; `None` also for port 0 and for a range that is empty.
    #[must_use]
    pub fn range(text: &str) -> Option<(u16, u16)> {
        let number = |digits: &str| {
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        (first > 0 && first <= last).then_some((first, last))
    }
}

impl IcmpType {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::EchoRequest, Self::TimestampRequest];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EchoRequest => "echo-request",
            Self::TimestampRequest => "timestamp-request",
        }
    }

    /// The message with this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.as_str() == word)
    }

    /// The type of the request in ICMP or ICMPv6, if there is one.
    #[must_use]
    pub fn request(self, ip6: bool) -> Option<u8> {
        match (self, ip6) {
            (Self::EchoRequest, false) => Some(8),
            (Self::EchoRequest, true) => Some(128),
            (Self::TimestampRequest, false) => Some(13),
            (Self::TimestampRequest, true) => None,
        }
    }

    /// The type of the reply, likewise.
    #[must_use]
    pub fn reply(self, ip6: bool) -> Option<u8> {
        match (self, ip6) {
            (Self::EchoRequest, false) => Some(0),
            (Self::EchoRequest, true) => Some(129),
            (Self::TimestampRequest, false) => Some(14),
            (Self::TimestampRequest, true) => None,
        }
    }
}
