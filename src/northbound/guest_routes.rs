//! The texts in OVN's northbound that give routes to guests: the classless static routes of DHCP
//! (RFC 3442) and the Route Information of router advertisements (RFC 4191), in the syntax of
//! ovn-nb(5).
//!
//! Defines how such a text is parsed, written and extended, how many bytes it takes in a packet,
//! and which part of a borrowed text is its owner's. It works on texts only, and reads no rows.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// `options:classless_static_route` of DHCP_Options: option 121.
pub const CLASSLESS: &str = "classless_static_route";
/// `options:ms_classless_static_route` of DHCP_Options: option 249, of older Windows.
pub const MS_CLASSLESS: &str = "ms_classless_static_route";
/// `ipv6_ra_configs:route_info` of Logical_Router_Port.
pub const ROUTE_INFO: &str = "route_info";
/// All keys that we borrow.
pub(super) const KEYS: [&str; 3] = [CLASSLESS, MS_CLASSLESS, ROUTE_INFO];
/// The preference of our routes: the default of RFC 4191.
pub const PREFERENCE: &str = "MEDIUM";

/// The syntax of such a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `{10.2.0.0/24,10.1.0.1, 0.0.0.0/0,10.1.0.1}`
    Classless,
    /// `HIGH-fd02::/64,LOW-fd03::/64`
    RouteInfo,
}

/// The text that we wrote to a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past<'a> {
    /// The whole text.
    pub ours: &'a str,
    /// The text before that, byte by byte.
    pub before: Option<&'a str>,
}

/// One route of such a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The destination, without host bits.
    pub prefix: IpNet,
    /// The next hop, or the preference.
    pub by: Box<str>,
}

impl Entry {
    /// A route to a prefix, by a next hop or with a preference.
    #[must_use]
    pub fn new(prefix: IpNet, by: impl Into<Box<str>>) -> Self {
        Self { prefix, by: by.into() }
    }

    /// Whether it is the default route.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.prefix.prefix_len() == 0
    }

    /// The bytes that it takes in a DHCP option or an advertisement (RFC 3442; RFC 4191 section
    /// 2.3).
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self.prefix {
            IpNet::V4(prefix) => 1 + usize::from(prefix.prefix_len()).div_ceil(8) + 4,
            IpNet::V6(prefix) => 8 * (1 + usize::from(prefix.prefix_len()).div_ceil(64)),
        }
    }
}

impl Syntax {
    /// The syntax of the text under a key; none if we never borrow that key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        match key {
            CLASSLESS | MS_CLASSLESS => Some(Self::Classless),
            ROUTE_INFO => Some(Self::RouteInfo),
            _ => None,
        }
    }

    /// Parses a text; none if OVN does not parse it either, or if OVN accepts a form that we do
    /// not.
    #[must_use]
    pub fn entries(self, text: &str) -> Option<Vec<Entry>> {
        let text = text.trim();
        match self {
            Self::Classless => {
                if text.is_empty() {
                    return Some(Vec::new());
                }
                let inner = text.strip_prefix('{')?.strip_suffix('}')?;
                let mut words = inner
                    .split(|c: char| c == ',' || c.is_whitespace())
                    .filter(|word| !word.is_empty());
                let mut entries = Vec::new();
                while let Some(destination) = words.next() {
                    let by: Ipv4Addr = words.next()?.parse().ok()?;
                    let prefix = destination.parse().or_else(|_| {
                        destination.parse().map(|address: Ipv4Addr| Ipv4Net::from(address))
                    });
                    let prefix: Ipv4Net = prefix.ok()?;
                    entries.push(Entry::new(prefix.trunc().into(), by.to_string()));
                }
                Some(entries)
            }
            Self::RouteInfo => {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                words
                    .map(|word| {
                        let (preference, prefix) = word.split_once('-')?;
                        let known = ["HIGH", "MEDIUM", "LOW"].contains(&preference);
                        let prefix = prefix.parse().or_else(|_| {
                            prefix.parse().map(|address: Ipv6Addr| Ipv6Net::from(address))
                        });
                        let prefix: Ipv6Net = prefix.ok().filter(|_| known)?;
                        Some(Entry::new(prefix.trunc().into(), preference))
                    })
                    .collect()
            }
        }
    }

    /// Writes a text.
    #[must_use]
    pub fn write(self, entries: &[Entry]) -> String {
        let words = entries.iter().map(|entry| match self {
            Self::Classless => format!("{},{}", entry.prefix, entry.by),
            Self::RouteInfo => format!("{}-{}", entry.by, entry.prefix),
        });
        let words: Vec<String> = words.collect();
        match self {
            Self::Classless => format!("{{{}}}", words.join(", ")),
            Self::RouteInfo => words.join(","),
        }
    }

    /// Adds routes to a text that parses. The existing part of the text stays byte by byte.
    #[must_use]
    pub fn added(self, before: Option<&str>, entries: &[Entry]) -> String {
        let empty = |text: &&str| self.entries(text).is_none_or(|entries| entries.is_empty());
        let Some(before) = before.filter(|text| !empty(text)) else { return self.write(entries) };
        let more = self.write(entries);
        match self {
            Self::Classless => {
                let kept = before.trim().strip_suffix('}').unwrap_or(before).trim_end();
                let kept = kept.trim_end_matches(',');
                format!("{kept}, {}", more.trim_start_matches('{'))
            }
            Self::RouteInfo => format!("{},{more}", before.trim().trim_end_matches(',')),
        }
    }

    /// The owner's value of a cell that may hold ours. Without a record, it is the text in the
    /// cell. If the cell holds what we wrote, it is the text before. If somebody edited what we
    /// wrote, it is the edited text without our routes. Any other text is the owner's as it is.
    #[must_use]
    pub fn owners(self, found: Option<&str>, past: Option<Past<'_>>) -> Option<String> {
        let Some(Past { ours, before }) = past else { return found.map(str::to_owned) };
        let found = found?;
        let as_before = || before.map(str::to_owned);
        if found == ours {
            return as_before();
        }
        let read = |text: &str| self.entries(text);
        let theirs = before.map_or_else(|| Some(Vec::new()), read).unwrap_or_default();
        let ours = read(ours).unwrap_or_default();
        let added: Vec<&Entry> = ours.iter().filter(|entry| !theirs.contains(entry)).collect();
        // A default route does not show who wrote it.
        let is_ours = |entry: &Entry| !entry.is_default() && added.contains(&entry);
        let Some(there) = read(found).filter(|there| there.iter().any(is_ours)) else {
            return Some(found.to_owned());
        };
        let left: Vec<Entry> = there.into_iter().filter(|entry| !is_ours(entry)).collect();
        let but_default: Vec<&Entry> = left.iter().filter(|it| !added.contains(it)).collect();
        if but_default.into_iter().eq(&theirs) {
            return as_before();
        }
        Some(self.write(&left))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::northbound::borrowed::BorrowedRecord;

    fn entry(prefix: &str, by: &str) -> Entry {
        Entry::new(prefix.parse().expect("a prefix"), by)
    }

    #[test]
    fn texts_are_read_as_ovn_reads_them() {
        let classless = Syntax::Classless;
        let read = classless.entries("{30.0.0.0/24,10.0.0.10, 0.0.0.0/0,10.0.0.1}");
        assert_eq!(
            read,
            Some(vec![entry("30.0.0.0/24", "10.0.0.10"), entry("0.0.0.0/0", "10.0.0.1")])
        );
        let metadata = classless.entries("{169.254.169.254, 10.0.0.2}").expect("a host route");
        assert_eq!(metadata, [entry("169.254.169.254/32", "10.0.0.2")]);
        for odd in
            ["30.0.0.0/24,10.0.0.10", "{30.0.0.0/24}", "{30.0.0.0/99,10.0.0.1}", "{x}", "$set"]
        {
            assert_eq!(classless.entries(odd), None, "{odd}");
        }
        let info = Syntax::RouteInfo.entries("HIGH-aef1::11/48,LOW-aef2::11/96");
        assert_eq!(info, Some(vec![entry("aef1::/48", "HIGH"), entry("aef2::/96", "LOW")]));
        for odd in ["aef1::/48", "BEST-aef1::/48", "HIGH-10.0.0.0/8"] {
            assert_eq!(Syntax::RouteInfo.entries(odd), None, "{odd}");
        }
    }

    #[test]
    fn room_is_counted_as_the_rfcs_do() {
        let bytes = |prefix: &str| entry(prefix, "").bytes();
        let prefixes = ["0.0.0.0/0", "10.0.0.0/8", "10.128.0.0/9", "10.0.1.0/24", "10.0.1.1/32"];
        assert_eq!(prefixes.map(bytes), [5, 6, 7, 8, 9]);
        assert_eq!(["::/0", "fd00::/8", "fd00::/64", "fd00::/65"].map(bytes), [8, 16, 16, 24]);
    }

    #[test]
    fn what_is_there_stays_as_it_is_written() {
        let more = [entry("10.2.0.0/24", "10.1.0.1")];
        for (before, after) in [
            (None, "{10.2.0.0/24,10.1.0.1}"),
            (Some(""), "{10.2.0.0/24,10.1.0.1}"),
            (Some("{}"), "{10.2.0.0/24,10.1.0.1}"),
            (Some("{ 9.9.9.9  10.1.0.2 }"), "{ 9.9.9.9  10.1.0.2, 10.2.0.0/24,10.1.0.1}"),
        ] {
            assert_eq!(Syntax::Classless.added(before, &more), after);
        }
        let more = [entry("fd02::/64", PREFERENCE)];
        let after = Syntax::RouteInfo.added(Some("LOW-fd09::/64"), &more);
        assert_eq!(after, "LOW-fd09::/64,MEDIUM-fd02::/64");
    }

    #[test]
    fn an_owner_keeps_what_is_his() {
        let syntax = Syntax::Classless;
        let record = |before: Option<&str>, more: &[Entry]| BorrowedRecord {
            ours: syntax.added(before, more),
            before: before.map(str::to_owned),
        };
        let routes = [entry("10.2.0.0/24", "10.1.0.1"), entry("0.0.0.0/0", "10.1.0.1")];
        let fresh = record(None, &routes);
        let owners =
            |found: &str, record: &BorrowedRecord| syntax.owners(Some(found), Some(record.past()));
        assert_eq!(owners(&fresh.ours, &fresh), None);
        assert_eq!(syntax.owners(None, Some(fresh.past())), None);
        // Somebody removed one of our routes, or the default: the rest is still ours alone.
        assert_eq!(owners("{10.2.0.0/24,10.1.0.1}", &fresh), None);
        // Somebody replaced the text without our routes, but with the same default.
        let own = "{10.9.0.0/24,10.1.0.9,0.0.0.0/0,10.1.0.1}";
        assert_eq!(owners(own, &fresh).as_deref(), Some(own));
        // Somebody added a route to what we wrote.
        let edited = "{10.2.0.0/24,10.1.0.1, 0.0.0.0/0,10.1.0.1, 10.9.0.0/24,10.1.0.9}";
        let left = "{0.0.0.0/0,10.1.0.1, 10.9.0.0/24,10.1.0.9}";
        assert_eq!(owners(edited, &fresh).as_deref(), Some(left));
        let metadata = "{169.254.169.254/32,10.1.0.2,  0.0.0.0/0,10.1.0.1}";
        let merged = record(Some(metadata), &routes[..1]);
        assert_eq!(owners(&merged.ours, &merged).as_deref(), Some(metadata));
        let less = "{10.2.0.0/24,10.1.0.1, 169.254.169.254/32,10.1.0.2, 0.0.0.0/0,10.1.0.1}";
        let left = "{169.254.169.254/32,10.1.0.2, 0.0.0.0/0,10.1.0.1}";
        let kept = owners(less, &merged).expect("something");
        assert_eq!(syntax.entries(&kept), syntax.entries(left));
        assert_eq!(owners("$broken", &merged).as_deref(), Some("$broken"));
    }

    fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
        let any = (any::<u32>(), 0..=32u8).prop_map(|(bits, length)| {
            let net = Ipv4Net::new(Ipv4Addr::from(bits), length).expect("a length").trunc();
            Entry::new(net.into(), "10.1.0.1")
        });
        prop::collection::vec(any, 0..8)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(entries in any_entries(), more in any_entries()) {
            let syntax = Syntax::Classless;
            let text = syntax.write(&entries);
            prop_assert_eq!(syntax.entries(&text), Some(entries.clone()));
            let all = syntax.entries(&syntax.added(Some(&text), &more)).expect("a text");
            prop_assert_eq!(all, [entries, more].concat());
        }

        #[test]
        fn what_was_borrowed_is_given_back(
            before in prop::option::of(any_entries()),
            more in any_entries(),
        ) {
            let syntax = Syntax::Classless;
            let before = before.map(|entries| syntax.write(&entries));
            let record = BorrowedRecord { ours: syntax.added(before.as_deref(), &more), before };
            let back = syntax.owners(Some(&record.ours), Some(record.past()));
            prop_assert_eq!(back, record.before);
        }
    }
}
