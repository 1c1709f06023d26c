//! The rules on openings in both directions, as ranked policies of one router.

use std::net::IpAddr;

use ipnet::IpNet;

use super::entry::Action;
use super::nets::common;
use super::policies::{Kind, MOST_POLICIES, Policies, Policy, TooComplex};
use super::product::Rule;
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
}

/// The policies of the router.
///
/// # Errors
///
/// [`TooComplex`] if there are too many, or if they have too many runs.
pub fn compile(crossing: &Crossing<'_>) -> Result<Policies, TooComplex> {
    let Crossing { inward, outward, .. } = crossing;
    let opens = |rules: &[Rule]| rules.iter().any(Rule::allows);
    if !opens(inward) && !opens(outward) {
        return Ok(Policies::default());
    }
    let is_open = inward.last().is_some_and(|rule| crossing.is_all(rule));
    let replies = if is_open || !opens(outward) {
        Vec::new()
    } else {
        effective(outward.iter().map(mirrored).collect())
    };
    // A deny also stops replies from what it names, so it has an effect as long as there are any.
    let forward = if replies.is_empty() {
        effective(inward.iter().map(forwarded).collect())
    } else {
        inward.iter().map(forwarded).collect()
    };
    let echoes = effective(crossing.echoes());
    let drop_openings = !replies.is_empty();
    let mut list = Vec::with_capacity(forward.len() + replies.len() + echoes.len());
    for policies in [forward, replies, echoes] {
        rank(policies, &mut list)?;
    }
    if list.len() > MOST_POLICIES {
        return Err(TooComplex::Policies);
    }
    Ok(Policies { pass_errors: true, drop_openings, list: list.into() })
}

fn forwarded(rule: &Rule) -> Policy {
    Policy {
        kind: Kind::Forward,
        run: 0,
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

/// Without the denies at the end: what no policy matches is dropped anyway.
fn effective(mut policies: Vec<Policy>) -> Vec<Policy> {
    let last = policies.iter().rposition(|policy| policy.action == Action::Allow);
    policies.truncate(last.map_or(0, |last| last + 1));
    policies
}

/// Adds policies of one kind with their runs.
fn rank(policies: Vec<Policy>, list: &mut Vec<Policy>) -> Result<(), TooComplex> {
    let mut last: Option<(u8, Action)> = None;
    for mut policy in policies {
        let run = match last {
            Some((run, action)) if action == policy.action => run,
            Some((run, _)) => run + 1,
            None => 0,
        };
        let most = policy.kind.runs();
        if run >= most {
            return Err(TooComplex::Runs(most - 1));
        }
        (last, policy.run) = (Some((run, policy.action)), run);
        list.push(policy);
    }
    Ok(())
}

impl Crossing<'_> {
    /// Whether a rule allows all that crosses.
    fn is_all(&self, rule: &Rule) -> bool {
        let within = |nets: &[IpNet], above: &[IpNet]| {
            nets.iter().all(|net| above.iter().any(|above| above.contains(net)))
        };
        rule.allows()
            && rule.protocol == Protocol::Any
            && within(self.remote, &rule.sources)
            && within(self.local, &rule.destinations)
    }

    /// The router's echo replies, where the other side may ping it.
    fn echoes(&self) -> Vec<Policy> {
        let own: Vec<IpNet> = self.own.iter().map(|address| IpNet::from(*address)).collect();
        let pings = self.inward.iter().filter(|rule| rule.protocol.has_echo());
        let rules = pings.filter_map(|rule| {
            let own = common(&own, &rule.destinations);
            let protocol = Protocol::icmp(vec![IcmpType::EchoRequest]);
            Rule::of(rule.action, protocol, rule.sources.to_vec(), own)
        });
        rules.map(|rule| Policy { kind: Kind::Echo, ..mirrored(&rule) }).collect()
    }
}
