//! Filters of prefixes, for announcing and accepting: an ordered list of entries, as in a
//! prefix-list of FRR or a filter of BIRD.
//!
//! The first entry that matches a prefix decides; a prefix without a match is denied. An entry
//! matches the prefixes inside its own with a length that `ge` and `le` allow; without both, only
//! the prefix itself. Finding the first match costs a look-up per prefix length in the list, not a
//! walk over its entries.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::super::cover::Cover;

/// The decision on a prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// It is announced, or accepted.
    #[default]
    Permit,
    /// It is not.
    Deny,
}

/// An entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    /// Whether it permits or denies its matches.
    pub action: Action,
    /// Without host bits.
    pub prefix: IpNet,
    /// The least length that it matches, if the file has one: at least the prefix's own.
    pub ge: Option<u8>,
    /// The greatest length that it matches, if the file has one.
    pub le: Option<u8>,
}

impl Rule {
    /// The lengths that it matches. As FRR has it: `ge` alone reaches to the longest, `le` alone
    /// begins at the prefix's own.
    fn lengths(&self) -> std::ops::RangeInclusive<u8> {
        let own = self.prefix.prefix_len();
        match (self.ge, self.le) {
            (None, None) => own..=own,
            (ge, le) => ge.unwrap_or(own)..=le.unwrap_or(self.prefix.max_prefix_len()),
        }
    }

    /// It as an entry of a declared list.
    fn written(&self) -> toml::Value {
        if self.action == Action::Permit && self.ge.is_none() && self.le.is_none() {
            return self.prefix.to_string().into();
        }
        let mut entry =
            toml::Table::from_iter([("prefix".to_owned(), self.prefix.to_string().into())]);
        for (key, length) in [("ge", self.ge), ("le", self.le)] {
            entry.extend(length.map(|length| (key.to_owned(), i64::from(length).into())));
        }
        if self.action == Action::Deny {
            entry.insert("action".to_owned(), "deny".into());
        }
        entry.into()
    }

    /// Whether it permits exactly one prefix: that one is announced as written.
    #[must_use]
    pub fn names(&self) -> Option<IpNet> {
        let exact = self.ge.is_none() && self.le.is_none() && self.action == Action::Permit;
        exact.then_some(self.prefix)
    }
}

/// Its form in the northbound, and for users: `deny 10.2.0.0/16 ge 20 le 24`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.action == Action::Deny {
            f.write_str("deny ")?;
        }
        write!(f, "{}", self.prefix)?;
        self.ge.map_or(Ok(()), |ge| write!(f, " ge {ge}"))?;
        self.le.map_or(Ok(()), |le| write!(f, " le {le}"))
    }
}

/// A text that is no rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an entry of a filter: write [deny] PREFIX [ge LENGTH] [le LENGTH]")]
pub struct UnreadableRule;

impl FromStr for Rule {
    type Err = UnreadableRule;

    fn from_str(text: &str) -> Result<Self, UnreadableRule> {
        let (action, rest) = match text.strip_prefix("deny ") {
            Some(rest) => (Action::Deny, rest),
            None => (Action::Permit, text),
        };
        let mut words = rest.split(' ');
        let prefix: IpNet =
            words.next().and_then(|word| word.parse().ok()).ok_or(UnreadableRule)?;
        let mut rule = Self { action, prefix: prefix.trunc(), ge: None, le: None };
        while let Some(word) = words.next() {
            let length = words.next().and_then(|word| word.parse().ok()).ok_or(UnreadableRule)?;
            match word {
                "ge" if rule.ge.is_none() && rule.le.is_none() => rule.ge = Some(length),
                "le" if rule.le.is_none() => rule.le = Some(length),
                _ => return Err(UnreadableRule),
            }
        }
        Ok(rule)
    }
}

impl TryFrom<String> for Rule {
    type Error = UnreadableRule;

    fn try_from(text: String) -> Result<Self, UnreadableRule> {
        text.parse()
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.to_string()
    }
}

/// A filter of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Option<Vec<Rule>>", into = "Option<Vec<Rule>>")]
pub enum PrefixFilter {
    /// All prefixes: the default, which costs nothing.
    #[default]
    All,
    /// The prefixes that the list permits.
    List(PrefixList),
}

impl PrefixFilter {
    /// Whether everything passes.
    #[must_use]
    pub fn is_all(&self) -> bool {
        match self {
            Self::All => true,
            Self::List(_) => false,
        }
    }

    /// The filter as declarations have it; `None` if all prefixes pass.
    #[must_use]
    pub(super) fn written(&self) -> Option<toml::Value> {
        let rules = self.rules()?.iter().map(Rule::written);
        Some(toml::Value::Array(rules.collect()))
    }

    /// The entries, in order; `None` if all prefixes pass.
    #[must_use]
    pub fn rules(&self) -> Option<&[Rule]> {
        match self {
            Self::All => None,
            Self::List(list) => Some(&list.rules),
        }
    }

    /// The offered prefixes that pass, sorted; `None` if all of them pass. With a list of entries,
    /// the result has no prefix inside another one.
    ///
    /// The list decides on each offered prefix. An entry that names one prefix also lets that
    /// prefix pass as written if the offered prefixes cover it: a part of a subnet, or several
    /// subnets as one. Costs the logarithm of the offered prefixes for each entry, and of the
    /// entries for each offered prefix.
    #[must_use]
    pub fn select(&self, offered: &[IpNet]) -> Option<Vec<IpNet>> {
        let Self::List(list) = self else { return None };
        let cover = Cover::of(offered);
        let named = list.named().filter(|prefix| cover.contains(prefix));
        let permitted = offered.iter().filter(|prefix| list.permits(prefix)).copied();
        let mut passed: Vec<IpNet> = permitted.chain(named).collect();
        passed.sort_unstable();
        let mut last: Option<IpNet> = None;
        // In sorted order, a prefix comes before those that it contains.
        passed.retain(|prefix| {
            let inside = last.is_some_and(|last| last.contains(prefix));
            if !inside {
                last = Some(*prefix);
            }
            !inside
        });
        Some(passed)
    }
}

impl From<Option<Vec<Rule>>> for PrefixFilter {
    fn from(rules: Option<Vec<Rule>>) -> Self {
        rules.map_or(Self::All, |rules| Self::List(PrefixList::new(rules)))
    }
}

impl From<PrefixFilter> for Option<Vec<Rule>> {
    fn from(filter: PrefixFilter) -> Self {
        filter.rules().map(<[Rule]>::to_vec)
    }
}

impl fmt::Display for PrefixFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rules() {
            None => f.write_str("all"),
            Some([]) => f.write_str("nothing"),
            Some(rules) => {
                let rules: Vec<String> = rules.iter().map(Rule::to_string).collect();
                f.write_str(&rules.join(", "))
            }
        }
    }
}

/// Entries in order, with an index by prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefixList {
    rules: Box<[Rule]>,
    /// Positions of the rules, in order of their prefixes and then of themselves.
    by_prefix: Box<[usize]>,
    /// Prefix lengths in use, of IPv4 and of IPv6, in order.
    lengths: [Box<[u8]>; 2],
}

impl PrefixList {
    /// A list of these entries.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut by_prefix: Vec<(IpNet, usize)> =
            rules.iter().enumerate().map(|(at, rule)| (rule.prefix, at)).collect();
        by_prefix.sort_unstable();
        let lengths = |v4: bool| {
            let of_family = rules.iter().filter(|rule| matches!(rule.prefix, IpNet::V4(_)) == v4);
            let lengths: BTreeSet<u8> = of_family.map(|rule| rule.prefix.prefix_len()).collect();
            lengths.into_iter().collect()
        };
        let lengths = [lengths(true), lengths(false)];
        let by_prefix = by_prefix.into_iter().map(|(_, at)| at).collect();
        Self { rules: rules.into(), by_prefix, lengths }
    }

    /// The entries, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Prefixes that it names and permits, offered or not.
    pub(super) fn named(&self) -> impl Iterator<Item = IpNet> {
        self.rules.iter().filter_map(Rule::names).filter(|prefix| self.permits(prefix))
    }

    /// The first entry that matches.
    #[must_use]
    pub fn decides(&self, prefix: &IpNet) -> Option<&Rule> {
        let [v4, v6] = &self.lengths;
        let lengths = if matches!(prefix, IpNet::V4(_)) { v4 } else { v6 };
        let own = prefix.prefix_len();
        let matching = lengths.iter().take_while(|length| **length <= own).filter_map(|length| {
            let above = IpNet::new(prefix.network(), *length).ok()?.trunc();
            self.with_prefix(above).find(|(_, rule)| rule.lengths().contains(&own))
        });
        matching.min_by_key(|(at, _)| *at).map(|(_, rule)| rule)
    }

    /// The rules with this prefix, in order.
    fn with_prefix(&self, prefix: IpNet) -> impl Iterator<Item = (usize, &Rule)> {
        let rule = |at: &usize| Some((*at, self.rules.get(*at)?));
        let before =
            self.by_prefix.partition_point(|at| rule(at).is_some_and(|(_, it)| it.prefix < prefix));
        let from = self.by_prefix.get(before..).unwrap_or_default();
        from.iter().map_while(rule).take_while(move |(_, rule)| rule.prefix == prefix)
    }

    /// Whether it lets a prefix through.
    #[must_use]
    pub fn permits(&self, prefix: &IpNet) -> bool {
        self.decides(prefix).is_some_and(|rule| rule.action == Action::Permit)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn prefix() -> impl Strategy<Value = IpNet> {
        let v4 = (0_u32..8, 0_u8..=32)
            .prop_map(|(bits, length)| IpNet::new(IpAddr::V4((bits << 29).into()), length));
        let v6 = (0_u128..8, 0_u8..=128)
            .prop_map(|(bits, length)| IpNet::new(IpAddr::V6((bits << 125).into()), length));
        prop_oneof![v4, v6].prop_map(|net| net.expect("a length in range").trunc())
    }

    fn rule() -> impl Strategy<Value = Rule> {
        (prefix(), any::<bool>(), prop::option::of(0_u8..=128), prop::option::of(0_u8..=128))
            .prop_map(|(prefix, deny, ge, le)| {
                let (least, most) = (prefix.prefix_len(), prefix.max_prefix_len());
                let ge = ge.map(|ge| ge.clamp(least, most));
                let le = le.map(|le| le.clamp(ge.unwrap_or(least), most));
                let action = if deny { Action::Deny } else { Action::Permit };
                Rule { action, prefix, ge, le }
            })
    }

    /// The definition, as the module's documentation has it.
    fn naive<'a>(rules: &'a [Rule], prefix: &IpNet) -> Option<&'a Rule> {
        rules.iter().find(|rule| {
            let length = prefix.prefix_len();
            let inside = rule.prefix.contains(prefix);
            match (rule.ge, rule.le) {
                (None, None) => *prefix == rule.prefix,
                (Some(ge), None) => inside && length >= ge,
                (None, Some(le)) => inside && length <= le,
                (Some(ge), Some(le)) => inside && length >= ge && length <= le,
            }
        })
    }

    proptest! {
        #[test]
        fn the_first_entry_that_matches_decides(
            rules in prop::collection::vec(rule(), 0..12),
            wanted in prop::collection::vec(prefix(), 1..12),
        ) {
            let list = PrefixList::new(rules.clone());
            for prefix in wanted.iter().chain(rules.iter().map(|rule| &rule.prefix)) {
                prop_assert_eq!(list.decides(prefix), naive(&rules, prefix));
            }
        }

        #[test]
        fn a_rule_survives_its_words(rule in rule()) {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in ["", "deny", "10.0.0.0", "10.0.0.0/8 ge", "10.0.0.0/8 le 9 ge 8", "x 1"] {
            assert_eq!(text.parse::<Rule>(), Err(UnreadableRule), "{text}");
        }
    }

    /// Filters on a small space, where parts, aggregates and neighbours are common.
    mod select {
        use super::super::super::export::Export;
        use super::super::super::term::Term as _;
        use super::super::*;
        use crate::declare::cover::tests::{addresses, offered, prefix};
        use proptest::prelude::*;

        fn filter() -> impl Strategy<Value = PrefixFilter> {
            let rule = (prefix(), any::<bool>(), prop::option::of(0_u8..=4)).prop_map(
                |(prefix, deny, le)| {
                    let action = if deny { Action::Deny } else { Action::Permit };
                    let le =
                        le.map(|le| (prefix.max_prefix_len() - 4 + le).max(prefix.prefix_len()));
                    Rule { action, prefix, ge: None, le }
                },
            );
            let list = prop::collection::vec(rule, 0..6).prop_map(PrefixList::new);
            prop_oneof![1 => Just(PrefixFilter::All), 6 => list.prop_map(PrefixFilter::List)]
        }

        /// The same by walking over all entries and prefixes.
        fn naive(offered: &[IpNet], filter: &PrefixFilter) -> Vec<IpNet> {
            let Some(rules) = filter.rules() else { return offered.to_vec() };
            let matches = |rule: &Rule, prefix: &IpNet| match rule.le {
                None => rule.prefix == *prefix,
                Some(le) => rule.prefix.contains(prefix) && prefix.prefix_len() <= le,
            };
            let permitted = |prefix: &IpNet| {
                let first = rules.iter().find(|rule| matches(rule, prefix));
                first.is_some_and(|rule| rule.action == Action::Permit)
            };
            let there = addresses(offered);
            let exact = |rule: &&Rule| rule.le.is_none() && rule.action == Action::Permit;
            let named = rules.iter().filter(exact).map(|rule| rule.prefix);
            let named = named.filter(|prefix| addresses(&[*prefix]).is_subset(&there));
            let all: BTreeSet<IpNet> =
                offered.iter().copied().chain(named).filter(|prefix| permitted(prefix)).collect();
            let inside = |prefix: &IpNet| all.iter().any(|it| it != prefix && it.contains(prefix));
            all.iter().filter(|prefix| !inside(prefix)).copied().collect()
        }

        fn select(offered: &[IpNet], filter: &PrefixFilter) -> Vec<IpNet> {
            filter.select(offered).unwrap_or_else(|| offered.to_vec())
        }

        proptest! {
            #[test]
            fn what_passes_is_what_a_walk_finds(offered in offered(), filter in filter()) {
                prop_assert_eq!(select(&offered, &filter), naive(&offered, &filter));
            }

            #[test]
            fn nothing_passes_that_is_not_on_offer(
                offered in offered(),
                export in filter(),
                import in filter(),
            ) {
                let exported = select(&offered, &export);
                let taken = select(&exported, &import);
                prop_assert!(addresses(&exported).is_subset(&addresses(&offered)));
                prop_assert!(addresses(&taken).is_subset(&addresses(&exported)));
                // To filter again changes nothing.
                prop_assert_eq!(select(&taken, &import), taken.clone());
                prop_assert_eq!(select(&exported, &export), exported);
            }

            #[test]
            fn only_what_is_named_can_be_without_an_owner(
                own in offered(),
                bounds in offered(),
                filter in filter(),
            ) {
                let owned = addresses(&[own.clone(), bounds.clone()].concat());
                let export = Export { filter: filter.clone() };
                for prefix in export.not_owned(&[&own, &bounds]) {
                    prop_assert!(filter.rules().is_some_and(|rules| rules.iter().any(|it| it.names() == Some(prefix))));
                    prop_assert!(!addresses(&[prefix]).is_subset(&owned));
                    prop_assert!(!select(&own, &filter).contains(&prefix));
                }
            }
        }
    }
}
