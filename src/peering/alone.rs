//! The verdict on a half without a link. It checks the half's own side first, then the other side's
//! answer, then what prevents a link between two sides that agree.

use crate::declare::{ConfiguredStatus, Half};
use crate::northbound::End;

use super::facts::{EndFacts, PairFacts};
use super::local::Local;
use super::messages::{awaiting, expired, not_owned, over_quota, rejected, verdict};
use super::outcome::Verdict;
use super::request::Request;
use super::state::Reason;

/// The verdict on the half of one end.
pub(super) fn verdict_alone(pair: &PairFacts, half: &Half, end: End) -> Verdict {
    let (local, remote) = (pair.end(end), pair.end(end.other()));
    own_side(pair, half, local)
        .or_else(|| answer(half, local, remote))
        .unwrap_or_else(|| obstacle(pair, local, remote))
}

/// What prevents the peering on the half's own side.
fn own_side(pair: &PairFacts, half: &Half, local: &EndFacts) -> Option<Verdict> {
    if half.configured_status == ConfiguredStatus::Disabled {
        return Some(verdict(
            Reason::AdministrativelyDown,
            "configured_status is \"disabled\" on this side".into(),
            "set configured_status = \"active\" to bring it up".into(),
        ));
    }
    if let Request::Expired { at, .. } = local.request {
        return Some(expired(half, at));
    }
    if let Some(over) = local.over {
        return Some(over_quota(over, local.network));
    }
    match local.local? {
        Local::Fault(fault) => Some(verdict(
            fault.local_reason(),
            fault.explain(local.network),
            fault.next_step().into(),
        )),
        Local::Ready(ready) if pair.lacks_workload(ready) => Some(verdict(
            Reason::NoWorkload,
            format!("no port of a VM is on a subnet of {}", local.network),
            "attach a VM to it first: the operator's policy asks for one".into(),
        )),
        Local::Ready(ready) if pair.lacks_ownership(local, ready) => {
            Some(not_owned(&local.not_owned(ready), half))
        }
        Local::Ready(_) => None,
    }
}

/// The other side's answer, unless it agrees.
fn answer(half: &Half, local: &EndFacts, remote: &EndFacts) -> Option<Verdict> {
    if remote.implied {
        return None;
    }
    match remote.half.filter(|_| remote.counts()) {
        None if remote.rejects => Some(rejected(half)),
        None => Some(awaiting(half, local.was_linked)),
        Some(other) if !other.is_up() => Some(verdict(
            Reason::PeerAdministrativelyDown,
            format!("{} has disabled its half", remote.network),
            format!("ask the owner of {} to enable it", remote.network),
        )),
        Some(_) => None,
    }
}

/// What prevents a link between two ends that agree, seen from an end whose own side is ready.
fn obstacle(pair: &PairFacts, local: &EndFacts, remote: &EndFacts) -> Verdict {
    let mended = || format!("ask the owner of {} or the operator to mend it", remote.network);
    let found = match (local.local, remote.local) {
        (_, Some(Local::Fault(fault))) => {
            let explanation = fault.explain_to_remote(remote.network);
            return verdict(fault.remote_reason(), explanation, mended());
        }
        (_, Some(Local::Ready(other))) if pair.lacks_workload(other) => {
            return verdict(
                Reason::NoWorkload,
                format!("{} has no VM at present", remote.network),
                format!("ask the owner of {} to attach one", remote.network),
            );
        }
        (_, Some(Local::Ready(other))) if pair.lacks_ownership(remote, other) => {
            let explanation = format!("{} announces a prefix that is not its own", remote.network);
            return verdict(Reason::ExportNotOwned, explanation, mended());
        }
        (Some(Local::Ready(one)), Some(Local::Ready(other))) => one.mismatch(other),
        (_, _) => None,
    };
    let (reason, explanation) = found.unwrap_or_else(|| {
        (Reason::MissingPeerRouter, format!("{} is not known yet", remote.network))
    });
    verdict(
        reason,
        explanation,
        "peer networks that match, or ask the operator to correct networks.d".into(),
    )
}
