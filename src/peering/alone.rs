//! The verdict on a half that is not linked as things are: its own side first, then the other side's
//! answer, then what stands between two that agree.

use crate::declare::{ConfiguredStatus, Half};

use super::decide::{Pair, Side, mismatch};
use super::local::Local;
use super::outcome::Verdict;
use super::request::Request;
use super::state::Reason;
use super::telling::{awaiting, expired, not_owned, over_quota, rejected, verdict};

impl Pair<'_> {
    /// The verdict on a half that cannot be linked as things are.
    pub(super) fn verdict_alone(&self, half: &Half, local: &Side, remote: &Side) -> Verdict {
        if half.configured_status == ConfiguredStatus::Disabled {
            return verdict(
                Reason::AdministrativelyDown,
                "configured_status is \"disabled\" on this side".into(),
                "set configured_status = \"active\" to bring it up".into(),
            );
        }
        if let Request::Expired { at, .. } = local.request {
            return expired(half, at);
        }
        if let Some(over) = local.over {
            return over_quota(over, local.network);
        }
        match local.local {
            Some(Local::Fault(fault)) => {
                return verdict(
                    fault.local_reason(),
                    fault.explain(local.network),
                    fault.next_step().into(),
                );
            }
            Some(Local::Ready(ready)) if self.lacks_workload(ready) => {
                return verdict(
                    Reason::NoWorkload,
                    format!("no port of a VM is on a subnet of {}", local.network),
                    "attach a VM to it first: the operator's policy asks for one".into(),
                );
            }
            Some(Local::Ready(ready)) if self.lacks_ownership(local, ready) => {
                return not_owned(ready, half);
            }
            Some(Local::Ready(_)) | None => {}
        }
        if !remote.implied {
            match remote.half.filter(|_| remote.counts()) {
                None if remote.rejects => return rejected(half),
                None => return awaiting(half, local.was_linked),
                Some(other) if other.configured_status == ConfiguredStatus::Disabled => {
                    return verdict(
                        Reason::PeerAdministrativelyDown,
                        format!("{} has disabled its half", remote.network),
                        format!("ask the owner of {} to enable it", remote.network),
                    );
                }
                Some(_) => {}
            }
        }
        self.obstacle(local, remote)
    }

    /// What stands between two ends that both agree, seen from one whose own side is in order.
    fn obstacle(&self, local: &Side, remote: &Side) -> Verdict {
        let mended = || format!("ask the owner of {} or the operator to mend it", remote.network);
        let found = match (local.local, remote.local) {
            (_, Some(Local::Fault(fault))) => {
                return verdict(
                    fault.remote_reason(),
                    fault.explain_to_remote(remote.network),
                    mended(),
                );
            }
            (_, Some(Local::Ready(other))) if self.lacks_workload(other) => {
                return verdict(
                    Reason::NoWorkload,
                    format!("{} has no VM at present", remote.network),
                    format!("ask the owner of {} to attach one", remote.network),
                );
            }
            (_, Some(Local::Ready(other))) if self.lacks_ownership(remote, other) => {
                let explanation =
                    format!("{} announces a prefix that is not its own", remote.network);
                return verdict(Reason::ExportNotOwned, explanation, mended());
            }
            (Some(Local::Ready(one)), Some(Local::Ready(other))) => mismatch(one, other),
            (_, _) => None,
        };
        let (reason, explanation) = found
            .unwrap_or((Reason::MissingPeerRouter, format!("{} is not known yet", remote.network)));
        verdict(
            reason,
            explanation,
            "peer networks that match, or ask the operator to correct networks.d".into(),
        )
    }
}
