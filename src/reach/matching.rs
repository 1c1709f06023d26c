//! Reads a match of OVN's language (ovn-sb(5), Logical_Flow) for the packets of a question.
//!
//! It evaluates while it reads and copies nothing: a router may have ten thousand policies. What it
//! cannot read is `Maybe`, never a guess: a policy with such a match may apply or not. OVN ignores a
//! policy whose match does not parse, so a term that is certainly false decides a conjunction
//! whatever follows.

use std::net::IpAddr;

use ipnet::IpNet;

use super::packet::{ICMP, ICMP6, Packet, SCTP, TCP, UDP, is_between, is_within};
use super::tokens::{Token, Tokens};
use super::truth::Truth;

/// Where a packet is when a match is applied to it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The packet.
    pub packet: &'a Packet,
    /// The port by which it entered the router.
    pub inport: &'a str,
    /// The port by which it is to leave.
    pub outport: &'a str,
}

/// What a match may find under the name of an Address_Set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Set {
    /// Its addresses.
    Addresses(Vec<IpNet>),
    /// There is none, so OVN ignores whatever names it.
    Missing,
    /// It is somebody else's, which we do not read.
    Unread,
}

/// Finds an Address_Set by its name, without the `$`.
pub type FindSet<'a> = &'a dyn Fn(&str) -> Set;

/// Whether a packet meets a match.
#[must_use]
pub fn holds(text: &str, at: &Place<'_>, sets: FindSet<'_>) -> Truth {
    let mut reader = Reader::of(text, at, sets);
    let found = match reader.terms(false, true) {
        // Nothing that follows makes a conjunction true.
        Terms::Decided => return Truth::No,
        Terms::Are(found) => found,
    };
    if reader.ignored {
        return Truth::No;
    }
    let is_whole = reader.tokens.peek().is_none();
    if is_whole || found == Truth::No && !reader.follows_alternative() {
        found
    } else {
        Truth::Maybe
    }
}

/// Whether a match can be read to its end, so that a `Maybe` of it means a part of the packets.
#[must_use]
pub(super) fn is_readable(text: &str, at: &Place<'_>, sets: FindSet<'_>) -> bool {
    let mut reader = Reader::of(text, at, sets);
    reader.terms(false, false);
    reader.tokens.peek().is_none() && !reader.gave_up
}

struct Reader<'a> {
    tokens: Tokens<'a>,
    at: Place<'a>,
    sets: FindSet<'a>,
    /// Whether it names a set that is not there.
    ignored: bool,
    /// Whether something could not be read.
    gave_up: bool,
}

/// The terms of one level.
enum Terms {
    /// They are false, and what follows was not read.
    Decided,
    Are(Truth),
}

/// The comparisons of the language.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Relation {
    fn of(sign: &str) -> Option<Self> {
        Some(match sign {
            "==" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Below,
            "<=" => Self::AtMost,
            ">" => Self::Above,
            ">=" => Self::AtLeast,
            _ => return None,
        })
    }
}

/// A field, with what must hold of a packet that has it.
struct Field {
    needs: Truth,
    value: Value,
}

enum Value {
    Address(IpNet),
    /// Between two numbers.
    Number(u16, u16),
    /// The name of a port.
    Port,
    OutPort,
    Unknown,
}

impl<'a> Reader<'a> {
    fn of(text: &'a str, at: &Place<'a>, sets: FindSet<'a>) -> Self {
        Self { tokens: Tokens::of(text), at: *at, sets, ignored: false, gave_up: false }
    }

    /// Terms between `&&`, or between `||`: OVN wants parentheses where both are.
    fn terms(&mut self, negated: bool, is_top: bool) -> Terms {
        let mut found = self.term(negated);
        let mut between = None;
        while let Some(Token::Sign(sign @ ("&&" | "||"))) = self.tokens.peek() {
            if between.is_some_and(|other| other != sign) {
                // OVN refuses that; whoever wrote it meant something.
                self.gave_up = true;
                self.skip_level();
                return Terms::Are(Truth::Maybe);
            }
            if is_top && sign == "&&" && found == Truth::No {
                return Terms::Decided;
            }
            between = Some(sign);
            self.tokens.next();
            let next = self.term(negated);
            // The opposite of "and" is "or".
            found = if (sign == "&&") != negated { found.and(next) } else { found.or(next) };
        }
        Terms::Are(found)
    }

    fn term(&mut self, negated: bool) -> Truth {
        match self.tokens.next() {
            Some(Token::Sign("(")) => {
                let found = match self.terms(negated, false) {
                    Terms::Decided => Truth::No,
                    Terms::Are(found) => found,
                };
                if self.tokens.accept(')') { found } else { self.unread() }
            }
            Some(Token::Sign("!")) => self.term(!negated),
            Some(Token::Word(word)) => self.comparison(word, negated),
            Some(Token::Text(_) | Token::Set(_) | Token::Sign(_) | Token::Other) | None => {
                self.unread()
            }
        }
    }

    /// Skips the rest of a term that cannot be read.
    fn unread(&mut self) -> Truth {
        self.gave_up = true;
        let mut depth = 0_usize;
        while let Some(token) = self.tokens.peek() {
            match token {
                Token::Sign("(" | "{") => depth += 1,
                Token::Sign(")") if depth == 0 => break,
                Token::Sign(")" | "}") => depth = depth.saturating_sub(1),
                Token::Sign("&&" | "||") if depth == 0 => break,
                Token::Sign(_) | Token::Word(_) | Token::Text(_) | Token::Set(_) | Token::Other => {
                }
            }
            self.tokens.next();
        }
        Truth::Maybe
    }

    /// Skips to the end of the level.
    fn skip_level(&mut self) {
        while matches!(self.tokens.peek(), Some(Token::Sign("&&" | "||"))) {
            self.tokens.next();
            self.unread();
        }
    }

    /// Whether an alternative follows that was not read.
    fn follows_alternative(&self) -> bool {
        self.tokens.peek() == Some(Token::Sign("||"))
    }

    fn comparison(&mut self, word: &str, negated: bool) -> Truth {
        let bit = match self.bit() {
            Ok(bit) => bit,
            Err(()) => return self.unread(),
        };
        let relation = match self.tokens.peek() {
            Some(Token::Sign(sign)) => Relation::of(sign),
            Some(Token::Word(_) | Token::Text(_) | Token::Set(_) | Token::Other) | None => None,
        };
        let Some(relation) = relation else {
            return match (self.tokens.peek(), bit) {
                (None | Some(Token::Sign("&&" | "||" | ")")), None) => self.named(word, negated),
                _ => self.unread(),
            };
        };
        self.tokens.next();
        let Some(field) = self.field(word, bit) else { return self.unread() };
        let Some(found) = self.compare(&field.value, relation) else { return self.unread() };
        let found = if negated { !found } else { found };
        field.needs.and(found)
    }

    /// The bit of a field: `[4]`. Ranges of bits are not read.
    fn bit(&mut self) -> Result<Option<u8>, ()> {
        if !self.tokens.accept('[') {
            return Ok(None);
        }
        let bit = match self.tokens.next() {
            Some(Token::Word(bit)) => bit.parse().map_err(|_| ())?,
            Some(Token::Text(_) | Token::Set(_) | Token::Sign(_) | Token::Other) | None => {
                return Err(());
            }
        };
        if self.tokens.accept(']') { Ok(Some(bit)) } else { Err(()) }
    }

    /// A word that stands alone. The opposite of a protocol is not as it looks, so it is not read.
    fn named(&mut self, word: &str, negated: bool) -> Truth {
        let packet = self.at.packet;
        let (is_v4, of) = (Truth::from(packet.is_v4()), |number| packet.has_protocol(number));
        let (found, is_bit) = match word {
            "1" => (Truth::Yes, true),
            "0" | "ip.is_frag" | "ip.later_frag" | "ip.first_frag" => (Truth::No, true),
            "ip" => (Truth::Yes, false),
            "ip4" => (is_v4, false),
            "ip6" => (!is_v4, false),
            "arp" | "rarp" => (Truth::No, false),
            "tcp" => (of(TCP), false),
            "udp" => (of(UDP), false),
            "sctp" => (of(SCTP), false),
            "icmp4" => (is_v4.and(of(ICMP)), false),
            "icmp6" => ((!is_v4).and(of(ICMP6)), false),
            "icmp" => (is_v4.and(of(ICMP)).or((!is_v4).and(of(ICMP6))), false),
            _ => {
                self.gave_up = true;
                return Truth::Maybe;
            }
        };
        match (negated, is_bit) {
            (false, _) => found,
            (true, true) => !found,
            (true, false) => {
                self.gave_up = true;
                Truth::Maybe
            }
        }
    }

    fn field(&self, word: &str, bit: Option<u8>) -> Option<Field> {
        let packet = self.at.packet;
        let is_v4 = Truth::from(packet.is_v4());
        let always = |value| Field { needs: Truth::Yes, value };
        if let Some(bit) = bit {
            return (word == "tcp.flags").then(|| Field {
                needs: packet.has_protocol(TCP),
                value: packet.flags.filter(|_| bit < 8).map_or(Value::Unknown, |flags| {
                    let set = u16::from(flags >> bit & 1);
                    Value::Number(set, set)
                }),
            });
        }
        let ports = |number, (low, high)| Field {
            needs: packet.has_protocol(number),
            value: Value::Number(low, high),
        };
        let kind = |family: Truth, number| Field {
            needs: family.and(packet.has_protocol(number)),
            value: packet.kind.map_or(Value::Unknown, |it| Value::Number(it.into(), it.into())),
        };
        Some(match word {
            "inport" => always(Value::Port),
            "outport" => always(Value::OutPort),
            "ip4.src" => Field { needs: is_v4, value: Value::Address(packet.source) },
            "ip4.dst" => Field { needs: is_v4, value: Value::Address(packet.destination) },
            "ip6.src" => Field { needs: !is_v4, value: Value::Address(packet.source) },
            "ip6.dst" => Field { needs: !is_v4, value: Value::Address(packet.destination) },
            "ip.proto" => always(
                packet
                    .protocol
                    .map_or(Value::Unknown, |number| Value::Number(number.into(), number.into())),
            ),
            "tcp.src" => ports(TCP, packet.from_ports),
            "tcp.dst" => ports(TCP, packet.to_ports),
            "udp.src" => ports(UDP, packet.from_ports),
            "udp.dst" => ports(UDP, packet.to_ports),
            "sctp.src" => ports(SCTP, packet.from_ports),
            "sctp.dst" => ports(SCTP, packet.to_ports),
            "icmp4.type" => kind(is_v4, ICMP),
            "icmp6.type" => kind(!is_v4, ICMP6),
            _ => return None,
        })
    }

    /// Compares with a value, or with those in braces; `None` if they cannot be read.
    fn compare(&mut self, value: &Value, relation: Relation) -> Option<Truth> {
        if !self.tokens.accept('{') {
            let found = self.compare_one(value, relation)?;
            // `0 < x < 9`, and the like.
            let ends = matches!(self.tokens.peek(), None | Some(Token::Sign("&&" | "||" | ")")));
            return ends.then_some(found);
        }
        let mut found: Option<Truth> = None;
        loop {
            let one = self.compare_one(value, Relation::Equal)?;
            found = Some(found.map_or(one, |found| found.or(one)));
            if !self.tokens.accept(',') {
                break;
            }
        }
        let closed = self.tokens.accept('}');
        match relation {
            Relation::Equal if closed => found,
            Relation::Equal
            | Relation::Unequal
            | Relation::Below
            | Relation::AtMost
            | Relation::Above
            | Relation::AtLeast => None,
        }
    }

    fn compare_one(&mut self, value: &Value, relation: Relation) -> Option<Truth> {
        let token = self.tokens.next()?;
        let equal = match (value, token) {
            (Value::Port, Token::Text(name)) => Truth::from(is_name(name, self.at.inport)),
            (Value::OutPort, Token::Text(name)) => Truth::from(is_name(name, self.at.outport)),
            (Value::Address(net), Token::Word(word)) => is_within(net, &parse_net(word)?),
            (Value::Address(net), Token::Set(name)) => self.in_set(net, name)?,
            (Value::Number(low, high), Token::Word(word)) => {
                let number = parse_number(word)?;
                return Some(match relation {
                    Relation::Equal => is_between((*low, *high), (number, number)),
                    Relation::Unequal => !is_between((*low, *high), (number, number)),
                    Relation::Below => !is_between((*low, *high), (number, u16::MAX)),
                    Relation::AtMost => is_between((*low, *high), (0, number)),
                    Relation::Above => !is_between((*low, *high), (0, number)),
                    Relation::AtLeast => is_between((*low, *high), (number, u16::MAX)),
                });
            }
            (Value::Unknown, Token::Word(_)) => Truth::Maybe,
            _ => return None,
        };
        match relation {
            Relation::Equal => Some(equal),
            Relation::Unequal => Some(!equal),
            Relation::Below | Relation::AtMost | Relation::Above | Relation::AtLeast => None,
        }
    }

    fn in_set(&mut self, net: &IpNet, name: &str) -> Option<Truth> {
        match (self.sets)(name.strip_prefix('$')?) {
            Set::Addresses(nets) => {
                if nets.is_empty() {
                    // OVN takes it for an error, or for what matches nothing.
                    return Some(Truth::Maybe);
                }
                let all = nets.iter().map(|around| is_within(net, around));
                Some(all.fold(Truth::No, Truth::or))
            }
            Set::Missing => {
                self.ignored = true;
                Some(Truth::No)
            }
            Set::Unread => {
                self.gave_up = true;
                Some(Truth::Maybe)
            }
        }
    }
}

/// Whether a text in quotes is this name.
fn is_name(quoted: &str, name: &str) -> bool {
    let inner = quoted.trim_start_matches('"').strip_suffix('"').unwrap_or_default();
    if !inner.contains('\\') {
        return inner == name;
    }
    serde_json::from_str::<String>(quoted).is_ok_and(|text| text == name)
}

/// A prefix; one with bits behind its length is none, as OVN refuses it.
fn parse_net(word: &str) -> Option<IpNet> {
    if let Some((address, mask)) = word.split_once('/')
        && let (Ok(address), Ok(mask)) = (address.parse::<IpAddr>(), mask.parse::<IpAddr>())
    {
        return IpNet::with_netmask(address, mask).ok().filter(|net| net.trunc() == *net);
    }
    match word.parse::<IpNet>() {
        Ok(net) => (net.trunc() == net).then_some(net),
        Err(_) => word.parse::<IpAddr>().ok().map(IpNet::from),
    }
}

fn parse_number(word: &str) -> Option<u16> {
    match word.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}
