//! The offline check: all checks of a configuration that need no OVN.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::contribution::ParsedFile;
use super::diagnostic::{Diagnostic, DiagnosticCode, Severity};
use super::identity::uuid_of_network;
use super::local::LocalDeclarations;
use super::settings::Settings;
use super::source::Reading;
use super::toml_reader::nearest;

/// The declarations and the faults of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// In the order of files, lines and columns.
    pub diagnostics: Vec<Diagnostic>,
    /// How many networks are bound.
    pub networks: usize,
    /// How many halves are declared.
    pub halves: usize,
}

/// Checks one complete reading by itself, as a daemon without records would.
#[must_use]
pub fn check(settings: &Settings, reading: impl Into<Reading<ParsedFile>>) -> Checked {
    let mut local = LocalDeclarations::new(settings);
    local.apply(reading);
    let mut diagnostics: Vec<Diagnostic> = local.diagnostics().cloned().collect();
    diagnostics.extend(unbound(&local));
    diagnostics.extend(mute(&local));
    diagnostics.extend(shared(&local));
    diagnostics.extend(same_uuid(&local));
    diagnostics.sort();
    diagnostics.dedup();
    Checked { diagnostics, networks: local.networks().count(), halves: local.halves().count() }
}

/// Halves that announce nothing, so that nothing crosses their peering.
fn mute(local: &LocalDeclarations) -> impl Iterator<Item = Diagnostic> {
    let mute = local
        .halves()
        .filter(|half| half.terms().export.filter.rules().is_some_and(<[_]>::is_empty));
    mute.filter_map(|half| {
        let (file, position) = local.position_of_half(&half.key)?;
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Warning,
            code: DiagnosticCode::ExportsNothing,
            message: format!("half {} exports nothing, so nothing crosses its peering", half.key),
            hint: Some(
                "name prefixes in `export`, or remove it to announce all that the network has"
                    .to_owned(),
            ),
        })
    })
}

/// Networks that share a router with another network: neither of them peers.
fn shared(local: &LocalDeclarations) -> impl Iterator<Item = Diagnostic> {
    let mut first = BTreeMap::new();
    local.networks().filter_map(move |network| {
        let other = first.insert(network.router.clone(), &network.key)?;
        let (file, position) = local.position_of_network(&network.key)?;
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Error,
            code: DiagnosticCode::SharedRouter,
            message: format!(
                "network {} is on router {}, as is network {other}",
                network.key, network.router
            ),
            hint: Some("a router serves one network: remove one of the two".to_owned()),
        })
    })
}

/// Networks with the UUID of another one: a half that targets it by UUID finds neither of them.
fn same_uuid(local: &LocalDeclarations) -> impl Iterator<Item = Diagnostic> {
    let mut first = BTreeMap::new();
    local.networks().filter_map(move |network| {
        let uuid = uuid_of_network(network);
        let other = first.insert(uuid, &network.key)?;
        let (file, position) = local.position_of_network(&network.key)?;
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Error,
            code: DiagnosticCode::SharedUuid,
            message: format!("network {} has UUID {uuid}, as has network {other}", network.key),
            hint: Some("give each network a `uuid` of its own, or none".to_owned()),
        })
    })
}

/// Halves whose own network no file binds. Does not check their targets: only the owners of these
/// may know whether they exist.
fn unbound(local: &LocalDeclarations) -> impl Iterator<Item = Diagnostic> {
    let unbound = local.halves().filter(|half| local.network(&half.key.network).is_none());
    unbound.filter_map(|half| {
        let (file, position) = local.position_of_half(&half.key)?;
        let network = &half.key.network;
        let bound = local.networks().filter(|other| other.key.project == network.project);
        let hint = match nearest(&network.name, bound.map(|other| &*other.key.name)) {
            Some(nearest) => format!("did you mean \"{nearest}\"?"),
            None => "the operator binds it to a Logical_Router in networks.d".to_owned(),
        };
        Some(Diagnostic {
            file: Arc::clone(file),
            position,
            severity: Severity::Warning,
            code: DiagnosticCode::UnboundNetwork,
            message: format!("network {network} is bound in no file of networks.d"),
            hint: Some(hint),
        })
    })
}
