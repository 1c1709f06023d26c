//! The words of a verdict.
//!
//! Until the other side has consented, they are made of what the owner of the half wrote, and
//! nothing else: the same whether the target is silent, unknown, or does not exist.

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{Half, HalfKey, Host, NetworkKey};
use crate::northbound::Persisted;
use crate::traffic::TooComplex;

use super::outcome::Verdict;
use super::quota::Over;
use super::state::Reason;

/// Most prefixes that are named of one fault.
const MOST_NAMED: usize = 8;

pub(super) fn verdict(reason: Reason, explanation: String, next_step: String) -> Verdict {
    Verdict {
        reason: Some(reason),
        explanation: Some(explanation),
        next_step: Some(next_step),
        degraded: Vec::new(),
        persisted: Persisted::default(),
    }
}

/// A half beside another one with the same target: at most one peering stands between two.
#[must_use]
pub(super) fn surplus(counting: &str, target: &NetworkKey) -> Verdict {
    verdict(
        Reason::PeeringConflict,
        format!("the half {counting} of this network already targets {target}"),
        format!("withdraw one of the two: {counting} is the one that counts"),
    )
}

/// A half of which hosts say different things, and nothing of it stands.
#[must_use]
pub(super) fn disputed(half: &HalfKey, hosts: &[Host]) -> Verdict {
    verdict(
        Reason::ConflictingDeclarations,
        differ(&half.to_string(), hosts),
        "make its declarations the same on all hosts; `ovn-peerctl host forget` drops those of a \
         host that is gone"
            .into(),
    )
}

/// That hosts differ, in words.
#[must_use]
pub(super) fn differ(what: &str, hosts: &[Host]) -> String {
    let hosts: Vec<&str> = hosts.iter().map(AsRef::as_ref).collect();
    format!("the hosts {} declare {what} differently", hosts.join(", "))
}

/// The same words whether the target is silent, unknown, or does not exist.
pub(super) fn awaiting(half: &Half, was_linked: bool) -> Verdict {
    let (local, target) = (&half.key.network, &half.target);
    let next_step = format!(
        "ask the owner of {target} to declare a peering with target_project = \"{}\", target_network = \"{}\"",
        local.project, local.name
    );
    if was_linked {
        let explanation = format!("{target} has withdrawn its half");
        return verdict(Reason::PeerWithdrew, explanation, next_step);
    }
    verdict(Reason::AwaitingPeer, format!("{target} has not declared its half"), next_step)
}

/// The other side said no.
pub(super) fn rejected(half: &Half) -> Verdict {
    verdict(
        Reason::PeerRejected,
        format!("the owner of {} rejects the request", half.target),
        format!(
            "withdraw the half, or ask the owner of {} to take the rejection back",
            half.target
        ),
    )
}

/// The same words whether the other side has answered since or not.
pub(super) fn expired(half: &Half, at: Timestamp) -> Verdict {
    verdict(
        Reason::RequestExpired,
        format!("{} did not answer before {at:.0}", half.target),
        "set requested = <the present moment> in the half to ask again, or withdraw it".into(),
    )
}

pub(super) fn over_quota(over: Over, network: &NetworkKey) -> Verdict {
    let (limit, what, key) = match over {
        Over::Network(limit) => (limit, format!("network {network}"), "max_halves_per_network"),
        Over::Project(limit) => {
            (limit, format!("project {}", network.project), "max_halves_per_project")
        }
    };
    verdict(
        Reason::Quota,
        format!("{what} may have {limit} halves ({key}), and others come before this one"),
        format!(
            "withdraw halves that are not needed, or ask the operator to raise {key} under [policy] \
             in ovn-peerd.toml"
        ),
    )
}

/// A half that names what its network does not own.
pub(super) fn not_owned(prefixes: &[IpNet], half: &Half) -> Verdict {
    let network = &half.key.network;
    let named = prefixes.iter().take(MOST_NAMED);
    let texts: Vec<String> = named.map(|prefix| unowned(prefix, network)).collect();
    verdict(
        Reason::ExportNotOwned,
        texts.join("; "),
        "correct `export` (to match all subnets inside a prefix, give it `le`), or ask the operator \
         for `may_export` in networks.d"
            .into(),
    )
}

/// That a prefix is not the network's to announce.
pub(super) fn unowned(prefix: &IpNet, network: &NetworkKey) -> String {
    format!(
        "`export` names {prefix}, which is neither within the subnets of {network} nor within its may_export"
    )
}

/// More prefixes than this side takes.
pub(super) fn too_many(count: usize, remote: &NetworkKey) -> Verdict {
    verdict(
        Reason::TooManyPrefixes,
        format!("{remote} announces {count} prefixes, more than max_prefixes of this half"),
        format!(
            "narrow `import`, raise max_prefixes, or ask the owner of {remote} to announce less"
        ),
    )
}

/// The same for the other side.
pub(super) fn too_many_for(remote: &NetworkKey) -> Verdict {
    verdict(
        Reason::TooManyPrefixes,
        format!("this network announces more prefixes than {remote} takes"),
        format!("narrow `export`, or ask the owner of {remote} to raise its max_prefixes"),
    )
}

/// Traffic filters that need more policies than a router can have.
pub(super) fn too_complex(why: TooComplex, remote: &NetworkKey) -> Verdict {
    verdict(
        Reason::FilterTooComplex,
        format!("the traffic filters of this network and {remote} are too complex: {why}"),
        "name more prefixes or ports in one entry of `in` and `out`, and write fewer exceptions of \
         exceptions"
            .into(),
    )
}

/// Prefix filters that leave nothing.
pub(super) fn nothing_exchanged(remote: &NetworkKey) -> Verdict {
    verdict(
        Reason::NothingExchanged,
        format!(
            "`export` and `import` of this network and {remote} leave no address family in which both \
             announce something that the other one takes"
        ),
        "widen `export` or `import` on one of the two sides".into(),
    )
}
