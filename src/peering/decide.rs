//! The rules for one pair of networks: two halves, two routers, one verdict each.
//!
//! The only place that produces a [`Standing`]. Until both halves stand, nothing of the other
//! network is looked at (S0.10, S0.11): a verdict on one half alone is made from that half.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::declare::{AddressSpace, ConfiguredStatus, Exchange, Half, NetworkKey, PeeringKey};
use crate::northbound::{End, Family, Frozen, Id, Lasting, RouterKind, terms_mark};
use crate::view::Reason;

use super::conflict::{self, Claim};
use super::local::{Local, Ready};
use super::mtu::{Gauge, checking_end};
use super::newer::{self, Kept};
use super::outcome::{Link, LinkEnd, Resolution, Standing, Verdict};
use super::quota::Over;
use super::request::Request;
use super::select::Cover;
use super::space::Space;
use super::telling::{
    awaiting, expired, not_owned, nothing_exchanged, over_quota, rejected, too_many, too_many_for,
    verdict,
};
use super::terms::Admitted;

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
    /// The half as a request.
    pub request: Request,
    /// The limit that leaves the half without a place.
    pub over: Option<Over>,
    /// Whether the end's owner rejects the other end.
    pub rejects: bool,
    /// Whether the other end's half stands for this end, too (S1.12).
    pub implied: bool,
    /// Whether the half is recorded as having been linked to this target.
    pub was_linked: bool,
    /// The end's address space as it was frozen last.
    pub frozen: Option<&'a Frozen>,
    /// The other end's prefixes that this end's router routes over the link now.
    pub routed: &'a BTreeSet<IpNet>,
    /// The addresses of this end's link port now.
    pub port_addresses: &'a [IpAddr],
    /// Whether that port checks the size of packets now.
    pub checks_size: bool,
    /// How many pairs its network is part of.
    pub pairs: usize,
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
    /// What a newer version keeps of it.
    pub kept: Option<Kept>,
    /// What becomes of a change of subnets.
    pub address_space: AddressSpace,
    /// Whether a network needs a VM's port before it may peer.
    pub require_workload: bool,
    /// The moment.
    pub now: Timestamp,
    /// The claim of a peering that comes first on what it would route at one end.
    pub claim: ClaimBefore<'a>,
}

impl<'a> Pair<'a> {
    pub(super) fn side(&self, end: End) -> &Side<'a> {
        match end {
            End::A => &self.a,
            End::B => &self.b,
        }
    }

    /// What each end's router is to route if only conflicts can still stand between the two.
    #[must_use]
    pub fn wanted(&self) -> [Vec<IpNet>; 2] {
        match self.candidate() {
            Some((a, b)) => [self.space(End::B, b).prefixes, self.space(End::A, a).prefixes],
            None => [Vec::new(), Vec::new()],
        }
    }

    fn candidate(&self) -> Option<(&'a Ready, &'a Ready)> {
        if self.kept.is_some() {
            return None;
        }
        let ready = |side: &Side<'a>| match side.local {
            Some(Local::Ready(ready))
                if side.is_willing()
                    && !self.lacks_workload(ready)
                    && !self.lacks_ownership(side, ready) =>
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
        let mut resolution = match self.candidate() {
            Some((a, b)) => self.decide_link(a, b),
            None => {
                let verdict = |end: End| {
                    let (side, other) = (self.side(end), self.side(end.other()));
                    let is_kept =
                        |kept: Kept| kept.concerns(end) || other.half.is_some() || other.implied;
                    side.half.map(|half| match self.kept {
                        Some(kept) if is_kept(kept) => newer::kept(),
                        Some(_) | None => self.verdict_alone(half, side, other),
                    })
                };
                Resolution { verdicts: [verdict(End::A), verdict(End::B)], link: None, due: None }
            }
        };
        let [at_a, at_b] = &mut resolution.verdicts;
        for (side, verdict) in [(&self.a, at_a), (&self.b, at_b)] {
            let Some(verdict) = verdict else { continue };
            verdict.lasting.expired = side.request.expired();
            resolution.due = earlier(resolution.due, due(side, verdict.standing));
        }
        resolution
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
        if let Request::Expired { at, .. } = local.request {
            return expired(half, at);
        }
        if let Some(over) = local.over {
            return over_quota(over, local.network);
        }
        match local.local {
            Some(Local::Fault(fault)) => {
                return verdict(
                    Standing::Failed(fault.local_reason()),
                    fault.explain(local.network),
                    fault.next_step().into(),
                );
            }
            Some(Local::Ready(ready)) if self.lacks_workload(ready) => {
                return verdict(
                    Standing::Failed(Reason::NoWorkload),
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
                        Standing::PeerDisabled,
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
                    Standing::Failed(fault.remote_reason()),
                    fault.explain_to_remote(remote.network),
                    mended(),
                );
            }
            (_, Some(Local::Ready(other))) if self.lacks_workload(other) => {
                return verdict(
                    Standing::Failed(Reason::NoWorkload),
                    format!("{} has no VM at present", remote.network),
                    format!("ask the owner of {} to attach one", remote.network),
                );
            }
            (_, Some(Local::Ready(other))) if self.lacks_ownership(remote, other) => {
                let explanation =
                    format!("{} announces a prefix that is not its own", remote.network);
                return verdict(Standing::Failed(Reason::ExportNotOwned), explanation, mended());
            }
            (Some(Local::Ready(one)), Some(Local::Ready(other))) => mismatch(one, other),
            (_, _) => None,
        };
        let (reason, explanation) = found
            .unwrap_or((Reason::MissingPeerRouter, format!("{} is not known yet", remote.network)));
        verdict(
            Standing::Failed(reason),
            explanation,
            "peer networks that match, or ask the operator to correct networks.d".into(),
        )
    }

    /// S1.10 asks for a VM before a peering is made; one that stands stays when the last VM goes.
    fn lacks_workload(&self, ready: &Ready) -> bool {
        self.require_workload && !self.stands && !ready.router.workload
    }

    /// An end's address space as the other end shall route it.
    fn space(&self, end: End, ready: &Ready) -> Space {
        let mut space = self.whole_space(end, ready);
        self.filter(end, &mut space);
        space
    }

    /// The same before filters.
    fn whole_space(&self, end: End, ready: &Ready) -> Space {
        if self.address_space == AddressSpace::Follow {
            return Space::follow(&ready.prefixes);
        }
        let side = self.side(end);
        // A half that stands for both renews both.
        let half = side.half.or(self.side(end.other()).half);
        let requested = half.and_then(|half| half.requested);
        Space::freeze(&ready.prefixes, side.frozen.filter(|_| self.stands), requested, self.now)
    }

    fn decide_link(&self, a: &Ready, b: &Ready) -> Resolution {
        let (of_a, of_b) = (self.space(End::A, a), self.space(End::B, b));
        let mut at_a = self.admit(End::A, a, &of_b.prefixes);
        let mut at_b = self.admit(End::B, b, &of_a.prefixes);
        let clash = !at_a.conflicts.is_empty() || !at_b.conflicts.is_empty();
        // A frozen prefix may be of a family in which its router has no address any more.
        let present = linked_families(&a.prefixes, &b.prefixes);
        let mut families = linked_families(&at_b.prefixes, &at_a.prefixes);
        families.retain(|family| {
            let address = |ready, taken, remote| {
                !self.is_filtered()
                    || link_address(*family, ready, taken, Some(remote), &[]).is_some()
            };
            present.contains(family)
                && address(a, &at_b.prefixes, b)
                && address(b, &at_a.prefixes, a)
        });
        let over = at_a.over.is_some() || at_b.over.is_some();
        if ((clash || over) && !self.stands) || families.is_empty() {
            return Resolution {
                verdicts: [
                    self.a.half.map(|_| self.refused(End::A, &at_a, &at_b)),
                    self.b.half.map(|_| self.refused(End::B, &at_b, &at_a)),
                ],
                link: None,
                due: None,
            };
        }
        for admitted in [&mut at_a, &mut at_b] {
            admitted.prefixes.retain(|prefix| families.contains(&Family::of(prefix)));
        }
        let mut link = Link {
            key: self.key.clone(),
            id: self.id,
            // Between two gateway routers too: then neither moves it when it moves to another chassis.
            transit: [a, b].iter().any(|ready| ready.router.kind == RouterKind::Gateway),
            a: self.link_end(End::A, (a, b), (&at_a, &at_b), &families),
            b: self.link_end(End::B, (b, a), (&at_b, &at_a), &families),
        };
        if let Some((end, mtu)) = checking_end(self.a.gauge(a), self.b.gauge(b)) {
            link.end_mut(end).mtu = Some(mtu);
        }
        let mut verdicts =
            [self.linked(End::A, a, &at_a, &at_b), self.linked(End::B, b, &at_b, &at_a)];
        for verdict in &mut verdicts {
            verdict.degraded.extend(of_a.drift(self.a.network));
            verdict.degraded.extend(of_b.drift(self.b.network));
        }
        let due = earlier(of_a.due, of_b.due);
        let [mut at_a, mut at_b] = verdicts;
        at_a.lasting.frozen = of_a.frozen.clone();
        at_b.lasting.frozen = of_b.frozen.clone();
        at_a.lasting.frozen_remote = of_b.frozen.filter(|_| self.b.implied);
        at_b.lasting.frozen_remote = of_a.frozen.filter(|_| self.a.implied);
        let verdicts =
            [self.a.half.is_some().then_some(at_a), self.b.half.is_some().then_some(at_b)];
        Resolution { verdicts, link: Some(link), due }
    }

    fn refused(&self, end: End, here: &Admitted, there: &Admitted) -> Verdict {
        let remote = self.side(end.other()).network;
        if let Some(count) = here.over {
            return too_many(count, remote);
        }
        if there.over.is_some() {
            return too_many_for(remote);
        }
        let mut texts = self.tell(end, here, there);
        if texts.is_empty() && self.is_filtered() {
            return nothing_exchanged(remote);
        }
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
        let router = &ready.router;
        let foreign = !router.routes.is_empty() || !router.reroutes.is_empty();
        for prefix in here.prefixes.iter().filter(|_| foreign) {
            degraded.extend(conflict::diversions(prefix, ready, &here.tables));
        }
        degraded.extend(self.unmet(end, ready, here));
        degraded.extend(conflict::translations(&here.prefixes, &ready.prefixes, &ready.router));
        degraded.truncate(MOST_CONFLICTS_TOLD);
        Verdict {
            standing: Standing::Linked,
            explanation: None,
            next_step: None,
            degraded,
            lasting: Lasting {
                terms: self.side(end).half.and_then(terms_mark),
                ..Lasting::default()
            },
        }
    }

    /// All conflicts, as this end may know them.
    fn tell(&self, end: End, here: &Admitted, there: &Admitted) -> Vec<String> {
        let remote = self.side(end.other()).network;
        let own = here.conflicts.iter().map(|conflict| conflict.explain(remote));
        let theirs = there.conflicts.iter().map(|conflict| conflict.explain_to_remote(remote));
        own.chain(theirs).collect()
    }

    /// One end, with what each of the two takes of the other.
    fn link_end(
        &self,
        end: End,
        (ready, remote): (&Ready, &Ready),
        (here, there): (&Admitted, &Admitted),
        families: &BTreeSet<Family>,
    ) -> LinkEnd {
        let side = self.side(end);
        let of = |family: Family, prefixes: &[IpNet]| -> Vec<IpNet> {
            prefixes.iter().filter(|prefix| Family::of(prefix) == family).copied().collect()
        };
        let admitted = &there.prefixes;
        let whole = |family: &Family| of(*family, admitted) == of(*family, &ready.prefixes);
        let (current, remote) = (side.port_addresses, self.is_filtered().then_some(remote));
        LinkEnd {
            network: side.network.clone(),
            network_id: side.network_id,
            router: ready.router.uuid,
            router_name: ready.router.name.clone(),
            addresses: families
                .iter()
                .filter_map(|family| link_address(*family, ready, admitted, remote, current))
                .collect(),
            tables: here.tables.clone().into_owned(),
            routes: side.manual_routes(ready, &here.prefixes),
            mtu: None,
            prefixes: families.iter().flat_map(|family| of(*family, admitted)).collect(),
            whole: families.iter().copied().filter(whole).collect::<Vec<_>>().into(),
        }
    }
}

impl Side<'_> {
    /// The terms of its half, where they are not the default.
    pub(super) fn terms(&self) -> Option<&Exchange> {
        self.half?.exchange.as_deref()
    }

    fn gauge(&self, ready: &Ready) -> Gauge {
        let mtu = ready.network.mtu.or(ready.router.mtu);
        Gauge { mtu, checks: self.checks_size, pairs: self.pairs }
    }

    /// Whether there is a half that the other side may see.
    fn counts(&self) -> bool {
        self.half.is_some() && self.request.is_open() && self.over.is_none()
    }

    /// Whether this end agrees to be linked now.
    fn is_willing(&self) -> bool {
        let active = |half: &Half| half.configured_status == ConfiguredStatus::Active;
        self.implied || (self.counts() && self.half.is_some_and(active))
    }
}

/// The moment at which time alone changes what is said of a half.
fn due(side: &Side, standing: Standing) -> Option<Timestamp> {
    match side.request {
        Request::Open { until } => until.filter(|_| standing == Standing::Pending),
        Request::Expired { renewed, .. } => renewed,
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// A message names so many conflicts at the most: more help nobody.
const MOST_CONFLICTS_TOLD: usize = 8;

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

/// The router's own inward address, kept as long as the router has it. Where filters hold subnets
/// back, the other router may have the same one, and its owner need not know of it: an address that
/// is announced comes first; else it is one that cannot be there.
fn link_address(
    family: Family,
    ready: &Ready,
    announced: &[IpNet],
    remote: Option<&Ready>,
    current: &[IpAddr],
) -> Option<IpAddr> {
    let of_family = |address: &IpAddr| Family::of(&(*address).into()) == family;
    let inward = ready.router.inward.iter().map(|net| net.address).filter(of_family);
    let Some(remote) = remote.filter(|_| announced != ready.prefixes) else {
        return inward.min_by_key(|address| (!current.contains(address), *address));
    };
    let told = Cover::of(announced);
    let connected = remote.router.inward.iter().chain(&remote.router.outward);
    let theirs = Cover::of(&connected.map(|net| net.prefix).collect::<Vec<_>>());
    inward
        .map(|address| (told.contains(&address.into()), address))
        .filter(|(told, address)| *told || !theirs.overlaps(&(*address).into()))
        .min_by_key(|(told, address)| (!*told, !current.contains(address), *address))
        .map(|(_, address)| address)
}
