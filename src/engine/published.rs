//! The events of a change: operators get all of it, the owner of a project what concerns its own
//! halves, in the words that the views have for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::declare::{Diagnostic, HalfKey, NetworkKey};
use crate::view::{Audience, Event, EventKind, PrefixesView, State};

use super::change::{Change, OfHalf, PrefixChange, Reader};

/// The most prefixes that an event names, of those gained and of those lost; it has the number of
/// the rest.
const MOST_PREFIXES: usize = 64;

/// The events of a change, each with its audience.
#[must_use]
pub fn published(change: &Change) -> Vec<(Audience, Event)> {
    match change {
        Change::StateChanged {
            half,
            previous,
            state,
            reason,
            explanation,
            owner_explanation,
            ..
        } => {
            let event = |explanation: &Option<String>| {
                let text = explanation.clone().unwrap_or_else(|| format!("the peering is {state}"));
                Event {
                    state: Some(*state),
                    reason: *reason,
                    previous: previous.map(|(state, _)| state),
                    ..of_half(&half.key, EventKind::HalfState, text)
                }
            };
            both(&half.key, event(explanation), event(owner_explanation))
        }
        Change::Withdrawn { half, previous } => to_both(
            half,
            Event {
                state: Some(State::Deleted),
                previous: Some(*previous),
                ..of_half(half, EventKind::HalfState, "the half was withdrawn")
            },
        ),
        Change::Declared { half: OfHalf { key, .. }, is_new } => {
            let text = if *is_new { "the half is declared" } else { "its declaration changed" };
            to_both(key, of_half(key, EventKind::HalfDeclared, text))
        }
        Change::Requested { half, target, over, disclosed } => {
            request(half, target, *over, *disclosed)
        }
        Change::Degraded { half, cause, reader } => degraded(&half.key, cause, *reader, false),
        Change::DegradationEnded { half, cause, reader } => {
            degraded(&half.key, cause, *reader, true)
        }
        Change::PrefixesChanged { half, exported, imported } => to_both(
            &half.key,
            Event {
                exported: prefixes(exported),
                imported: prefixes(imported),
                ..of_half(&half.key, EventKind::Prefixes, "other prefixes cross the peering")
            },
        ),
        Change::WithdrawalsHeld { projects, .. } | Change::WithdrawalsReleased { projects } => {
            let mut events = to_operators(change, EventKind::WithdrawalsHeld);
            events.extend(projects.iter().map(|(project, held)| of_held(project, *held)));
            events
        }
        Change::Diagnosed { first, owners, .. } => diagnosed(change, owners, first),
        Change::Mended { owners, .. } => diagnosed(change, owners, &[]),
        Change::SettingsRejected { errors } => diagnosed(change, &[], errors),
        Change::HostProblem { .. } => to_operators(change, EventKind::Diagnostic),
        Change::Written { actor, what, result, project, .. } => {
            written(change, (actor, what), result.is_ok(), project.as_ref())
        }
        Change::Connected { .. } | Change::Disconnected { .. } => connection(change),
        Change::RouterRestored { .. }
        | Change::DriftRepaired { .. }
        | Change::Damped { .. }
        | Change::DampingEnded { .. } => to_operators(change, EventKind::Drift),
        Change::LockChanged { .. } | Change::LockTakenOver | Change::HostName { .. } => {
            to_operators(change, EventKind::Lock)
        }
        Change::NorthdLate { .. }
        | Change::Inconsistent { .. }
        | Change::NorthboundOlder { .. }
        | Change::UnknownColumns { .. }
        | Change::NewerVersion { .. }
        | Change::CertificatesRejected { .. }
        | Change::CertificatesApplied
        | Change::CertificateExpires { .. }
        | Change::TransactionFailed { .. } => to_operators(change, EventKind::Northbound),
        Change::FoundActive { projects } => found_active(change, projects),
        // The command that reads files is an event itself.
        Change::SettingsApplied { .. } | Change::Reloaded => Vec::new(),
    }
}

fn of_half(half: &HalfKey, kind: EventKind, text: impl Into<String>) -> Event {
    Event { name: Some(half.name.to_string()), ..of_network(&half.network, kind, text) }
}

fn of_network(network: &NetworkKey, kind: EventKind, text: impl Into<String>) -> Event {
    Event {
        project: Some(network.project.to_string()),
        network: Some(network.name.to_string()),
        ..Event::new(kind, text)
    }
}

fn owner(project: &Arc<str>) -> Audience {
    Audience::OwnersOf(vec![Arc::clone(project)])
}

fn both(half: &HalfKey, to_operators: Event, to_owner: Event) -> Vec<(Audience, Event)> {
    vec![(Audience::Operators, to_operators), (owner(&half.network.project), to_owner)]
}

fn to_both(half: &HalfKey, event: Event) -> Vec<(Audience, Event)> {
    both(half, event.clone(), event)
}

/// For operators, in the words of the log.
fn to_operators(change: &Change, kind: EventKind) -> Vec<(Audience, Event)> {
    let event = Event { over: is_over(change), ..Event::new(kind, change.notice().sentence()) };
    vec![(Audience::Operators, event)]
}

/// Whether what an earlier event said is over.
fn is_over(change: &Change) -> bool {
    matches!(
        change,
        Change::WithdrawalsReleased { .. }
            | Change::DampingEnded { .. }
            | Change::Mended { .. }
            | Change::HostProblem { over: true, .. }
            | Change::HostName { taken: false, .. }
            | Change::Connected { .. }
            | Change::NorthdLate { late: false }
            | Change::NewerVersion { version: None }
            | Change::NorthboundOlder { what: None }
            | Change::CertificatesApplied
    )
}

/// Who asks discloses itself to whom it asks.
fn request(
    half: &HalfKey,
    target: &NetworkKey,
    over: bool,
    disclosed: bool,
) -> Vec<(Audience, Event)> {
    let from = &half.network;
    let text = if over {
        format!("{from} does not wait for an answer of {target} any more")
    } else {
        format!("{from} asks {target} to peer")
    };
    let event = Event {
        over,
        from_project: Some(from.project.to_string()),
        from_network: Some(from.name.to_string()),
        ..of_network(target, EventKind::Request, text)
    };
    let to_owner = disclosed.then(|| (owner(&target.project), event.clone()));
    [(Audience::Operators, event)].into_iter().chain(to_owner).collect()
}

fn degraded(half: &HalfKey, cause: &str, reader: Reader, over: bool) -> Vec<(Audience, Event)> {
    let event = Event { over, ..of_half(half, EventKind::Degraded, cause) };
    match reader {
        Reader::Both => to_both(half, event),
        Reader::Operators => vec![(Audience::Operators, event)],
        Reader::Owner => vec![(owner(&half.network.project), event)],
    }
}

fn prefixes(change: &PrefixChange) -> Option<PrefixesView> {
    let first = |of: &[ipnet::IpNet]| of.iter().take(MOST_PREFIXES).copied().collect();
    let more = |of: &[ipnet::IpNet]| of.len().saturating_sub(MOST_PREFIXES);
    let (gained, lost) = (first(&change.gained), first(&change.lost));
    let more = more(&change.gained) + more(&change.lost);
    (!change.is_empty()).then_some(PrefixesView { gained, lost, more })
}

/// States that stay are one event, not one for each half: who waits for them looks again.
fn found_active(change: &Change, projects: &BTreeMap<Arc<str>, usize>) -> Vec<(Audience, Event)> {
    let of_project = |(project, halves): (&Arc<str>, &usize)| {
        let text = format!("halves of {project} that are active as they were before: {halves}");
        let event = Event::new(EventKind::Northbound, text);
        (owner(project), Event { project: Some(project.to_string()), ..event })
    };
    let operators = to_operators(change, EventKind::Northbound);
    operators.into_iter().chain(projects.iter().map(of_project)).collect()
}

/// How many halves of a project are held, for its owner.
fn of_held(project: &Arc<str>, held: usize) -> (Audience, Event) {
    let text = match held {
        0 => "no withdrawal is held any more".to_owned(),
        1 => "1 withdrawal is held until an operator confirms it".to_owned(),
        _ => format!("{held} withdrawals are held until an operator confirms them"),
    };
    let event = Event {
        project: Some(project.to_string()),
        over: held == 0,
        ..Event::new(EventKind::WithdrawalsHeld, text)
    };
    (owner(project), event)
}

/// The problems of a file, for operators and for the file's owner.
fn diagnosed(
    change: &Change,
    owners: &[Arc<str>],
    diagnostics: &[Diagnostic],
) -> Vec<(Audience, Event)> {
    let mut events = to_operators(change, EventKind::Diagnostic);
    for (_, event) in &mut events {
        event.diagnostics = diagnostics.to_vec();
    }
    if !owners.is_empty() {
        let to_owner = events.iter().map(|(_, event)| event.clone());
        let audience = Audience::OwnersOf(owners.to_vec());
        events.extend(to_owner.map(|event| (audience.clone(), event)).collect::<Vec<_>>());
    }
    events
}

/// A command, for operators; and for the owner of the project that it is about. A refusal may name
/// what is not the owner's.
fn written(
    change: &Change,
    (actor, what): (&str, &str),
    is_done: bool,
    project: Option<&Arc<str>>,
) -> Vec<(Audience, Event)> {
    let of_project = |event| Event {
        project: project.map(ToString::to_string),
        actor: Some(actor.to_owned()),
        ..event
    };
    let operators = of_project(Event::new(EventKind::Write, change.notice().sentence()));
    let mut events = vec![(Audience::Operators, operators)];
    if let Some(project) = project {
        let verdict = if is_done { "done" } else { "refused" };
        let event = Event::new(EventKind::Write, format!("{actor}: {what}: {verdict}"));
        events.push((owner(project), of_project(event)));
    }
    events
}

/// The connection, for operators with the server's words.
fn connection(change: &Change) -> Vec<(Audience, Event)> {
    let mut events = to_operators(change, EventKind::Northbound);
    let over = is_over(change);
    let text = match over {
        true => "the northbound is within reach",
        false => "the northbound is out of reach; active peerings stay up",
    };
    let event = Event { over, ..Event::new(EventKind::Northbound, text) };
    events.push((Audience::AllOwners, event));
    events
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Change, published};
    use crate::view::Audience;

    /// How many halves others have is nothing that an owner may learn.
    #[test]
    fn what_is_active_as_before_is_counted_for_each_owner_alone() {
        let projects = [("blue", 2), ("green", 40)].map(|(name, halves)| (name.into(), halves));
        let events = published(&Change::FoundActive { projects: projects.into() });
        let of = |audience: &Audience| {
            let found = events.iter().find(|(to, _)| to == audience).map(|(_, event)| event);
            found.map(|event| (event.project.clone(), event.message.clone()))
        };
        let message = "halves are active as they were before".to_owned();
        assert_eq!(of(&Audience::Operators), Some((None, message)));
        for (project, halves) in [("blue", 2), ("green", 40)] {
            let project: Arc<str> = project.into();
            let message =
                format!("halves of {project} that are active as they were before: {halves}");
            let own = Some((Some(project.to_string()), message));
            assert_eq!(of(&Audience::OwnersOf(vec![project])), own);
        }
        assert_eq!(events.len(), 3);
    }
}
