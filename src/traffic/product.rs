//! One list of the two that decide on openings in one direction.

use std::fmt::Write as _;

use ipnet::IpNet;

use super::entry::{Action, Entry};
use super::nets::{Nets, common, inside};
use super::policies::{MOST_RULES, TooComplex};
use super::protocol::Protocol;

/// What both lists say of the packets that an entry of each matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether they may open.
    pub action: Action,
    /// Which protocol they have.
    pub protocol: Protocol,
    /// Where they come from: prefixes of the side that opens, sorted.
    pub sources: Box<[IpNet]>,
    /// Where they go to: prefixes of the other side, sorted, of the same families.
    pub destinations: Box<[IpNet]>,
    /// Whose list decides.
    pub by: Decider,
}

/// Whose list decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decider {
    /// Those of both sides.
    Both,
    /// That of the side that opens.
    Opener,
    /// That of the other side.
    Opened,
}

/// What one side may open at the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Openings {
    /// In order: the first that matches decides as the first entries of both lists do. What none
    /// matches is denied.
    pub rules: Box<[Rule]>,
    /// Whose list allows nothing at all.
    pub closed_by: Option<Decider>,
}

impl Openings {
    /// Whether anything may be opened.
    #[must_use]
    pub fn allow_any(&self) -> bool {
        self.rules.iter().any(Rule::allows)
    }
}

/// The rules on openings from one side's prefixes to those of the other: `out` of the side that
/// opens, and `in` of the other.
///
/// # Errors
///
/// [`TooComplex`] if there are more rules than a router gets policies.
pub fn product(
    (out, from): (&[Entry], &[IpNet]),
    (inward, to): (&[Entry], &[IpNet]),
) -> Result<Openings, TooComplex> {
    let out = part(out, |entry| (&entry.local, &entry.remote), from, to);
    let inward = part(inward, |entry| (&entry.remote, &entry.local), from, to);
    let closed_by = match (out.is_empty(), inward.is_empty()) {
        (true, true) => Some(Decider::Both),
        (true, false) => Some(Decider::Opener),
        (false, true) => Some(Decider::Opened),
        (false, false) => None,
    };
    let mut rules: Vec<Rule> = Vec::new();
    let mut add = |rule: Rule| {
        add_uncovered(&mut rules, rule);
        if rules.len() > MOST_RULES { Err(TooComplex::Rules) } else { Ok(()) }
    };
    for opener in out {
        match opener.action {
            Action::Deny => add(Rule { by: Decider::Opener, ..opener })?,
            Action::Allow => {
                for opened in &inward {
                    opener.and(opened).map_or(Ok(()), &mut add)?;
                }
            }
        }
    }
    Ok(Openings { rules: rules.into(), closed_by })
}

/// The part of a list that concerns these prefixes, without entries that decide nothing: denies at
/// the end, as what none matches is denied, and whatever an earlier one covers.
fn part(
    list: &[Entry],
    ends: impl Fn(&Entry) -> (&Nets, &Nets),
    from: &[IpNet],
    to: &[IpNet],
) -> Vec<Rule> {
    let last = list.iter().rposition(|entry| entry.action == Action::Allow);
    let mut rules: Vec<Rule> = Vec::new();
    for entry in list.get(..=last.unwrap_or_default()).filter(|_| last.is_some()).unwrap_or(&[]) {
        let (sources, destinations) = ends(entry);
        let (sources, destinations) = (sources.within(from), destinations.within(to));
        if let Some(rule) = Rule::of(entry.action, entry.protocol.clone(), sources, destinations) {
            add_uncovered(&mut rules, rule);
        }
    }
    rules
}

/// Adds a rule unless an earlier one decides on all that it matches.
pub(super) fn add_uncovered(rules: &mut Vec<Rule>, rule: Rule) {
    if !rules.iter().any(|before| before.covers(&rule)) {
        rules.push(rule);
    }
}

impl Rule {
    /// A rule on the families that both ends have; `None` without any.
    pub(super) fn of(
        action: Action,
        protocol: Protocol,
        mut sources: Vec<IpNet>,
        mut destinations: Vec<IpNet>,
    ) -> Option<Self> {
        for ip6 in [false, true] {
            let of_family = |net: &IpNet| matches!(net, IpNet::V6(_)) == ip6;
            let here = |nets: &[IpNet]| nets.iter().any(of_family);
            if ip6 && !protocol.is_in_ip6() || !here(&sources) || !here(&destinations) {
                sources.retain(|net| !of_family(net));
                destinations.retain(|net| !of_family(net));
            }
        }
        let (sources, destinations) = (sources.into(), destinations.into());
        let rule = Self { action, protocol, sources, destinations, by: Decider::Both };
        (!rule.sources.is_empty()).then_some(rule)
    }

    /// What an entry of the side that opens allows, as an entry of the other side decides on it;
    /// `None` if no packet matches both.
    fn and(&self, opened: &Self) -> Option<Self> {
        let protocol = self.protocol.and(&opened.protocol)?;
        let sources = common(&self.sources, &opened.sources);
        let destinations = common(&self.destinations, &opened.destinations);
        let by = match opened.action {
            Action::Allow => Decider::Both,
            Action::Deny => Decider::Opened,
        };
        Some(Self { by, ..Self::of(opened.action, protocol, sources, destinations)? })
    }

    /// Whether it matches every packet that the other one matches.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.protocol.covers(&other.protocol)
            && inside(&other.sources, &self.sources)
            && inside(&other.destinations, &self.destinations)
    }

    /// Whether it allows.
    #[must_use]
    pub fn allows(&self) -> bool {
        match self.action {
            Action::Allow => true,
            Action::Deny => false,
        }
    }

    /// `allow tcp 5432 from 10.1.0.0/25 to 10.2.0.0/24`, without the addresses of an end if these
    /// are all that cross.
    #[must_use]
    pub fn words(&self, from: &[IpNet], to: &[IpNet]) -> String {
        let action = if self.allows() { "allow" } else { "deny" };
        let mut words = format!("{action} {}", self.protocol);
        for (word, nets, all) in [("from", &self.sources, from), ("to", &self.destinations, to)] {
            if **nets != *all {
                let nets: Vec<String> = nets.iter().map(IpNet::to_string).collect();
                let _ = write!(words, " {word} {}", nets.join(","));
            }
        }
        words
    }
}
