//! What the engine shows: a half, all halves, itself; and to whom.
//!
//! An owner is shown what concerns its halves, and of the other side's network what the rules let
//! it know (`peering::decide`). Rows, remotes and what OVN's servers say are the operator's: an
//! error of a batch may name what is somebody else's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::declare::{
    ConfiguredStatus, Diagnostic, Half, HalfKey, HeldPart, Host, LocalDeclarations, ManualRoute,
    PeeringKey, Severity, TableOf, default_of_network, uuid_of_half, uuid_of_network, written,
};
use crate::northbound::owner::address_set_name;
use crate::northbound::tables::{ADDRESS_SET, LOGICAL_SWITCH, SWITCH_PORT};
use crate::northbound::{End, Family, HalfRecord, Id, UnitId};
use crate::peering::report::{Report, report};
use crate::peering::{Resolver, end_of, key_of_end};
use crate::program::{Served, summarise};
use crate::view::{
    AttentionView, DiagnosticsView, FilteredView, HalfDetail, HalfView, NorthboundView, RouteView,
    RowView, State, StatusView, Viewer,
};

use super::balanced::{is_for, virtual_addresses};
use super::gateway::gateway;
use super::named::{is_told_to, names};
use super::shown::{Shown, Standings};
use super::through::through;
use super::traffic::{is_of_guard, traffic};
use super::{Engine, catalog, damped};

/// So many entries of each list are in the status; other commands show all of them.
const MOST_IN_STATUS: usize = 32;
/// So many diagnostics are listed. Nobody reads more of them at a time.
const MOST_DIAGNOSTICS: usize = 1000;

/// The halves that a viewer sees, in order of project, network and name.
pub(super) fn list(standings: &Standings<'_>, viewer: &Viewer) -> Vec<HalfView> {
    let (declarations, history) = (&standings.state.declarations, &standings.state.history);
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
    halves.iter().filter_map(|key| half_view(standings, key, viewer)).collect()
}

/// One half in full; none where there is none that the viewer sees.
pub(super) fn show(
    standings: &Standings<'_>,
    viewer: &Viewer,
    key: &HalfKey,
) -> Option<HalfDetail> {
    if !viewer.sees(&key.network.project) {
        return None;
    }
    let (declarations, resolver) = (&standings.state.declarations, &standings.state.resolver);
    let half = match (resolver.said(key, declarations), declarations.unbelieved_half(key)) {
        (Some(said), _) => Cow::Borrowed(said.value),
        (None, Some((half, _))) => Cow::Borrowed(half),
        (None, None) => Cow::Owned(ended_half(key, standings.state.history.get(key)?)),
    };
    let view = half_view(standings, key, viewer)?;
    let report = report(resolver, &half, declarations);
    let id = Id::of_network(&key.network);
    let place = declarations.local.place_of_half(key);
    let bound = declarations.network(&key.network, || None);
    Some(HalfDetail {
        configured_status: match half.configured_status {
            ConfiguredStatus::Active => "active".into(),
            ConfiguredStatus::Disabled => "disabled".into(),
        },
        config: half.config.clone(),
        file: declarations.local.origin_of_half(key).map(|giver| giver.file.name.to_string()),
        path: place.map(|(path, _)| path.to_owned()),
        line: place.map(|(_, line)| line),
        stored: catalog::stored(standings.state, key),
        declaration: (view.state != State::Deleted)
            .then(|| written(&key.network.project, [&*half], [])),
        network_uuid: bound
            .as_ref()
            .map_or_else(|| default_of_network(&key.network), |said| uuid_of_network(said.value)),
        router: bound.map(|said| said.value.router.to_string()),
        terms: half.terms().shown(),
        filtered: filtered(&report),
        traffic: traffic(standings, key),
        gateway_in_use: gateway(standings, key),
        through: through(standings, key),
        manual_routes: routes(&report, &view),
        virtual_addresses: virtual_addresses(resolver, key),
        names: names(resolver, key),
        half: view,
        local_prefixes: report.announced,
        remote_prefixes: report.taken,
        guests: standings.state.guests.view(&key.network),
        address_sets: Family::BOTH.map(|family| address_set_name(id, family)).to_vec(),
        rows: if viewer.is_operator() { rows(standings, key) } else { Vec::new() },
    })
}

/// The daemon's own state. Costs what changed since changes were last drawn.
pub(super) fn status(engine: &Engine) -> StatusView {
    let local = &engine.state.declarations.local;
    let halves = if engine.northbound.is_some() {
        let mut halves = BTreeMap::new();
        for ((state, _), count) in engine.changes.counts(&engine.standings()).each() {
            *halves.entry(state).or_default() += count;
        }
        let unbelieved = engine.state.declarations.unbelieved_halves(None);
        let history = &engine.state.history;
        let both = unbelieved.iter().filter(|half| history.get(half).is_some()).count();
        let counts = [(State::Deleted, history.len() - both), (State::Failed, unbelieved.len())];
        for (state, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
            *halves.entry(state).or_default() += count;
        }
        halves
    } else {
        let waiting = Some(local.count()).filter(|count| *count != 0);
        waiting.map(|count| (State::Provisioning, count)).into_iter().collect()
    };
    let faults = || engine.settings_faults.iter().chain(local.diagnostics());
    let (diagnostics, more_diagnostics) = first_diagnostics(faults(), MOST_IN_STATUS);
    let withdrawals = local.held().map(|held| &*held.withdrawals).unwrap_or_default();
    let (held, more_held) = first(withdrawals, MOST_IN_STATUS);
    let problems = engine.state.declarations.host_problems();
    let (host_problems, more_host_problems) = first(problems, MOST_IN_STATUS);
    StatusView {
        version: env!("CARGO_PKG_VERSION").into(),
        host: engine.state.declarations.host().to_string(),
        host_name_in_use: engine.identity.is_taken(),
        host_problems,
        more_host_problems,
        northbound: northbound_view(engine),
        halves,
        errors: errors(faults()),
        diagnostics,
        more_diagnostics,
        held,
        more_held,
        held_seen: local.held().map(|held| held.seen.clone()),
        newer_version: engine.gate.newer(),
        damped: damped::lines(&engine.state, &engine.writer.damping),
        counters: engine.counters,
    }
}

/// What is wrong with the settings and the declaration files; a tenant sees those of its own files.
pub(super) fn diagnostics(
    settings_faults: &[Diagnostic],
    local: &LocalDeclarations,
    viewer: &Viewer,
) -> DiagnosticsView {
    let found = found_by(settings_faults, local, viewer);
    let errors = errors(found.iter().copied());
    let (diagnostics, more_diagnostics) = first_diagnostics(found, MOST_DIAGNOSTICS);
    DiagnosticsView { errors, diagnostics, more_diagnostics }
}

fn found_by<'a>(
    settings_faults: &'a [Diagnostic],
    local: &'a LocalDeclarations,
    viewer: &'a Viewer,
) -> Vec<&'a Diagnostic> {
    match viewer {
        Viewer::Operator => settings_faults.iter().chain(local.diagnostics()).collect(),
        Viewer::Tenant(own) => local.diagnostics_of(own).collect(),
    }
}

/// What needs attention. Of what is held, a tenant sees its own halves: that they still stand
/// without a declaration, `list` shows anyway.
pub(super) fn attention(engine: &Engine, viewer: &Viewer) -> AttentionView {
    let local = &engine.state.declarations.local;
    let held = local.held().map_or(0, |held| match viewer {
        Viewer::Operator => held.withdrawals.len(),
        Viewer::Tenant(own) => {
            let parts = held.parts.iter().filter(|part| own.contains(&part.project));
            let of_part = |part: &HeldPart| {
                part.withdrawals.iter().filter(|half| half.network.project == part.project).count()
            };
            parts.map(of_part).sum()
        }
    });
    AttentionView {
        held,
        errors: errors(found_by(&engine.settings_faults, local, viewer).into_iter()),
        northbound_away_since: engine.connection.away_since,
        host_name_in_use: engine.identity.is_taken(),
    }
}

fn northbound_view(engine: &Engine) -> NorthboundView {
    let northbound = engine.northbound.as_deref();
    NorthboundView {
        nb_cfg: northbound.and_then(crate::northbound::Northbound::nb_cfg),
        sb_cfg: northbound.and_then(crate::northbound::Northbound::sb_cfg),
        refusal: engine.troubles.view(),
        older: engine.state.recency.older().map(str::to_owned),
        certificates: engine.expiry.view(engine.last.map(|last| last.wall)),
        ..engine.connection.clone()
    }
}

/// How many prefixes cross a half's link: out, in.
fn exchanged(key: &HalfKey, resolver: &Resolver) -> (usize, usize) {
    let counts = |key: &HalfKey| {
        let pair = resolver.pair_of(key)?;
        let (link, end) = (resolver.link(pair)?, end_of(pair, &key.network));
        Some((link.end(end).prefixes.len(), link.end(end.other()).prefixes.len()))
    };
    counts(key).unwrap_or_default()
}

/// One half in a list.
pub(super) fn half_view(
    standings: &Standings<'_>,
    key: &HalfKey,
    viewer: &Viewer,
) -> Option<HalfView> {
    let state = standings.state;
    let declarations = &state.declarations;
    let Some(said) = state.resolver.said(key, declarations) else {
        if let Some((half, hosts)) = declarations.unbelieved_half(key) {
            let since = state.history.get(key).map(|record| record.since);
            let shown = Shown::untrusted(key, &hosts);
            return Some(view(half, hosts, shown, since, (0, 0)));
        }
        let record = state.history.get(key)?;
        let half = ended_half(key, record);
        let mut shown = Shown::deleted();
        shown.in_progress = standings.is_leaving(&half).then(|| standings.removal().to_owned());
        return Some(HalfView {
            guests_since: state.guests.since(&key.network),
            ..view(&half, Vec::new(), shown, Some(record.since), (0, 0))
        });
    };
    let half = said.value;
    let shown = standings.declared(key, viewer);
    let since = if shown.leaves { state.recorded_since(key) } else { state.since(key) };
    Some(HalfView {
        guests_since: state.guests.since(&key.network),
        ..view(half, declarations.hosts_of_half(key), shown, since, exchanged(key, &state.resolver))
    })
}

/// The rows on this side's router.
fn rows(standings: &Standings<'_>, key: &HalfKey) -> Vec<RowView> {
    let resolver = &standings.state.resolver;
    let (Some(northbound), Some(pair)) = (standings.northbound, resolver.pair_of(key)) else {
        return Vec::new();
    };
    let (Some(id), Some(router)) = (resolver.id(pair), router(pair, key, resolver)) else {
        return Vec::new();
    };
    let end = end_of(pair, &key.network);
    let served = Served {
        local: Some(key.network.clone()),
        remote: Some(key_of_end(pair, end.other()).clone()),
        half: Some(key.clone()),
    };
    let mut rows: Vec<RowView> = northbound
        .rows_of(UnitId::Peering(id))
        .filter(|(table, uuid, _)| {
            let of_switch = [LOGICAL_SWITCH, SWITCH_PORT, ADDRESS_SET].contains(table);
            let row = (*table, *uuid);
            of_switch
                || is_for(key, row, resolver, northbound)
                || is_of_guard((id, end), row, northbound)
                || is_told_to(end, row, northbound)
                || northbound.parents_of(*uuid).any(|of| of == router)
        })
        .map(|(table, uuid, row)| summarise(table, Some(uuid), row, &served))
        .collect();
    rows.sort();
    rows
}

fn router(pair: &PeeringKey, key: &HalfKey, resolver: &Resolver) -> Option<uuid::Uuid> {
    let end: End = end_of(pair, &key.network);
    let link = resolver.link(pair);
    link.map(|link| link.end(end).router).or_else(|| resolver.networks().router_of(&key.network))
}

/// The first in words, and how many more there are.
fn first<T: ToString>(all: impl IntoIterator<Item = T>, most: usize) -> (Vec<String>, usize) {
    let mut all = all.into_iter();
    let named = all.by_ref().take(most).map(|it| it.to_string()).collect();
    (named, all.count())
}

/// The first, and how many more there are.
fn first_diagnostics<'a>(
    all: impl IntoIterator<Item = &'a Diagnostic>,
    most: usize,
) -> (Vec<Diagnostic>, usize) {
    let mut all = all.into_iter();
    let named = all.by_ref().take(most).cloned().collect();
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
        uuid: None,
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
    let target_uuid = half.target.uuid();
    let named = |name: &str| match target_uuid {
        Some(_) => String::new(),
        None => name.to_owned(),
    };
    HalfView {
        project: half.key.network.project.to_string(),
        network: half.key.network.name.to_string(),
        name: half.key.name.to_string(),
        target_project: named(&half.target.project),
        target_network: named(&half.target.name),
        target_uuid,
        uuid: uuid_of_half(half),
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
