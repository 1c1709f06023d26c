//! OVN's match language as far as policies use it, read from ovn-sb(5) and from packets on OVN 23.03, not from the code
//! that writes matches.
//!
//! Whatever OVN would not parse, or would parse to something that never matches, is an error here: a drop of that
//! kind lets everything pass.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::packets::{FRAGMENT6, ICMP4, ICMP6, Packet, Part, SCTP, TCP, UDP};

/// Address_Sets by name.
pub type Sets = BTreeMap<String, Vec<IpNet>>;

/// A match.
#[derive(Clone, Debug, PartialEq)]
pub enum Match {
    All(Vec<Match>),
    Any(Vec<Match>),
    Not(Box<Match>),
    /// `inport` or `outport`.
    Port(bool, Vec<String>),
    /// The source or the destination.
    Address(bool, Vec<IpNet>),
    /// A field whose value is between two.
    Field(Field, Vec<(u16, u16)>),
    /// A name that stands for a protocol, or `ip.is_frag`.
    Is(Named),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Ip,
    Ip4,
    Ip6,
    Tcp,
    Udp,
    Sctp,
    Icmp4,
    Icmp6,
    Fragment,
    LaterFragment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A protocol's source or destination port.
    L4(Named, bool),
    /// A bit of TCP's flags.
    Flag(u8),
    Kind(Named),
    Protocol,
    TurnedAround,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Set(String),
    Sign(&'static str),
}

/// The longest first.
const SIGNS: &[&str] =
    &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "{", "}", ",", "[", "]"];

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut all = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, length) = if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign))
        {
            (Token::Sign(sign), sign.len())
        } else if rest.starts_with('"') {
            let mut ends = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let text = ends.next().ok_or("no text")?.map_err(|e| e.to_string())?;
            (Token::Text(text), ends.byte_offset())
        } else {
            let is_of_set = rest.starts_with('$');
            let word = &rest[usize::from(is_of_set)..];
            let length = word
                .find(|c: char| !(c.is_ascii_alphanumeric() || "._:/".contains(c)))
                .unwrap_or(word.len());
            if length == 0 {
                return Err(format!("what is {rest:?}?"));
            }
            let word = word[..length].to_owned();
            let token = if is_of_set { Token::Set(word) } else { Token::Word(word) };
            (token, length + usize::from(is_of_set))
        };
        all.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(all)
}

struct Parser<'a> {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    sets: &'a Sets,
}

impl Match {
    /// Reads a match, in which these sets may be named.
    pub fn parse(text: &str, sets: &Sets) -> Result<Self, String> {
        let tokens = tokens(text).map_err(|why| format!("{why} in {text}"))?;
        let mut parser = Parser { tokens: tokens.into_iter().peekable(), sets };
        let read = parser.whole().and_then(|read| match parser.tokens.next() {
            None => Ok(read),
            Some(token) => Err(format!("{token:?} follows")),
        });
        read.map_err(|why| format!("{why} in {text}"))
    }

    /// Whether a packet meets it.
    pub fn holds(&self, packet: &Packet) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(packet)),
            Self::Any(all) => all.iter().any(|one| one.holds(packet)),
            Self::Not(one) => !one.holds(packet),
            Self::Port(is_in, names) => {
                names.contains(if *is_in { &packet.inport } else { &packet.outport })
            }
            Self::Address(is_source, nets) => {
                let address = if *is_source { packet.source } else { packet.destination };
                nets.iter().any(|net| net.contains(&address))
            }
            Self::Field(field, spans) => field
                .of(packet)
                .is_some_and(|value| spans.iter().any(|(from, to)| *from <= value && value <= *to)),
            Self::Is(named) => named.holds(packet),
        }
    }
}

impl Named {
    fn holds(self, packet: &Packet) -> bool {
        let of = |protocol| seen_protocol(packet) == protocol;
        match self {
            Self::Ip => true,
            Self::Ip4 => packet.is_v4(),
            Self::Ip6 => !packet.is_v4(),
            Self::Tcp => of(TCP),
            Self::Udp => of(UDP),
            Self::Sctp => of(SCTP),
            Self::Icmp4 => packet.is_v4() && of(ICMP4),
            Self::Icmp6 => !packet.is_v4() && of(ICMP6),
            Self::Fragment => packet.is_fragment(),
            Self::LaterFragment => packet.part == Part::Later,
        }
    }

    fn find(name: &str) -> Option<Self> {
        let named = match name {
            "ip" => Self::Ip,
            "ip4" => Self::Ip4,
            "ip6" => Self::Ip6,
            "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "sctp" => Self::Sctp,
            "icmp4" => Self::Icmp4,
            "icmp6" => Self::Icmp6,
            "ip.is_frag" => Self::Fragment,
            "ip.later_frag" => Self::LaterFragment,
            _ => return None,
        };
        Some(named)
    }
}

/// The protocol: where OVN finds it, which is not in a fragment of IPv6 that is not the first.
fn seen_protocol(packet: &Packet) -> u8 {
    if packet.part == Part::Later && !packet.is_v4() { FRAGMENT6 } else { packet.protocol }
}

impl Field {
    /// Its value; none where the packet is not of its protocol. OVN sees zeros in each fragment, also in the first.
    fn of(self, packet: &Packet) -> Option<u16> {
        let seen = |value: u16| if packet.is_fragment() { 0 } else { value };
        match self {
            Self::L4(of, is_source) => {
                of.holds(packet).then(|| seen(packet.ports[usize::from(!is_source)]))
            }
            Self::Flag(bit) => {
                Named::Tcp.holds(packet).then(|| seen(u16::from(packet.flags >> bit & 1)))
            }
            Self::Kind(of) => of.holds(packet).then(|| seen(packet.kind.into())),
            Self::Protocol => Some(seen_protocol(packet).into()),
            Self::TurnedAround => Some(packet.turned_around.into()),
        }
    }

    fn highest(self) -> u16 {
        match self {
            Self::L4(..) => u16::MAX,
            Self::Kind(_) | Self::Protocol => u8::MAX.into(),
            Self::Flag(_) | Self::TurnedAround => 1,
        }
    }
}

impl Parser<'_> {
    /// `&&` and `||` do not stand side by side.
    fn whole(&mut self) -> Result<Match, String> {
        let mut terms = vec![self.term()?];
        let mut between = None;
        while let Some(Token::Sign(sign @ ("&&" | "||"))) = self.tokens.peek().cloned() {
            if between.is_some_and(|other| other != sign) {
                return Err("&& beside ||".into());
            }
            between = Some(sign);
            self.tokens.next();
            terms.push(self.term()?);
        }
        Ok(match between {
            None => terms.remove(0),
            Some("&&") => Match::All(terms),
            Some(_) => Match::Any(terms),
        })
    }

    fn term(&mut self) -> Result<Match, String> {
        match self.tokens.next().ok_or("it ends early")? {
            Token::Sign("(") => {
                let inner = self.whole()?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Sign("!") => match self.tokens.next() {
                // OVN takes `!tcp` as well, and it matches nothing.
                Some(Token::Word(word)) if word == "ip.is_frag" => {
                    Ok(Match::Not(Box::new(Match::Is(Named::Fragment))))
                }
                other => Err(format!("! before {other:?}")),
            },
            Token::Word(word) => self.comparison(&word),
            other => Err(format!("a term that begins with {other:?}")),
        }
    }

    fn comparison(&mut self, word: &str) -> Result<Match, String> {
        if let Some(named) = Named::find(word) {
            return Ok(Match::Is(named));
        }
        if let "inport" | "outport" = word {
            self.expect("==")?;
            let names = self.values(|parser| match parser.tokens.next() {
                Some(Token::Text(name)) => Ok(vec![name]),
                other => Err(format!("{other:?} is no name of a port")),
            })?;
            return Ok(Match::Port(word == "inport", names));
        }
        for (name, is_v4) in [("ip4", true), ("ip6", false)] {
            for (end, is_source) in [(".src", true), (".dst", false)] {
                if word.strip_prefix(name) == Some(end) {
                    self.expect("==")?;
                    let nets = self.values(|parser| parser.addresses(is_v4))?;
                    return Ok(Match::Address(is_source, nets));
                }
            }
        }
        let field = self.field(word)?;
        let is_ordered = matches!(field, Field::L4(..));
        let (from, to) = match self.tokens.next() {
            Some(Token::Sign("==")) => {
                let spans = self.values(|parser| {
                    let value = parser.number(field)?;
                    Ok(vec![(value, value)])
                })?;
                return Ok(Match::Field(field, spans));
            }
            Some(Token::Sign(">=")) if is_ordered => (self.number(field)?, field.highest()),
            Some(Token::Sign("<=")) if is_ordered => (0, self.number(field)?),
            other => return Err(format!("{other:?} after {word}")),
        };
        Ok(Match::Field(field, vec![(from, to)]))
    }

    fn field(&mut self, word: &str) -> Result<Field, String> {
        let l4 =
            |named: &str| Named::find(named).filter(|_| matches!(named, "tcp" | "udp" | "sctp"));
        let field = match word.rsplit_once('.') {
            Some((of, "src")) if l4(of).is_some() => l4(of).map(|of| Field::L4(of, true)),
            Some((of, "dst")) if l4(of).is_some() => l4(of).map(|of| Field::L4(of, false)),
            Some(("icmp4", "type")) => Some(Field::Kind(Named::Icmp4)),
            Some(("icmp6", "type")) => Some(Field::Kind(Named::Icmp6)),
            Some(("ip", "proto")) => Some(Field::Protocol),
            Some(("tcp", "flags")) => Some(Field::Flag(self.bit()?)),
            None if word == "reg9" && self.bit()? == 0 => Some(Field::TurnedAround),
            _ => None,
        };
        field.ok_or_else(|| format!("what is {word}?"))
    }

    fn bit(&mut self) -> Result<u8, String> {
        self.expect("[")?;
        let bit = match self.tokens.next() {
            Some(Token::Word(bit)) => bit.parse().ok().filter(|bit| *bit < 8),
            _ => None,
        };
        self.expect("]")?;
        bit.ok_or_else(|| "no bit".into())
    }

    fn number(&mut self, field: Field) -> Result<u16, String> {
        match self.tokens.next() {
            Some(Token::Word(number)) => {
                let value = number.parse().ok().filter(|value| *value <= field.highest());
                value.ok_or_else(|| format!("{number} for {field:?}"))
            }
            other => Err(format!("{other:?} is no number")),
        }
    }

    fn addresses(&mut self, is_v4: bool) -> Result<Vec<IpNet>, String> {
        let nets = match self.tokens.next() {
            Some(Token::Set(name)) => {
                let set = self.sets.get(&name).ok_or_else(|| format!("there is no ${name}"))?;
                if set.is_empty() {
                    return Err(format!("${name} is empty"));
                }
                set.clone()
            }
            Some(Token::Word(text)) => {
                let net = text.parse::<IpNet>().ok();
                let net = net.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
                vec![net.ok_or_else(|| format!("what address is {text}?"))?]
            }
            other => return Err(format!("{other:?} is no address")),
        };
        if nets.iter().any(|net| net.addr().is_ipv4() != is_v4) {
            return Err("an address of the other family".into());
        }
        if nets.iter().any(|net| net.trunc() != *net) {
            return Err("bits behind the prefix's length".into());
        }
        Ok(nets)
    }

    /// A value, or some in braces.
    fn values<T>(
        &mut self,
        mut value: impl FnMut(&mut Self) -> Result<Vec<T>, String>,
    ) -> Result<Vec<T>, String> {
        if self.tokens.next_if_eq(&Token::Sign("{")).is_none() {
            return value(self);
        }
        let mut all = value(self)?;
        while self.tokens.next_if_eq(&Token::Sign(",")).is_some() {
            all.extend(value(self)?);
        }
        self.expect("}")?;
        Ok(all)
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        match self.tokens.next() {
            Some(Token::Sign(found)) if found == sign => Ok(()),
            other => Err(format!("{other:?} instead of {sign}")),
        }
    }
}
