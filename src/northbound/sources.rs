//! Source addresses in the match of a policy: the only code that writes and parses them.
//!
//! The match lists the prefixes. A drop that names an `Address_Set` would let everything pass as
//! soon as somebody deletes that set, because OVN ignores a match that does not parse.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;

use super::owner::Family;

/// Packets from any of these prefixes: `ip4.src == {10.1.0.0/24, 10.3.0.0/24} || ip6.src ==
/// {fd01::/64}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(Vec<IpNet>);

/// The match is not one on source addresses alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a match on source addresses alone")]
pub struct OtherMatch;

const OR: &str = " || ";

impl Sources {
    /// These prefixes, those of IPv4 first.
    #[must_use]
    pub fn of(prefixes: &[IpNet]) -> Self {
        let mut prefixes = prefixes.to_vec();
        prefixes.sort_by_key(Family::of);
        Self(prefixes)
    }

    /// The prefixes.
    #[must_use]
    pub fn prefixes(&self) -> &[IpNet] {
        &self.0
    }
}

impl fmt::Display for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, of_family) in self.0.chunk_by(|a, b| Family::of(a) == Family::of(b)).enumerate() {
            let before = if at == 0 { "" } else { OR };
            let family = of_family.first().map_or("", |prefix| Family::of(prefix).as_str());
            let prefixes: Vec<String> = of_family.iter().map(IpNet::to_string).collect();
            write!(f, "{before}{family}.src == {{{}}}", prefixes.join(", "))?;
        }
        Ok(())
    }
}

impl FromStr for Sources {
    type Err = OtherMatch;

    fn from_str(text: &str) -> Result<Self, OtherMatch> {
        let mut prefixes = Vec::new();
        for term in text.split(OR) {
            let (field, set) = term.split_once(" == ").ok_or(OtherMatch)?;
            let family = Family::BOTH.into_iter();
            let mut family =
                family.filter(|it| field.strip_prefix(it.as_str()).is_some_and(|it| it == ".src"));
            let family = family.next().ok_or(OtherMatch)?;
            let members = set.strip_prefix('{').and_then(|set| set.strip_suffix('}'));
            for member in members.ok_or(OtherMatch)?.split(", ") {
                let prefix: IpNet = member.parse().map_err(|_| OtherMatch)?;
                if Family::of(&prefix) != family {
                    return Err(OtherMatch);
                }
                prefixes.push(prefix);
            }
        }
        Ok(Self(prefixes))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn prefix() -> impl Strategy<Value = IpNet> {
        let v4 =
            (any::<u32>(), 0_u8..=32).prop_map(|(bits, length)| (IpAddr::V4(bits.into()), length));
        let v6 = (any::<u128>(), 0_u8..=128)
            .prop_map(|(bits, length)| (IpAddr::V6(bits.into()), length));
        prop_oneof![v4, v6].prop_map(|(address, length)| {
            IpNet::new(address, length).expect("a length in range").trunc()
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(prefixes in prop::collection::vec(prefix(), 1..8)) {
            let sources = Sources::of(&prefixes);
            prop_assert_eq!(sources.to_string().parse(), Ok(sources));
        }
    }

    #[test]
    fn a_match_is_written_out() {
        let prefixes = ["fd01::/64", "10.1.0.0/24", "10.3.0.0/24"];
        let prefixes = prefixes.map(|text| text.parse().expect("a prefix"));
        let expected = "ip4.src == {10.1.0.0/24, 10.3.0.0/24} || ip6.src == {fd01::/64}";
        assert_eq!(Sources::of(&prefixes).to_string(), expected);
    }

    #[test]
    fn any_other_match_is_not_read() {
        for text in [
            "",
            "inport == \"a\"",
            "ip4.src == 10.1.0.0/24",
            "ip4.src == $set",
            "ip4.src == {10.1.0.0/24} && tcp",
            "ip4.src == {10.1.0.0/24} || tcp",
            "ip4.dst == {10.1.0.0/24}",
            "ip6.src == {10.1.0.0/24}",
            "(ip4.src == {10.1.0.0/24} && ip4.dst == {10.2.0.0/24})",
            "inport == \"a\" && (ip4.src == {10.1.0.0/24})",
        ] {
            assert_eq!(text.parse::<Sources>(), Err(OtherMatch), "{text}");
        }
    }
}
