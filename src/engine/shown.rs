//! Where a half is said to stand: what the rules decided, and how far the northbound holds it.
//!
//! What is shown is true of the packets: a peering is up until its rows are gone, and not before
//! OVN has acted on them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::declare::{Half, HalfKey, Host, NetworkKey, ShowRequests};
use crate::northbound::{Id, Northbound, UnitId};
use crate::peering::{Local, Reason, State, Verdict};
use crate::view::{NorthboundView, Viewer};

use super::damped::cause_of;
use super::damping::Cause;
use super::progress::{Progress, Stage};
use super::state;
use super::unbound::MOST_OF_PROJECT;
use super::writer::Writer;

/// Said of whatever is linked, or to be, while a newer version writes.
const NEWER_WRITES: &str =
    "a newer version of ovn-peerd has written to the northbound; this one writes nothing";

/// What tells where halves stand.
pub(super) struct Standings<'a> {
    pub(super) state: &'a state::State,
    /// As far as it was heard.
    pub(super) northbound: Option<&'a Northbound>,
    pub(super) connection: &'a NorthboundView,
    pub(super) progress: &'a Progress,
    pub(super) writer: &'a Writer,
    pub(super) northd_is_late: bool,
    /// Whether a newer version writes, and this one does not.
    pub(super) newer_writes: bool,
    /// Whether another instance declares by this host's name.
    pub(super) host_is_taken: bool,
}

/// A half's state as it is shown.
pub(super) struct Shown {
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    pub(super) explanation: Option<String>,
    pub(super) next_step: Option<String>,
    pub(super) degraded: Vec<String>,
    /// What keeps it from being all that it shall be for the moment; views show it, it is no news.
    pub(super) in_progress: Option<String>,
    /// Whether it is up only until its rows are gone.
    pub(super) leaves: bool,
}

impl Standings<'_> {
    /// Where a half stands, as its host's log says.
    pub(super) fn in_log(&self, key: &HalfKey) -> Option<Shown> {
        self.shown_to(key, &Viewer::Operator)
    }

    /// Where a half stands, as its owner reads it.
    pub(super) fn to_owner(&self, key: &HalfKey) -> Option<Shown> {
        let own = BTreeSet::from([Arc::clone(&key.network.project)]);
        self.shown_to(key, &Viewer::Tenant(Arc::new(own)))
    }

    fn shown_to(&self, key: &HalfKey, viewer: &Viewer) -> Option<Shown> {
        match self.state.resolver.said(key, &self.state.declarations) {
            Some(_) => Some(self.declared(key, viewer)),
            None => self.state.history.get(key).map(|_| Shown::deleted()),
        }
    }

    /// The network that a half asks and that has not answered, if it is there: whoever has no such
    /// network gets no request.
    pub(super) fn asks(&self, half: &HalfKey, shown: &Shown) -> Option<NetworkKey> {
        if shown.reason != Some(Reason::AwaitingPeer) {
            return None;
        }
        let declarations = &self.state.declarations;
        let target = &self.state.resolver.said(half, declarations)?.value.target;
        let asked = self.state.resolver.asked(target);
        declarations.is_bound(asked).then(|| asked.clone())
    }

    /// Whether the policy shows requests to those whom they ask.
    pub(super) fn discloses_requests(&self) -> bool {
        match self.state.policy().show_requests {
            ShowRequests::Targets => true,
            ShowRequests::Operators => false,
        }
    }

    /// Where a half stands that is declared.
    pub(super) fn declared(&self, key: &HalfKey, viewer: &Viewer) -> Shown {
        // What is decided by a first dump is shown once that is whole.
        let verdict = self.state.resolver.verdict(key).filter(|_| self.northbound.is_some());
        let mut shown = match verdict {
            Some(verdict) => self.decided(key, verdict, viewer),
            None => self.unreachable(viewer),
        };
        if shown.state == State::Active {
            shown.degraded.extend(self.state.guests.omitted(&key.network, viewer));
        }
        shown
    }

    fn decided(&self, key: &HalfKey, mut verdict: Verdict, viewer: &Viewer) -> Shown {
        let unsupported = verdict.reason == Some(Reason::UnsupportedRouter);
        if let (true, false) = (unsupported, viewer.is_operator())
            && let Some((text, step)) = self.guarded(key)
        {
            (verdict.explanation, verdict.next_step) = (Some(text), Some(step.to_owned()));
        }
        if self.state.unbound.waits(&key.network)
            && let Some(text) = &mut verdict.explanation
        {
            let project = &key.network.project;
            let _ = write!(
                text,
                "; other hosts do not know of it: {MOST_OF_PROJECT} networks of project {project} \
                 are registered already that no host binds"
            );
        }
        if self.newer_writes && (verdict.is_linked() || self.has_rows(key)) {
            return self.unwritten(key, verdict.degraded, viewer);
        }
        let Some(reason) = verdict.reason else {
            return self.linked(key, verdict.degraded, viewer);
        };
        let pair = self.state.resolver.pair_of(key);
        let linked = pair.is_some_and(|pair| self.state.resolver.link(pair).is_some());
        if !linked && self.has_rows(key) {
            return self.leaving(key, reason, verdict, viewer);
        }
        Shown {
            state: reason.state(),
            reason: Some(reason),
            explanation: verdict.explanation,
            next_step: verdict.next_step,
            degraded: verdict.degraded,
            in_progress: None,
            leaves: false,
        }
    }

    /// What the network's owner reads of its fault, where the whole would name others.
    fn guarded(&self, key: &HalfKey) -> Option<(String, &'static str)> {
        match self.state.resolver.networks().node(&key.network)?.local()? {
            Local::Fault(fault) => fault.guarded(&key.network),
            Local::Ready(_) => None,
        }
    }

    /// Whether the northbound, as far as it was heard, holds rows of the peering that a half is
    /// part of.
    fn has_rows(&self, key: &HalfKey) -> bool {
        let resolver = &self.state.resolver;
        let id = resolver.pair_of(key).and_then(|pair| resolver.id(pair));
        let found = self.northbound.zip(id);
        found.is_some_and(|(northbound, id)| northbound.has_rows(UnitId::Peering(id)))
    }

    /// Whether rows of a peering are there that shall not be, as the half that ended was part of
    /// it.
    pub(super) fn is_leaving(&self, half: &Half) -> bool {
        let resolver = &self.state.resolver;
        let pair = resolver.pair_for(half, &self.state.declarations);
        let pair = pair.filter(|pair| resolver.link(pair).is_none());
        let found = self.northbound.zip(pair);
        found.is_some_and(|(northbound, pair)| {
            northbound.has_rows(UnitId::Peering(Id::of_peering(&pair)))
        })
    }

    /// What shall not stand any more, as long as it does: packets pass until its rows are gone.
    fn leaving(&self, key: &HalfKey, reason: Reason, verdict: Verdict, viewer: &Viewer) -> Shown {
        let refusal = self.state.resolver.pair_of(key).and_then(|pair| {
            let refusal =
                self.writer.refusal(self.state.resolver.id(pair).map(UnitId::Peering)?)?;
            Some(words("the northbound refuses to remove its rows", &refusal.error, viewer))
        });
        let says = |why: &str| format!("it is to become {} ({reason}); {why}", reason.state());
        let (mut degraded, mut in_progress) = (Vec::new(), None);
        if !self.connection.synced {
            degraded.push(says("its rows are still in the northbound, which is out of reach"));
        } else if let Some(refusal) = refusal {
            degraded.push(says(&refusal));
        } else {
            in_progress = Some(says(self.removal()));
        }
        degraded.extend(verdict.explanation);
        let next_step = verdict.next_step;
        Shown {
            state: State::Active,
            reason: None,
            explanation: None,
            next_step,
            degraded,
            in_progress,
            leaves: true,
        }
    }

    /// What stands or is to stand while a newer version writes: up, as far as this one can see,
    /// where rows are there.
    fn unwritten(&self, key: &HalfKey, degraded: Vec<String>, viewer: &Viewer) -> Shown {
        let step = step("upgrade ovn-peerd on this host", viewer);
        let mut shown = Shown::waiting(Reason::NewerVersion, NEWER_WRITES, step);
        if self.has_rows(key) {
            shown.state = State::Active;
            shown.in_progress = shown.explanation.take();
        }
        Shown { degraded, ..shown }
    }

    /// What becomes of rows that shall not be there any more.
    pub(super) fn removal(&self) -> &'static str {
        if self.newer_writes {
            "its rows stay: a newer version of ovn-peerd writes, and this one does not"
        } else {
            "its rows are being removed"
        }
    }

    /// A link that shall stand: how far it has come.
    fn linked(&self, key: &HalfKey, mut degraded: Vec<String>, viewer: &Viewer) -> Shown {
        let resolver = &self.state.resolver;
        let pair = resolver.pair_of(key);
        let Some((pair, id)) = pair.and_then(|pair| Some((pair, resolver.id(pair)?))) else {
            return Shown::waiting(Reason::AwaitingCommit, "not decided yet", "wait");
        };
        let depth = resolver.depths().around(&key.network);
        degraded.extend(depth.map(|depth| deep(depth, viewer)));
        let unit = UnitId::Peering(id);
        degraded.extend(self.damped(key).map(Cause::words));
        let refusal = self.writer.refusal(unit).map(|refusal| refusal.error.as_str());
        match self.progress.stage(pair) {
            stage @ (Stage::Acted | Stage::Changed(_)) => {
                if matches!(stage, Stage::Changed(_)) && self.northd_is_late {
                    degraded.push(format!("{}: {NORTHD_IS_LATE}", Reason::AwaitingNorthd));
                }
                let mut in_progress = None;
                if let Some(error) = refusal {
                    degraded.push(words("the northbound refuses a change", error, viewer));
                } else if self.state.dirty.contains(unit) || self.writer.is_under_way(unit) {
                    in_progress = Some("its rows are being brought in line".into());
                }
                let (reason, explanation, next_step) = (None, None, None);
                Shown {
                    state: State::Active,
                    reason,
                    explanation,
                    next_step,
                    degraded,
                    in_progress,
                    leaves: false,
                }
            }
            Stage::Committed(_) => Shown::waiting(
                Reason::AwaitingNorthd,
                "the rows are in the northbound; ovn-northd has not acted on them yet",
                step("wait; if it lasts, check that ovn-northd runs", viewer),
            ),
            Stage::Uncommitted => match refusal {
                Some(error) => Shown {
                    state: State::Failed,
                    reason: Some(Reason::NorthboundRefused),
                    explanation: Some(words("the northbound refuses the rows", error, viewer)),
                    next_step: Some(
                        step("remove what is in the way; it is tried again by itself", viewer)
                            .to_owned(),
                    ),
                    degraded,
                    in_progress: None,
                    leaves: false,
                },
                None => self.uncommitted(key, unit, viewer),
            },
        }
    }

    /// Why its rows are damped, if they are.
    fn damped(&self, key: &HalfKey) -> Option<Cause> {
        cause_of(key, &self.state.resolver, &self.writer.damping)
    }

    fn uncommitted(&self, key: &HalfKey, unit: UnitId, viewer: &Viewer) -> Shown {
        if !self.connection.synced {
            return self.unreachable(viewer);
        }
        if self.host_is_taken {
            let explanation =
                "another ovn-peerd declares by this host's name; this one writes nothing";
            let next_step = step("give each host a name of its own ([daemon] host)", viewer);
            return Shown::waiting(Reason::HostNameInUse, explanation, next_step);
        }
        if self.writer.is_deferred(unit) {
            let explanation = "another instance holds the lock and writes";
            return Shown::waiting(Reason::Standby, explanation, "wait");
        }
        if let Some(cause) = self.damped(key) {
            let next_step = step(cause.next_step(), viewer);
            return Shown::waiting(cause.reason(), &cause.explanation(), next_step);
        }
        Shown::waiting(Reason::AwaitingCommit, "the rows are being written", "wait")
    }

    fn unreachable(&self, viewer: &Viewer) -> Shown {
        let explanation = match self.connection.error.as_deref() {
            Some(error) => words("the northbound is out of reach", error, viewer),
            None => "the northbound has not been read yet".to_owned(),
        };
        let next_step = step(
            "check that the northbound's ovsdb-server runs and that `remotes` is right",
            viewer,
        );
        Shown::waiting(Reason::NorthboundUnreachable, &explanation, next_step)
    }
}

impl Shown {
    pub(super) fn deleted() -> Self {
        Self {
            state: State::Deleted,
            reason: Some(Reason::Withdrawn),
            explanation: Some("the half was withdrawn; it is shown for a while yet".to_owned()),
            next_step: Some("none, or declare it again".to_owned()),
            degraded: Vec::new(),
            in_progress: None,
            leaves: false,
        }
    }

    /// A half that only hosts declare that may not declare for its project.
    pub(super) fn untrusted(half: &HalfKey, hosts: &[Host]) -> Self {
        let hosts: Vec<&str> = hosts.iter().map(AsRef::as_ref).collect();
        let (hosts, project) = (hosts.join(", "), &half.network.project);
        Self {
            state: State::Failed,
            reason: Some(Reason::UntrustedHost),
            explanation: Some(format!(
                "it is declared only on {hosts}, which may not declare for project {project}"
            )),
            next_step: Some(format!(
                "declare it on a host that may, or ask the operator to add {hosts} to `hosts` of \
                 [[project]] {project}"
            )),
            degraded: Vec::new(),
            in_progress: None,
            leaves: false,
        }
    }

    fn waiting(reason: Reason, explanation: &str, next_step: &str) -> Self {
        Self {
            state: State::Provisioning,
            reason: Some(reason),
            explanation: Some(explanation.to_owned()),
            next_step: Some(next_step.to_owned()),
            degraded: Vec::new(),
            in_progress: None,
            leaves: false,
        }
    }
}

/// What is said of a peering that stands while a change of it has no effect.
const NORTHD_IS_LATE: &str = "ovn-northd has not acted on the northbound for 10 seconds: a change \
     has no effect yet; what was there before goes on";

/// What happened, and to operators a server's own words about it.
fn words(what: &str, error: &str, viewer: &Viewer) -> String {
    if viewer.is_operator() { format!("{what}: {error}") } else { what.to_owned() }
}

/// That a mesh is deep. How deep follows from others' peerings: operators alone read the number.
fn deep(depth: usize, viewer: &Viewer) -> String {
    if viewer.is_operator() {
        return format!(
            "the routers that are linked with each other make a path of up to {depth} datapaths; \
             from 100 on, OVN drops what takes it"
        );
    }
    "the mesh of routers that this peering is part of is nearly too deep for OVN".to_owned()
}

/// What an operator can do about OVN, and an owner cannot.
fn step<'a>(of_operator: &'a str, viewer: &Viewer) -> &'a str {
    if viewer.is_operator() { of_operator } else { "wait; if it lasts, tell the operator" }
}
