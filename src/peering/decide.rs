//! The rules for one pair of networks: two halves, two routers, one verdict each.
//!
//! The only place that produces a [`Standing`]. Until both halves stand, nothing of the other
//! network is looked at (S0.10, S0.11): a verdict on one half alone is made from that half.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::declare::{ConfiguredStatus, Half, HalfKey, Host, NetworkKey, PeeringKey};
use crate::northbound::{End, Family, Id};
use crate::view::Reason;

use super::conflict::{self, Claim, Conflict};
use super::local::{Local, Ready};
use super::outcome::{Link, LinkEnd, Resolution, Standing, Verdict};

/// What is known of one end.
#[derive(Debug)]
pub struct Side<'a> {
    /// Its network.
    pub network: &'a NetworkKey,
    /// The network's identity in names.
    pub network_id: Id,
    /// The half that counts, if the end has declared one.
    pub half: Option<&'a Half>,
    /// The network on its own; `None` while it has declared nothing at all.
    pub local: Option<&'a Local>,
    /// Whether the half is recorded as having been linked to this target.
    pub was_linked: bool,
    /// The other end's prefixes that this end's router routes over the link now.
    pub routed: &'a BTreeSet<IpNet>,
    /// The addresses of this end's link port now.
    pub port_addresses: &'a [IpAddr],
}

/// Asks what a peering that comes first has of a prefix at one end.
pub type ClaimBefore<'a> = Box<dyn Fn(End, &IpNet) -> Option<Claim> + 'a>;

/// A pair to decide on.
pub struct Pair<'a> {
    /// The peering.
    pub key: &'a PeeringKey,
    /// Its identity in names.
    pub id: Id,
    /// Both ends.
    pub a: Side<'a>,
    /// Both ends.
    pub b: Side<'a>,
    /// Whether both halves are recorded as linked: such a peering is kept where it can be.
    pub stands: bool,
    /// The claim of a peering that comes first on what it would route at one end.
    pub claim: ClaimBefore<'a>,
}

impl<'a> Pair<'a> {
    fn side(&self, end: End) -> &Side<'a> {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// Whether only conflicts can still stand between the two.
    #[must_use]
    pub fn candidate(&self) -> Option<(&'a Ready, &'a Ready)> {
        let ready = |side: &Side<'a>| match (side.half, side.local) {
            (Some(half), Some(Local::Ready(ready)))
                if half.configured_status == ConfiguredStatus::Active =>
            {
                Some(ready.as_ref())
            }
            _ => None,
        };
        let (a, b) = (ready(&self.a)?, ready(&self.b)?);
        mismatch(a, b).is_none().then_some((a, b))
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self) -> Resolution {
        if let Some((a, b)) = self.candidate() {
            return self.decide_link(a, b);
        }
        let verdict = |end: End| {
            let side = self.side(end);
            side.half.map(|half| self.verdict_alone(half, side, self.side(end.other())))
        };
        Resolution { verdicts: [verdict(End::A), verdict(End::B)], link: None }
    }

    /// The verdict on a half that cannot be linked as things are.
    fn verdict_alone(&self, half: &Half, local: &Side, remote: &Side) -> Verdict {
        if half.configured_status == ConfiguredStatus::Disabled {
            return verdict(
                Standing::Disabled,
                "configured_status is \"disabled\" on this side".into(),
                "set configured_status = \"active\" to bring it up".into(),
            );
        }
        if let Some(Local::Fault(fault)) = local.local {
            return verdict(
                Standing::Failed(fault.local_reason()),
                fault.explain(local.network),
                fault.next_step().into(),
            );
        }
        let Some(remote_half) = remote.half else { return awaiting(half, local.was_linked) };
        if remote_half.configured_status == ConfiguredStatus::Disabled {
            return verdict(
                Standing::PeerDisabled,
                format!("{} has disabled its half", remote.network),
                format!("ask the owner of {} to enable it", remote.network),
            );
        }
        if let Some(Local::Fault(fault)) = remote.local {
            return verdict(
                Standing::Failed(fault.remote_reason()),
                fault.explain_to_remote(remote.network),
                format!("ask the owner of {} or the operator to mend it", remote.network),
            );
        }
        let found = match (local.local, remote.local) {
            (Some(Local::Ready(one)), Some(Local::Ready(other))) => mismatch(one, other),
            _ => None,
        };
        let (reason, explanation) = found
            .unwrap_or((Reason::MissingPeerRouter, format!("{} is not known yet", remote.network)));
        verdict(
            Standing::Failed(reason),
            explanation,
            "peer networks that match, or ask the operator to correct networks.d".into(),
        )
    }

    fn decide_link(&self, a: &Ready, b: &Ready) -> Resolution {
        let at_a = self.admit(End::A, a, &b.prefixes);
        let at_b = self.admit(End::B, b, &a.prefixes);
        let clash = !at_a.conflicts.is_empty() || !at_b.conflicts.is_empty();
        let families = linked_families(&at_b.prefixes, &at_a.prefixes);
        if (clash && !self.stands) || families.is_empty() {
            return Resolution {
                verdicts: [
                    Some(self.refused(End::A, &at_a, &at_b)),
                    Some(self.refused(End::B, &at_b, &at_a)),
                ],
                link: None,
            };
        }
        let link = Link {
            key: self.key.clone(),
            id: self.id,
            a: self.link_end(End::A, a, &at_b.prefixes, &families),
            b: self.link_end(End::B, b, &at_a.prefixes, &families),
        };
        let verdicts = [
            Some(self.linked(End::A, a, &at_a, &at_b)),
            Some(self.linked(End::B, b, &at_b, &at_a)),
        ];
        Resolution { verdicts, link: Some(link) }
    }

    /// Which of the other end's prefixes this end's router can route.
    fn admit(&self, end: End, ready: &Ready, offered: &[IpNet]) -> Admitted {
        let mut admitted = Admitted::default();
        for prefix in offered {
            let conflict = conflict::against(prefix, &ready.router).or_else(|| {
                (self.claim)(end, prefix).map(|claim| Conflict {
                    prefix: *prefix,
                    with: format!("{} of its peer {}", claim.prefix, claim.network),
                })
            });
            // A route that stands is kept: to cut what works is worse than to say that it clashes.
            let routed = self.stands && self.side(end).routed.contains(prefix);
            if conflict.is_none() || routed {
                admitted.prefixes.push(*prefix);
            }
            admitted.conflicts.extend(conflict);
        }
        admitted
    }

    fn refused(&self, end: End, here: &Admitted, there: &Admitted) -> Verdict {
        let remote = self.side(end.other()).network;
        let mut texts = self.tell(end, here, there);
        if texts.is_empty() {
            return verdict(
                Standing::Failed(Reason::NoSubnet),
                format!("this network and {remote} have no address family in common"),
                "give both networks a subnet of the same family".into(),
            );
        }
        texts.truncate(MOST_CONFLICTS_TOLD);
        verdict(
            Standing::Failed(Reason::ConflictSubnet),
            texts.join("; "),
            "renumber one of the two, or remove what is in the way".into(),
        )
    }

    fn linked(&self, end: End, ready: &Ready, here: &Admitted, there: &Admitted) -> Verdict {
        let mut degraded = self.tell(end, here, there);
        for prefix in &here.prefixes {
            degraded.extend(conflict::diversions(prefix, &ready.prefixes, &ready.router));
        }
        degraded.truncate(MOST_CONFLICTS_TOLD);
        Verdict { standing: Standing::Linked, explanation: None, next_step: None, degraded }
    }

    /// All conflicts, as this end may know them.
    fn tell(&self, end: End, here: &Admitted, there: &Admitted) -> Vec<String> {
        let remote = self.side(end.other()).network;
        let own = here.conflicts.iter().map(|conflict| conflict.explain(remote));
        let theirs = there.conflicts.iter().map(|conflict| conflict.explain_to_remote(remote));
        own.chain(theirs).collect()
    }

    fn link_end(
        &self,
        end: End,
        ready: &Ready,
        admitted: &[IpNet],
        families: &BTreeSet<Family>,
    ) -> LinkEnd {
        let side = self.side(end);
        let of = |family: Family, prefixes: &[IpNet]| -> Vec<IpNet> {
            prefixes.iter().filter(|prefix| Family::of(prefix) == family).copied().collect()
        };
        let whole = |family: &Family| of(*family, admitted) == of(*family, &ready.prefixes);
        LinkEnd {
            network: side.network.clone(),
            network_id: side.network_id,
            router: ready.router.uuid,
            router_name: ready.router.name.clone(),
            addresses: families
                .iter()
                .filter_map(|family| link_address(*family, ready, side.port_addresses))
                .collect(),
            tables: ready.router.tables.clone(),
            prefixes: families.iter().flat_map(|family| of(*family, admitted)).collect(),
            whole: families.iter().copied().filter(whole).collect::<Vec<_>>().into(),
        }
    }
}

/// A message names so many conflicts at the most: more help nobody.
const MOST_CONFLICTS_TOLD: usize = 8;

/// What one end's router can route, and what stands against the rest.
#[derive(Debug, Default)]
struct Admitted {
    prefixes: Vec<IpNet>,
    conflicts: Vec<Conflict>,
}

fn verdict(standing: Standing, explanation: String, next_step: String) -> Verdict {
    Verdict {
        standing,
        explanation: Some(explanation),
        next_step: Some(next_step),
        degraded: Vec::new(),
    }
}

/// A half beside another one with the same target: at most one peering stands between two (S1.5).
#[must_use]
pub fn surplus(counting: &str, target: &NetworkKey) -> Verdict {
    verdict(
        Standing::Failed(Reason::PeeringConflict),
        format!("the half {counting} of this network already targets {target}"),
        format!("withdraw one of the two: {counting} is the one that counts"),
    )
}

/// A half of which hosts say different things, and nothing of it stands.
#[must_use]
pub fn disputed(half: &HalfKey, hosts: &[Host]) -> Verdict {
    verdict(
        Standing::Failed(Reason::ConflictingDeclarations),
        differ(&half.to_string(), hosts),
        "make its declarations the same on all hosts; `ovn-peerctl host forget` drops those of a \
         host that is gone"
            .into(),
    )
}

/// That hosts differ, in words.
#[must_use]
pub fn differ(what: &str, hosts: &[Host]) -> String {
    let hosts: Vec<&str> = hosts.iter().map(AsRef::as_ref).collect();
    format!("the hosts {} declare {what} differently", hosts.join(", "))
}

/// The same words whether the target is silent, unknown, or does not exist.
fn awaiting(half: &Half, was_linked: bool) -> Verdict {
    let (local, target) = (&half.key.network, &half.target);
    let next_step = format!(
        "ask the owner of {target} to declare a peering with target_project = \"{}\", target_network = \"{}\"",
        local.project, local.name
    );
    if was_linked {
        let explanation = format!("{target} has withdrawn its half");
        return verdict(Standing::Disconnected, explanation, next_step);
    }
    verdict(Standing::Pending, format!("{target} has not declared its half"), next_step)
}

/// Whether two networks may not peer for where they are (S1.8, S3.6); compared where both say it.
fn mismatch(one: &Ready, other: &Ready) -> Option<(Reason, String)> {
    let differ = |a: &Option<std::sync::Arc<str>>, b: &Option<std::sync::Arc<str>>| match (a, b) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    };
    let (one, other) = (&one.network, &other.network);
    if differ(&one.region, &other.region) {
        return Some((Reason::RegionMismatch, "the two networks are in different regions".into()));
    }
    if differ(&one.zone, &other.zone) {
        return Some((Reason::ZoneMismatch, "the two networks are in different zones".into()));
    }
    None
}

/// Families in which both ends can be reached from the other.
fn linked_families(of_a: &[IpNet], of_b: &[IpNet]) -> BTreeSet<Family> {
    let families =
        |prefixes: &[IpNet]| -> BTreeSet<Family> { prefixes.iter().map(Family::of).collect() };
    families(of_a).intersection(&families(of_b)).copied().collect()
}

/// The router's own inward address, kept as long as the router has it.
fn link_address(family: Family, ready: &Ready, current: &[IpAddr]) -> Option<IpAddr> {
    let of_family = |address: &IpAddr| Family::of(&(*address).into()) == family;
    let mut inward = ready.router.inward.iter().map(|net| net.address).filter(of_family);
    let least = inward.clone().min();
    inward.find(|address| current.contains(address)).or(least)
}
