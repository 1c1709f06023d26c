//! What the engine shows: a half, all halves, itself; and to whom.
//!
//! An owner is shown what concerns its halves, and of the other side's network what the rules let
//! it know (`peering::decide`). Rows, remotes and what OVN's servers say are the operator's: an
//! error of a batch may name what is somebody else's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::declare::{ConfiguredStatus, Half, HalfKey, Host, ManualRoute, PeeringKey, TableOf};
use crate::northbound::owner::address_set_name;
use crate::northbound::{End, Family, HalfRecord, Id, UnitId};
use crate::peering::report::Report;
use crate::peering::{Standing, Verdict, end_of};
use crate::program::summarise;
use crate::view::{
    Counters, FilteredView, HalfDetail, HalfView, NorthboundView, Reason, RouteView, RowView,
    State, StatusView, Viewer,
};

use super::Engine;
use super::progress::Stage;
use super::state::Unit;

impl Engine {
    /// All halves of all hosts, in order of project, network and name, as operators see them.
    #[must_use]
    pub fn list(&self) -> Vec<HalfView> {
        self.list_for(&Viewer::Operator)
    }

    /// The halves that a viewer sees, in order of project, network and name. For a tenant, the
    /// work follows its own halves, not all of them.
    #[must_use]
    pub fn list_for(&self, viewer: &Viewer) -> Vec<HalfView> {
        let (roll, history) = (&self.state.roll, &self.state.history);
        let halves = match viewer {
            Viewer::Operator => {
                let mut halves = roll.halves();
                halves.extend(history.halves().cloned());
                halves
            }
            Viewer::Tenant(own) => {
                let ended = own.iter().flat_map(|project| history.of_project(project)).cloned();
                let halves = own.iter().flat_map(|project| roll.halves_of_project(project));
                halves.chain(ended).collect()
            }
        };
        halves.iter().filter_map(|key| self.half_view(key, viewer)).collect()
    }

    /// One half in full, as operators see it.
    #[must_use]
    pub fn show(&self, key: &HalfKey) -> Option<HalfDetail> {
        self.show_for(&Viewer::Operator, key)
    }

    /// One half in full; none where there is none that the viewer sees.
    #[must_use]
    pub fn show_for(&self, viewer: &Viewer, key: &HalfKey) -> Option<HalfDetail> {
        if !viewer.sees(&key.network.project) {
            return None;
        }
        let (roll, resolver) = (&self.state.roll, &self.state.resolver);
        let half = match resolver.said(key, roll) {
            Some(said) => Cow::Borrowed(said.value),
            None => Cow::Owned(ended_half(key, self.state.history.get(key)?)),
        };
        let view = self.half_view(key, viewer)?;
        let report = resolver.report(&half, roll);
        let terms = half.terms();
        let id = Id::of_network(&key.network);
        Some(HalfDetail {
            configured_status: match half.configured_status {
                ConfiguredStatus::Active => "active".into(),
                ConfiguredStatus::Disabled => "disabled".into(),
            },
            config: half.config.clone(),
            file: roll.book.origin_of_half(key).map(|file| file.name.to_string()),
            router: roll.network(&key.network, None).map(|said| said.value.router.to_string()),
            export: terms.export.to_string(),
            import: terms.import.to_string(),
            max_prefixes: terms.max_prefixes,
            filtered: filtered(&report),
            routes: if half.has_manual_routes() { "manual" } else { "automatic" }.into(),
            manual_routes: routes(&report, &view),
            half: view,
            local_prefixes: report.announced,
            remote_prefixes: report.taken,
            address_sets: Family::BOTH.map(|family| address_set_name(id, family)).to_vec(),
            rows: if viewer.is_operator() { self.rows(key) } else { Vec::new() },
        })
    }

    /// The daemon's own state. Costs what changed since it was last asked or told.
    #[must_use]
    pub fn status(&mut self) -> StatusView {
        self.tell_states();
        let book = &self.state.roll.book;
        let halves = if self.northbound.is_some() {
            self.notices.states().clone()
        } else {
            let waiting = Some(book.count()).filter(|count| *count != 0);
            waiting.map(|count| (State::Provisioning, count)).into_iter().collect()
        };
        let held = book.held().into_iter().flat_map(|held| &held.withdrawals);
        StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            host: self.state.roll.host().to_string(),
            northbound: self.northbound_view(),
            halves,
            diagnostics: book.diagnostics().map(ToString::to_string).collect(),
            held: held.map(ToString::to_string).collect(),
            newer: self.newer_view(),
            counters: self.counters(),
        }
    }

    /// Work done since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// What a newer version keeps, in lines that are not too many.
    fn newer_view(&self) -> Vec<String> {
        let registrations = self.state.resolver.newer().registrations();
        let more = registrations.len().saturating_sub(MOST_NEWER_TOLD);
        let line = |newer: &crate::peering::newer::Registration| match &newer.network {
            Some(network) => format!("{network}: version {}", newer.version),
            None => format!("a network without a readable name: version {}", newer.version),
        };
        let mut lines: Vec<String> = registrations.take(MOST_NEWER_TOLD).map(line).collect();
        lines.extend((more != 0).then(|| format!("and {more} more")));
        lines
    }

    fn northbound_view(&self) -> NorthboundView {
        let northbound = self.northbound.as_ref();
        NorthboundView {
            nb_cfg: northbound.and_then(crate::northbound::Northbound::nb_cfg),
            sb_cfg: northbound.and_then(crate::northbound::Northbound::sb_cfg),
            ..self.connection.clone()
        }
    }

    /// How many prefixes cross a half's link: out, in.
    fn exchanged(&self, key: &HalfKey) -> (usize, usize) {
        let resolver = &self.state.resolver;
        let counts = |key: &HalfKey| {
            let pair = resolver.pair_of(key)?;
            let (link, end) = (resolver.link(pair)?, end_of(pair, &key.network));
            Some((link.end(end).prefixes.len(), link.end(end.other()).prefixes.len()))
        };
        counts(key).unwrap_or_default()
    }

    /// One half in a list.
    pub(super) fn half_view(&self, key: &HalfKey, viewer: &Viewer) -> Option<HalfView> {
        let roll = &self.state.roll;
        let Some(said) = self.state.resolver.said(key, roll) else {
            let record = self.state.history.get(key)?;
            let half = ended_half(key, record);
            return Some(view(&half, Vec::new(), Shown::deleted(), Some(record.since), (0, 0)));
        };
        let half = said.value;
        let shown = match self.state.resolver.verdict(key) {
            Some(verdict) => self.shown(key, verdict, viewer),
            None => self.shown_unreachable(viewer),
        };
        let since = self.state.since(key);
        Some(view(half, roll.hosts_of_half(key), shown, since, self.exchanged(key)))
    }

    fn shown(&self, key: &HalfKey, verdict: Verdict, viewer: &Viewer) -> Shown {
        let state = match verdict.standing {
            Standing::Linked => return self.shown_linked(key, verdict.degraded, viewer),
            Standing::Pending => (State::PendingPeer, Reason::AwaitingPeer),
            Standing::Disconnected => (State::Disconnected, Reason::PeerWithdrew),
            Standing::Rejected => (State::Rejected, Reason::PeerRejected),
            Standing::Expired => (State::Expired, Reason::RequestExpired),
            Standing::Disabled => (State::Disabled, Reason::AdministrativelyDown),
            Standing::PeerDisabled => (State::PeerDisabled, Reason::PeerAdministrativelyDown),
            Standing::Failed(Reason::NewerVersion) => return self.shown_kept(key, verdict, viewer),
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

    /// What a newer version keeps: up, as far as can be seen, where its rows are there.
    fn shown_kept(&self, key: &HalfKey, verdict: Verdict, viewer: &Viewer) -> Shown {
        let resolver = &self.state.resolver;
        let id = resolver.pair_of(key).and_then(|pair| resolver.id(pair));
        let rows = self.northbound.as_ref().zip(id);
        let mut rows =
            rows.into_iter().flat_map(|(northbound, id)| northbound.rows_of(UnitId::Peering(id)));
        let stands = rows.next().is_some();
        let next_step = verdict.next_step.as_deref().map(|text| step(text, viewer).to_owned());
        let (state, explanation, degraded) = if stands {
            (State::Active, None, verdict.explanation.into_iter().collect())
        } else {
            (State::Failed, verdict.explanation, Vec::new())
        };
        Shown { state, reason: Some(Reason::NewerVersion), explanation, next_step, degraded }
    }

    /// A link that shall stand: how far it has come.
    fn shown_linked(&self, key: &HalfKey, mut degraded: Vec<String>, viewer: &Viewer) -> Shown {
        let Some(pair) = self.state.resolver.pair_of(key) else {
            return Shown::waiting(Reason::AwaitingCommit, "not decided yet", "wait");
        };
        let unit = Unit::Pair(pair.clone());
        let refusal = self.writer.refusal(&unit).map(|refusal| refusal.error.as_str());
        match self.progress.stage(pair) {
            Stage::Acted => {
                if let Some(error) = refusal {
                    degraded.push(words("the northbound refuses a change", error, viewer));
                } else if self.state.dirty.contains(&unit) || self.writer.is_under_way(&unit) {
                    degraded.push("its rows are being brought in line".into());
                }
                let (reason, explanation, next_step) = (None, None, None);
                Shown { state: State::Active, reason, explanation, next_step, degraded }
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
                },
                None => self.shown_uncommitted(&unit, viewer),
            },
        }
    }

    fn shown_uncommitted(&self, unit: &Unit, viewer: &Viewer) -> Shown {
        if !self.connection.synced {
            return self.shown_unreachable(viewer);
        }
        if self.writer.is_parked(unit) {
            let explanation = "another instance holds the lock and writes";
            return Shown::waiting(Reason::Standby, explanation, "wait");
        }
        Shown::waiting(Reason::AwaitingCommit, "the rows are being written", "wait")
    }

    fn shown_unreachable(&self, viewer: &Viewer) -> Shown {
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

/// So many registrations of a newer version are named in the status at the most.
const MOST_NEWER_TOLD: usize = 16;

/// A half's state as it is shown.
struct Shown {
    state: State,
    reason: Option<Reason>,
    explanation: Option<String>,
    next_step: Option<String>,
    degraded: Vec<String>,
}

/// What is still known of a half that nobody declares any more.
fn ended_half(key: &HalfKey, record: &HalfRecord) -> Half {
    Half {
        key: key.clone(),
        target: record.target(),
        description: String::new(),
        configured_status: ConfiguredStatus::Active,
        config: BTreeMap::new(),
        requested: None,
        exchange: None,
    }
}

impl Shown {
    fn deleted() -> Self {
        Self {
            state: State::Deleted,
            reason: Some(Reason::Withdrawn),
            explanation: Some("the half was withdrawn; it is shown for a while yet".to_owned()),
            next_step: Some("none, or declare it again".to_owned()),
            degraded: Vec::new(),
        }
    }

    fn waiting(reason: Reason, explanation: &str, next_step: &str) -> Self {
        Self {
            state: State::Provisioning,
            reason: Some(reason),
            explanation: Some(explanation.to_owned()),
            next_step: Some(next_step.to_owned()),
            degraded: Vec::new(),
        }
    }
}

/// What happened, and to operators a server's own words about it.
fn words(what: &str, error: &str, viewer: &Viewer) -> String {
    if viewer.is_operator() { format!("{what}: {error}") } else { what.to_owned() }
}

/// What an operator can do about OVN, and an owner cannot.
fn step<'a>(of_operator: &'a str, viewer: &Viewer) -> &'a str {
    if viewer.is_operator() { of_operator } else { "wait; if it lasts, tell the operator" }
}

/// What is not exchanged.
fn filtered(report: &Report) -> Vec<FilteredView> {
    let of = |side: &'static str| {
        move |(prefix, why): &(ipnet::IpNet, String)| FilteredView {
            prefix: *prefix,
            side: side.to_owned(),
            explanation: why.clone(),
        }
    };
    let local = report.held_back.iter().map(of("local"));
    local.chain(report.refused.iter().map(of("remote"))).collect()
}

/// The manual routes; a peering that is not active has none yet (S1.30).
fn routes(report: &Report, half: &HalfView) -> Vec<RouteView> {
    let view = |(route, why): &(ManualRoute, Option<String>)| {
        let waits = (half.state != State::Active)
            .then(|| format!("the peering is {}; the route waits until it is active", half.state));
        RouteView {
            destination: route.destination,
            for_table: match &route.table {
                TableOf::Name(name) if name.is_empty() => None,
                TableOf::Name(name) => Some(format!("table {name}")),
                TableOf::Subnet(subnet) => Some(format!("subnet {subnet}")),
            },
            installed: waits.is_none() && why.is_none(),
            explanation: waits.or_else(|| why.clone()),
        }
    };
    report.routes.iter().map(view).collect()
}

fn view(
    half: &Half,
    hosts: Vec<Host>,
    shown: Shown,
    since: Option<jiff::Timestamp>,
    (exported, imported): (usize, usize),
) -> HalfView {
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
        hosts: hosts.iter().map(ToString::to_string).collect(),
        exported,
        imported,
    }
}
