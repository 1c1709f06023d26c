//! The rules on openings in both directions, as ranked policies of one router.

use std::net::IpAddr;

use ipnet::IpNet;

use super::guard::guard;
use super::nets::{common, inside};
use super::policies::{Kind, MOST_RULES, Policies, Policy, TooComplex};
use super::product::{Rule, add_uncovered};
use super::protocol::{IcmpType, Protocol};

/// What crosses a link to one of its routers.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'a> {
    /// The rules on what the other side may open here.
    pub inward: &'a [Rule],
    /// The rules on what this side may open there.
    pub outward: &'a [Rule],
    /// The other side's prefixes.
    pub remote: &'a [IpNet],
    /// This side's prefixes.
    pub local: &'a [IpNet],
    /// The router's own addresses.
    pub own: &'a [IpAddr],
    /// Whether this side's switches drop what is no reply.
    pub stateful: bool,
}

/// The policies of the router.
///
/// # Errors
///
/// [`TooComplex`] if there are too many, or if they have too many ranks.
pub fn compile(crossing: &Crossing<'_>) -> Result<Policies, TooComplex> {
    let Crossing { inward, outward, .. } = *crossing;
    let opens = |rules: &[Rule]| rules.iter().any(Rule::allows);
    if !opens(inward) && !opens(outward) {
        return Ok(Policies::default());
    }
    let is_open = inward.last().is_some_and(|rule| crossing.is_all(rule));
    let replies: Vec<Policy> = outward.iter().map(mirrored).filter(|_| !is_open).collect();
    let replies = effective(replies, &[]);
    let forward = effective(inward.iter().map(forwarded).collect(), &replies);
    let echoes = effective(crossing.echoes(), &[]);
    let guard = if crossing.stateful {
        guard(&replies, inward, (crossing.remote, crossing.local))?
    } else {
        Box::default()
    };
    let drop_openings = !replies.is_empty();
    let mut list = Vec::with_capacity(forward.len() + replies.len() + echoes.len());
    for policies in [forward, replies, echoes] {
        list.extend(united(ranked(policies)?));
    }
    list.sort_by(|one, other| one.order().cmp(&other.order()));
    if list.len() > MOST_RULES {
        return Err(TooComplex::Rules);
    }
    Ok(Policies { pass_errors: true, drop_openings, list: list.into(), guard })
}

fn forwarded(rule: &Rule) -> Policy {
    Policy {
        kind: Kind::Forward,
        rank: 0,
        action: rule.action,
        protocol: rule.protocol.clone(),
        sources: rule.sources.clone(),
        destinations: rule.destinations.clone(),
    }
}

/// The replies to what a rule decides on.
fn mirrored(rule: &Rule) -> Policy {
    let (sources, destinations) = (rule.destinations.clone(), rule.sources.clone());
    Policy { kind: Kind::Reply, sources, destinations, ..forwarded(rule) }
}

/// Without the denies that decide nothing, because no policy after them, nor one of `replies`,
/// allows such a packet: what no policy matches is dropped anyway.
fn effective(policies: Vec<Policy>, replies: &[Policy]) -> Vec<Policy> {
    let mut allowed: Vec<&Policy> = replies.iter().filter(|it| it.allows()).collect();
    let mut idle = vec![false; policies.len()];
    for (policy, idle) in policies.iter().zip(&mut idle).rev() {
        if policy.allows() {
            allowed.push(policy);
        } else {
            *idle = !allowed.iter().any(|allowed| allowed.meets(policy));
        }
    }
    policies.into_iter().zip(idle).filter_map(|(policy, idle)| (!idle).then_some(policy)).collect()
}

/// Gives policies of one kind, in order, their ranks: each comes after the earlier ones with another
/// action that match a packet in common with it. So of all policies that match a packet, those of
/// the highest rank have the action of the first one.
fn ranked(mut policies: Vec<Policy>) -> Result<Vec<Policy>, TooComplex> {
    for at in 0..policies.len() {
        let (before, from) = policies.split_at_mut(at);
        let Some(policy) = from.first_mut() else { break };
        let others = before.iter().filter(|it| it.action != policy.action && it.meets(policy));
        policy.rank = others.map(|other| other.rank + 1).max().unwrap_or_default();
        let most = policy.kind.ranks();
        if policy.rank >= most {
            return Err(TooComplex::Ranks(most));
        }
    }
    Ok(policies)
}

/// Without policies that another one can take over: a match with all their ports is shorter.
fn united(policies: Vec<Policy>) -> Vec<Policy> {
    let mut united: Vec<Policy> = Vec::with_capacity(policies.len());
    for policy in policies {
        let both = united.iter_mut().find_map(|it| Some((it.or(&policy)?, it)));
        match both {
            Some((both, it)) => *it = both,
            None => united.push(policy),
        }
    }
    united
}

impl Crossing<'_> {
    /// Whether a rule allows all that crosses.
    fn is_all(&self, rule: &Rule) -> bool {
        rule.allows()
            && rule.protocol == Protocol::Any
            && inside(self.remote, &rule.sources)
            && inside(self.local, &rule.destinations)
    }

    /// The router's echo replies, where the other side may ping it.
    fn echoes(&self) -> Vec<Policy> {
        let own: Vec<IpNet> = self.own.iter().map(|address| IpNet::from(*address)).collect();
        let mut pings = Vec::new();
        for rule in self.inward.iter().filter(|rule| rule.protocol.has_echo()) {
            let own = common(&own, &rule.destinations);
            let protocol = Protocol::icmp(vec![IcmpType::EchoRequest]);
            if let Some(ping) = Rule::of(rule.action, protocol, rule.sources.to_vec(), own) {
                add_uncovered(&mut pings, ping);
            }
        }
        pings.iter().map(|rule| Policy { kind: Kind::Echo, ..mirrored(rule) }).collect()
    }
}
