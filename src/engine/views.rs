//! What the engine shows: a half, all halves, itself.

use crate::declare::{ConfiguredStatus, Half, HalfKey, PeeringKey};
use crate::northbound::owner::address_set_name;
use crate::northbound::{End, Family, Id, UnitId};
use crate::peering::{Local, Standing, Verdict, end_of};
use crate::program::summarise;
use crate::view::{
    Counters, HalfDetail, HalfView, NorthboundView, Reason, RowView, State, StatusView,
};

use super::Engine;
use super::progress::Stage;
use super::state::Unit;

impl Engine {
    /// All halves, in order of project, network and name.
    #[must_use]
    pub fn list(&self) -> Vec<HalfView> {
        self.state.book.halves().filter_map(|half| self.half_view(&half.key)).collect()
    }

    /// One half in full.
    #[must_use]
    pub fn show(&self, key: &HalfKey) -> Option<HalfDetail> {
        let book = &self.state.book;
        let half = book.half(key)?;
        let network = book.network(&key.network);
        let (local, remote) = self.prefixes(key);
        let id = Id::of_network(&key.network);
        Some(HalfDetail {
            half: self.half_view(key)?,
            configured_status: match half.configured_status {
                ConfiguredStatus::Active => "active".into(),
                ConfiguredStatus::Disabled => "disabled".into(),
            },
            config: half.config.clone(),
            file: book.origin_of_half(key).map(|file| file.name.to_string()),
            router: network.map(|network| network.router.to_string()),
            local_prefixes: local,
            remote_prefixes: remote,
            address_sets: Family::BOTH.map(|family| address_set_name(id, family)).to_vec(),
            rows: self.rows(key),
        })
    }

    /// The daemon's own state. Costs what changed since it was last asked or told.
    #[must_use]
    pub fn status(&mut self) -> StatusView {
        self.tell_states();
        let book = &self.state.book;
        let halves = if self.northbound.is_some() {
            self.notices.states().clone()
        } else {
            let waiting = Some(book.count()).filter(|count| *count != 0);
            waiting.map(|count| (State::Provisioning, count)).into_iter().collect()
        };
        let held = book.held().into_iter().flat_map(|held| &held.withdrawals);
        StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            host: self.state.host.clone(),
            northbound: self.northbound_view(),
            halves,
            diagnostics: book.diagnostics().map(ToString::to_string).collect(),
            held: held.map(ToString::to_string).collect(),
            counters: self.counters(),
        }
    }

    /// Work done since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn northbound_view(&self) -> NorthboundView {
        let northbound = self.northbound.as_ref();
        NorthboundView {
            nb_cfg: northbound.and_then(crate::northbound::Northbound::nb_cfg),
            sb_cfg: northbound.and_then(crate::northbound::Northbound::sb_cfg),
            ..self.connection.clone()
        }
    }

    /// One half in a list.
    pub(super) fn half_view(&self, key: &HalfKey) -> Option<HalfView> {
        let half = self.state.book.half(key)?;
        let shown = match self.state.resolver.verdict(key) {
            Some(verdict) => self.shown(key, verdict),
            None => Shown::waiting(Reason::NorthboundUnreachable, &self.unreachable()),
        };
        Some(view(half, shown, self.state.since(key)))
    }

    fn shown(&self, key: &HalfKey, verdict: Verdict) -> Shown {
        let state = match verdict.standing {
            Standing::Linked => return self.shown_linked(key, verdict.degraded),
            Standing::Pending => (State::PendingPeer, Reason::AwaitingPeer),
            Standing::Disconnected => (State::Disconnected, Reason::PeerWithdrew),
            Standing::Disabled => (State::Disabled, Reason::AdministrativelyDown),
            Standing::PeerDisabled => (State::PeerDisabled, Reason::PeerAdministrativelyDown),
            Standing::Failed(reason) => (State::Failed, reason),
        };
        Shown {
            state: state.0,
            reason: Some(state.1),
            explanation: verdict.explanation,
            next_step: verdict.next_step,
            degraded: verdict.degraded,
        }
    }

    /// A link that shall stand: how far it has come.
    fn shown_linked(&self, key: &HalfKey, mut degraded: Vec<String>) -> Shown {
        let Some(pair) = self.state.resolver.pair_of(key) else {
            return Shown::waiting(Reason::AwaitingCommit, "not decided yet");
        };
        let unit = Unit::Pair(pair.clone());
        let refusal = self.writer.refusal(&unit);
        match self.progress.stage(pair) {
            Stage::Acted => {
                if let Some(refusal) = refusal {
                    degraded.push(format!("the northbound refuses a change: {}", refusal.error));
                } else if self.state.dirty.contains(&unit) || self.writer.is_under_way(&unit) {
                    degraded.push("its rows are being brought in line".into());
                }
                let (reason, explanation, next_step) = (None, None, None);
                Shown { state: State::Active, reason, explanation, next_step, degraded }
            }
            Stage::Committed(_) => Shown::waiting(
                Reason::AwaitingNorthd,
                "the rows are in the northbound; ovn-northd has not acted on them yet",
            ),
            Stage::Uncommitted => match refusal {
                Some(refusal) => Shown {
                    state: State::Failed,
                    reason: Some(Reason::NorthboundRefused),
                    explanation: Some(format!(
                        "the northbound refuses the rows: {}",
                        refusal.error
                    )),
                    next_step: Some(
                        "remove what is in the way; it is tried again by itself".into(),
                    ),
                    degraded,
                },
                None => self.shown_uncommitted(),
            },
        }
    }

    fn shown_uncommitted(&self) -> Shown {
        if !self.connection.synced {
            return Shown::waiting(Reason::NorthboundUnreachable, &self.unreachable());
        }
        if !self.connection.active {
            return Shown::waiting(Reason::Standby, "another instance holds the lock and writes");
        }
        if !self.state.book.ready() {
            let waiting = Shown::waiting(
                Reason::AwaitingCommit,
                "a directory of declarations could not be read since the start; nothing is written until it is",
            );
            let next_step = "bring the directory back that `ovn-peerctl status` names";
            return Shown { next_step: Some(next_step.to_owned()), ..waiting };
        }
        Shown::waiting(Reason::AwaitingCommit, "the rows are being written")
    }

    fn unreachable(&self) -> String {
        match &self.connection.error {
            Some(error) => format!("the northbound is out of reach: {error}"),
            None => "the northbound has not been read yet".into(),
        }
    }

    /// What each side announces; the other side's only once both have consented.
    fn prefixes(&self, key: &HalfKey) -> (Vec<ipnet::IpNet>, Vec<ipnet::IpNet>) {
        let resolver = &self.state.resolver;
        let node = resolver.networks().node(&key.network);
        let local = match node.and_then(crate::peering::Node::local) {
            Some(Local::Ready(ready)) => ready.prefixes.clone(),
            Some(Local::Fault(_)) | None => Vec::new(),
        };
        let remote = resolver.pair_of(key).and_then(|pair| {
            let end = end_of(pair, &key.network).other();
            resolver.link(pair).map(|link| link.end(end).prefixes.clone())
        });
        (local, remote.unwrap_or_default())
    }

    /// The rows on this side's router.
    fn rows(&self, key: &HalfKey) -> Vec<RowView> {
        let resolver = &self.state.resolver;
        let (Some(northbound), Some(pair)) = (&self.northbound, resolver.pair_of(key)) else {
            return Vec::new();
        };
        let (Some(id), Some(router)) = (resolver.id(pair), self.router(pair, key)) else {
            return Vec::new();
        };
        let mut rows: Vec<RowView> = northbound
            .rows_of(UnitId::Peering(id))
            .filter(|(_, uuid, _)| northbound.inventory().router_of(*uuid) == Some(router))
            .map(|(table, uuid, row)| summarise(table, Some(uuid), row))
            .collect();
        rows.sort();
        rows
    }

    fn router(&self, pair: &PeeringKey, key: &HalfKey) -> Option<uuid::Uuid> {
        let end: End = end_of(pair, &key.network);
        let link = self.state.resolver.link(pair);
        link.map(|link| link.end(end).router)
            .or_else(|| self.state.resolver.networks().router_of(&key.network))
    }
}

/// A half's state as it is shown.
struct Shown {
    state: State,
    reason: Option<Reason>,
    explanation: Option<String>,
    next_step: Option<String>,
    degraded: Vec<String>,
}

impl Shown {
    fn waiting(reason: Reason, explanation: &str) -> Self {
        Self {
            state: State::Provisioning,
            reason: Some(reason),
            explanation: Some(explanation.to_owned()),
            next_step: Some(next_step(reason).to_owned()),
            degraded: Vec::new(),
        }
    }
}

/// What to do about a link that has not come all the way.
fn next_step(reason: Reason) -> &'static str {
    if reason == Reason::AwaitingNorthd {
        return "wait; if it lasts, check that ovn-northd runs";
    }
    if reason == Reason::NorthboundUnreachable {
        return "check that the northbound's ovsdb-server runs and that `remotes` is right";
    }
    "wait"
}

fn view(half: &Half, shown: Shown, since: Option<jiff::Timestamp>) -> HalfView {
    HalfView {
        project: half.key.network.project.to_string(),
        network: half.key.network.name.to_string(),
        name: half.key.name.to_string(),
        target_project: half.target.project.to_string(),
        target_network: half.target.name.to_string(),
        state: shown.state,
        reason: shown.reason,
        explanation: shown.explanation,
        since,
        next_step: shown.next_step,
        degraded: shown.degraded,
        description: half.description.clone(),
    }
}
