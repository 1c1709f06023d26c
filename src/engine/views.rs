//! What the engine shows: a half, all halves, itself; and to whom.
//!
//! An owner is shown what concerns its halves, and of the other side's network what the rules let
//! it know (`peering::decide`). Rows, remotes and what OVN's servers say are the operator's: an
//! error of a batch may name what is somebody else's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::declare::{
    ConfiguredStatus, Diagnostic, Half, HalfKey, Host, ManualRoute, PeeringKey, Severity, TableOf,
};
use crate::northbound::owner::address_set_name;
use crate::northbound::tables::{LOGICAL_SWITCH, SWITCH_PORT};
use crate::northbound::{End, Family, HalfRecord, Id, UnitId};
use crate::peering::end_of;
use crate::peering::report::{Report, report};
use crate::program::summarise;
use crate::view::{
    Counters, DiagnosticsView, FilteredView, HalfDetail, HalfView, NorthboundView, RouteView,
    RowView, State, StatusView, Viewer,
};

use super::Engine;
use super::shown::Shown;

/// So many entries of each list are in the status; other commands show all of them.
const MOST_IN_STATUS: usize = 32;
/// So many diagnostics are listed. Nobody reads more of them at a time.
const MOST_DIAGNOSTICS: usize = 1000;

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
        let (declarations, history) = (&self.state.declarations, &self.state.history);
        let halves = match viewer {
            Viewer::Operator => {
                let mut halves = declarations.halves();
                halves.extend(history.halves().cloned());
                halves.extend(declarations.unbelieved_halves(None));
                halves
            }
            Viewer::Tenant(own) => {
                let ended = own.iter().flat_map(|project| history.of_project(project)).cloned();
                let halves = own.iter().flat_map(|project| declarations.halves_of_project(project));
                let unbelieved =
                    own.iter().flat_map(|project| declarations.unbelieved_halves(Some(project)));
                halves.chain(ended).chain(unbelieved).collect()
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
        let (declarations, resolver) = (&self.state.declarations, &self.state.resolver);
        let half = match (resolver.said(key, declarations), declarations.unbelieved_half(key)) {
            (Some(said), _) => Cow::Borrowed(said.value),
            (None, Some((half, _))) => Cow::Borrowed(half),
            (None, None) => Cow::Owned(ended_half(key, self.state.history.get(key)?)),
        };
        let view = self.half_view(key, viewer)?;
        let report = report(resolver, &half, declarations);
        let id = Id::of_network(&key.network);
        Some(HalfDetail {
            configured_status: match half.configured_status {
                ConfiguredStatus::Active => "active".into(),
                ConfiguredStatus::Disabled => "disabled".into(),
            },
            config: half.config.clone(),
            file: declarations.local.origin_of_half(key).map(|giver| giver.file.name.to_string()),
            router: declarations
                .network(&key.network, || None)
                .map(|said| said.value.router.to_string()),
            terms: half.terms().shown(),
            filtered: filtered(&report),
            manual_routes: routes(&report, &view),
            half: view,
            local_prefixes: report.announced,
            remote_prefixes: report.taken,
            guests: self.guests_view(&key.network),
            address_sets: Family::BOTH.map(|family| address_set_name(id, family)).to_vec(),
            rows: if viewer.is_operator() { self.rows(key) } else { Vec::new() },
        })
    }

    /// The daemon's own state. Costs what changed since changes were last drawn.
    #[must_use]
    pub fn status(&self) -> StatusView {
        let local = &self.state.declarations.local;
        let halves = if self.northbound.is_some() {
            let mut halves = self.states();
            let unbelieved = self.state.declarations.unbelieved_halves(None);
            let history = &self.state.history;
            let both = unbelieved.iter().filter(|half| history.get(half).is_some()).count();
            let counts =
                [(State::Deleted, history.len() - both), (State::Failed, unbelieved.len())];
            for (state, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
                *halves.entry(state).or_default() += count;
            }
            halves
        } else {
            let waiting = Some(local.count()).filter(|count| *count != 0);
            waiting.map(|count| (State::Provisioning, count)).into_iter().collect()
        };
        let faults = || self.settings_faults.iter().chain(local.diagnostics());
        let (diagnostics, more_diagnostics) = first(faults(), MOST_IN_STATUS);
        let withdrawals = local.held().map(|held| &*held.withdrawals).unwrap_or_default();
        let (held, more_held) = first(withdrawals, MOST_IN_STATUS);
        let problems = self.state.declarations.host_problems();
        let (host_problems, more_host_problems) = first(problems, MOST_IN_STATUS);
        StatusView {
            version: env!("CARGO_PKG_VERSION").into(),
            host: self.state.declarations.host().to_string(),
            host_name_in_use: self.identity.is_taken(),
            host_problems,
            more_host_problems,
            northbound: self.northbound_view(),
            halves,
            errors: errors(faults()),
            diagnostics,
            more_diagnostics,
            held,
            more_held,
            held_seen: local.held().map(|held| held.seen.clone()),
            newer_version: self.newer,
            damped: self.damped_view(),
            counters: self.counters(),
        }
    }

    /// What is wrong with the settings and the declaration files; a tenant sees those of its own files.
    #[must_use]
    pub fn diagnostics(&self, viewer: &Viewer) -> DiagnosticsView {
        let local = &self.state.declarations.local;
        let found: Vec<&Diagnostic> = match viewer {
            Viewer::Operator => self.settings_faults.iter().chain(local.diagnostics()).collect(),
            Viewer::Tenant(own) => local.diagnostics_of(own).collect(),
        };
        let errors = errors(found.iter().copied());
        let (mut texts, more) = first(found, MOST_DIAGNOSTICS);
        if more > 0 {
            texts.push(format!("and {more} more: correct these first, then look again"));
        }
        DiagnosticsView { errors, texts }
    }

    /// Whether the northbound is connected and read in full.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.connection.synced
    }

    /// Work done since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn northbound_view(&self) -> NorthboundView {
        let northbound = self.northbound.as_deref();
        NorthboundView {
            nb_cfg: northbound.and_then(crate::northbound::Northbound::nb_cfg),
            sb_cfg: northbound.and_then(crate::northbound::Northbound::sb_cfg),
            refusal: self.troubles.view(),
            certificates: self.expiry.view(self.last.map(|last| last.wall)),
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

    /// Where a half stands that is declared.
    fn shown_declared(&self, key: &HalfKey, viewer: &Viewer) -> Shown {
        // What is decided by a first dump is shown once that is whole.
        let mut shown = match self.state.resolver.verdict(key).filter(|_| self.northbound.is_some())
        {
            Some(verdict) => self.shown(key, verdict, viewer),
            None => self.shown_unreachable(viewer),
        };
        if shown.state == State::Active {
            shown.degraded.extend(self.omitted_routes(&key.network, viewer));
        }
        shown
    }

    /// Where a half stands, as its host's log says.
    pub(super) fn shown_in_log(&self, key: &HalfKey) -> Option<Shown> {
        match self.state.resolver.said(key, &self.state.declarations) {
            Some(_) => Some(self.shown_declared(key, &Viewer::Operator)),
            None => self.state.history.get(key).map(|_| Shown::deleted()),
        }
    }

    /// One half in a list.
    pub(super) fn half_view(&self, key: &HalfKey, viewer: &Viewer) -> Option<HalfView> {
        let declarations = &self.state.declarations;
        let Some(said) = self.state.resolver.said(key, declarations) else {
            if let Some((half, hosts)) = declarations.unbelieved_half(key) {
                let since = self.state.history.get(key).map(|record| record.since);
                let shown = Shown::untrusted(key, &hosts);
                return Some(view(half, hosts, shown, since, (0, 0)));
            }
            let record = self.state.history.get(key)?;
            let half = ended_half(key, record);
            let mut shown = Shown::deleted();
            shown.in_progress = self.is_leaving(&half).then(|| self.removal().to_owned());
            return Some(HalfView {
                guests_since: self.guests_since(&key.network),
                ..view(&half, Vec::new(), shown, Some(record.since), (0, 0))
            });
        };
        let half = said.value;
        let shown = self.shown_declared(key, viewer);
        let since =
            if shown.leaves { self.state.recorded_since(key) } else { self.state.since(key) };
        Some(HalfView {
            guests_since: self.guests_since(&key.network),
            ..view(half, declarations.hosts_of_half(key), shown, since, self.exchanged(key))
        })
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
            .filter(|(table, uuid, _)| {
                let of_switch = [LOGICAL_SWITCH, SWITCH_PORT].contains(table);
                of_switch || northbound.parents_of(*uuid).any(|of| of == router)
            })
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

/// The first in words, and how many more there are.
fn first<T: ToString>(all: impl IntoIterator<Item = T>, most: usize) -> (Vec<String>, usize) {
    let mut all = all.into_iter();
    let named = all.by_ref().take(most).map(|it| it.to_string()).collect();
    (named, all.count())
}

fn errors<'a>(faults: impl Iterator<Item = &'a Diagnostic>) -> usize {
    faults.filter(|it| it.severity == Severity::Error).count()
}

/// What is still known of a half that nobody declares any more.
fn ended_half(key: &HalfKey, record: &HalfRecord) -> Half {
    Half {
        key: key.clone(),
        target: record.target().clone(),
        description: String::new(),
        configured_status: ConfiguredStatus::Active,
        config: BTreeMap::new(),
        requested: None,
        terms: None,
    }
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

/// The manual routes; a peering that is not active has none yet.
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
        degraded: shown.in_progress.into_iter().chain(shown.degraded).collect(),
        description: half.description.clone(),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        exported,
        imported,
        guests_since: None,
    }
}
