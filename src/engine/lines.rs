//! What a change is to the log: its line, its level, and which earlier change it repeats or ends.

use crate::declare::{Diagnostic, HalfKey, Severity};
use crate::peering::{Reason, State};

use super::change::{Change, OfHalf, Outlook, PrefixChange, Reader};
use super::notice::{Field, Level, Notice};

/// The most prefixes that a line names. It gives the number of the rest.
const MOST_PREFIXES: usize = 16;

impl Change {
    /// Its level. Changes of other hosts' halves are for the logs of those hosts.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::StateChanged { half, .. }
            | Self::Degraded { half, .. }
            | Self::DegradationEnded { half, .. }
            | Self::PrefixesChanged { half, .. }
                if !half.own =>
            {
                Level::Debug
            }
            // The state of the half that is declared, and that asks, follows.
            Self::Declared { .. } | Self::Requested { .. } => Level::Debug,
            // One line reports a newer version for all halves, both when it appears and when it is
            // gone.
            Self::StateChanged { previous, reason, .. }
                if [*reason, previous.and_then(|(_, before)| before)]
                    .contains(&Some(Reason::NewerVersion)) =>
            {
                Level::Debug
            }
            Self::StateChanged { state, .. } => level_of(*state),
            Self::TransactionFailed { outlook: Outlook::Refused, .. }
            | Self::WithdrawalsHeld { .. }
            | Self::HostName { taken: true, .. }
            | Self::SettingsRejected { .. }
            | Self::Inconsistent { .. } => Level::Error,
            Self::Degraded { .. }
            | Self::RouterRestored { .. }
            | Self::DriftRepaired { .. }
            | Self::Damped { .. }
            | Self::Diagnosed { .. }
            | Self::Disconnected { .. }
            | Self::LockTakenOver
            | Self::HostProblem { over: false, .. }
            | Self::NorthdLate { late: true }
            | Self::NewerVersion { version: Some(_) }
            | Self::NorthboundOlder { what: Some(_) }
            | Self::UnknownColumns { .. }
            | Self::CertificatesRejected { .. }
            | Self::CertificateExpires { .. }
            | Self::Written { fault: true, .. }
            | Self::TransactionFailed { outlook: Outlook::Passing, .. } => Level::Warn,
            Self::SettingsApplied { restart } if !restart.is_empty() => Level::Warn,
            Self::FoundActive { .. }
            | Self::Withdrawn { .. }
            | Self::DegradationEnded { .. }
            | Self::PrefixesChanged { .. }
            | Self::DampingEnded { .. }
            | Self::Mended { .. }
            | Self::WithdrawalsReleased { .. }
            | Self::SettingsApplied { .. }
            | Self::Reloaded
            | Self::Written { fault: false, .. }
            | Self::Connected { .. }
            | Self::LockChanged { .. }
            | Self::HostName { taken: false, .. }
            | Self::HostProblem { over: true, .. }
            | Self::NorthdLate { late: false }
            | Self::NewerVersion { version: None }
            | Self::NorthboundOlder { what: None }
            | Self::CertificatesApplied
            | Self::TransactionFailed { outlook: Outlook::Outrun, .. } => Level::Info,
        }
    }

    /// Whether it is a line of the log. What an owner reads in other words is in the log already.
    /// The log does not say whether there is a network that a half asks: it is the same for all
    /// targets.
    #[must_use]
    pub fn is_logged(&self) -> bool {
        !matches!(
            self,
            Self::Requested { .. }
                | Self::Degraded { reader: Reader::Owner, .. }
                | Self::DegradationEnded { reader: Reader::Owner, .. }
        )
    }

    /// The half that it is about, if any.
    #[must_use]
    pub fn half(&self) -> Option<&HalfKey> {
        match self {
            Self::StateChanged { half: OfHalf { key, .. }, .. }
            | Self::Degraded { half: OfHalf { key, .. }, .. }
            | Self::DegradationEnded { half: OfHalf { key, .. }, .. }
            | Self::PrefixesChanged { half: OfHalf { key, .. }, .. }
            | Self::Declared { half: OfHalf { key, .. }, .. }
            | Self::Requested { half: key, .. }
            | Self::Withdrawn { half: key, .. } => Some(key),
            Self::FoundActive { .. }
            | Self::RouterRestored { .. }
            | Self::DriftRepaired { .. }
            | Self::Damped { .. }
            | Self::DampingEnded { .. }
            | Self::Diagnosed { .. }
            | Self::Mended { .. }
            | Self::WithdrawalsHeld { .. }
            | Self::WithdrawalsReleased { .. }
            | Self::SettingsRejected { .. }
            | Self::SettingsApplied { .. }
            | Self::Reloaded
            | Self::Written { .. }
            | Self::Connected { .. }
            | Self::Disconnected { .. }
            | Self::LockChanged { .. }
            | Self::HostName { .. }
            | Self::HostProblem { .. }
            | Self::LockTakenOver
            | Self::NorthdLate { .. }
            | Self::Inconsistent { .. }
            | Self::NewerVersion { .. }
            | Self::NorthboundOlder { .. }
            | Self::UnknownColumns { .. }
            | Self::CertificatesRejected { .. }
            | Self::CertificatesApplied
            | Self::CertificateExpires { .. }
            | Self::TransactionFailed { .. } => None,
        }
    }

    /// The kind of the change, and its subject. A change repeats another one that agrees in both.
    /// None for a change that never repeats another one.
    #[must_use]
    pub fn subject(&self) -> Option<(&'static str, String)> {
        let half = |kind| self.half().map(|half| (kind, half.to_string()));
        match self {
            Self::StateChanged { .. } | Self::Withdrawn { .. } => half("state"),
            Self::Degraded { .. } | Self::DegradationEnded { .. } => half("degradation"),
            Self::PrefixesChanged { .. } => half("prefixes"),
            Self::Declared { .. } => half("declaration"),
            Self::Requested { .. } => half("request"),
            Self::RouterRestored { router, .. } => Some(("router", router.to_string())),
            Self::DriftRepaired { unit } => Some(("drift", unit.tag())),
            Self::Damped { what, .. } | Self::DampingEnded { what, .. } => {
                Some(("damping", what.clone()))
            }
            Self::Diagnosed { file, .. } | Self::Mended { file, .. } => {
                Some(("diagnostics", file.clone()))
            }
            Self::WithdrawalsHeld { .. } | Self::WithdrawalsReleased { .. } => {
                Some(("withdrawals", String::new()))
            }
            Self::Connected { .. } | Self::Disconnected { .. } => {
                Some(("connection", String::new()))
            }
            Self::HostName { .. } => Some(("host name", String::new())),
            Self::LockChanged { .. } => Some(("lock", String::new())),
            Self::LockTakenOver => Some(("takeover", String::new())),
            Self::HostProblem { problem, .. } => Some(("host", problem.host().to_string())),
            Self::NorthdLate { .. } => Some(("northd", String::new())),
            Self::NorthboundOlder { .. } => Some(("age", String::new())),
            Self::Inconsistent { .. } => Some(("updates", String::new())),
            Self::TransactionFailed { .. } => Some(("transactions", String::new())),
            Self::CertificatesRejected { .. } | Self::CertificatesApplied => {
                Some(("certificates", String::new()))
            }
            Self::FoundActive { .. }
            | Self::SettingsRejected { .. }
            | Self::SettingsApplied { .. }
            | Self::Reloaded
            | Self::Written { .. }
            | Self::NewerVersion { .. }
            | Self::UnknownColumns { .. }
            | Self::CertificateExpires { .. } => None,
        }
    }

    /// Whether it ends a trouble that is not of a half. Then an earlier change of the same subject
    /// is over.
    #[must_use]
    pub fn ends_trouble(&self) -> bool {
        matches!(
            self,
            Self::Connected { .. }
                | Self::LockChanged { held: true }
                | Self::HostName { taken: false, .. }
                | Self::HostProblem { over: true, .. }
                | Self::CertificatesApplied
                | Self::NorthboundOlder { what: None }
                | Self::WithdrawalsReleased { .. }
                | Self::DampingEnded { .. }
                | Self::Mended { .. }
        )
    }

    /// Its line in the log.
    #[must_use]
    pub fn notice(&self) -> Notice {
        let level = self.level();
        let line = |message: &str| match self.half() {
            Some(half) => Notice::new(level, message).of_half(half),
            None => Notice::new(level, message),
        };
        match self {
            Self::StateChanged { previous, state, reason, explanation, .. } => {
                let text = || format!("the peering is {state}");
                let message = explanation.clone().unwrap_or_else(text);
                state_fields(line(&message), *previous, (*state, *reason))
            }
            Self::FoundActive { projects } => {
                let halves: usize = projects.values().sum();
                line("halves are active as they were before").with(Field::Count, halves)
            }
            Self::Withdrawn { .. } => line("the half was withdrawn"),
            Self::Declared { is_new: true, .. } => line("the half is declared"),
            Self::Declared { is_new: false, .. } => line("the half is declared otherwise"),
            Self::Requested { target, over: false, .. } => line(&format!("it asks {target}")),
            Self::Requested { target, over: true, .. } => {
                line(&format!("it does not ask {target} any more"))
            }
            Self::Degraded { cause, .. } => line("degraded").with(Field::Cause, cause),
            Self::DegradationEnded { cause, .. } => {
                line("no longer degraded").with(Field::Cause, cause)
            }
            Self::PrefixesChanged { exported, imported, .. } => {
                prefix_fields(line("other prefixes cross the peering"), exported, imported)
            }
            Self::RouterRestored { router, what, rows, peerings } => line(&format!(
                "the {what} of router {router} were deleted by another client, and are restored \
                 (rows: {rows}, peerings: {peerings})"
            ))
            .with(Field::Router, router),
            Self::DriftRepaired { unit } => {
                line("rows of ours were altered by another client, and are restored")
                    .with(Field::Unit, unit.tag())
            }
            Self::Damped { what, reason, explanation, next_step } => {
                line(&format!("{what} is {reason}: {explanation}; {next_step}"))
                    .with(Field::Reason, reason)
            }
            Self::DampingEnded { what, reason } => {
                line(&format!("{what} is no longer {reason}")).with(Field::Reason, reason)
            }
            Self::Diagnosed { file, first, more, .. } => {
                let mut text = first.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                if *more > 0 {
                    text.push_str(&format!(
                        "\nand {more} more; `ovn-peerctl diagnostics` lists them"
                    ));
                }
                line(&text).with(Field::File, file).with(Field::Count, first.len() + more)
            }
            Self::Mended { file, .. } => {
                line(&format!("{file}: it has no errors or warnings any more"))
                    .with(Field::File, file)
            }
            Self::WithdrawalsHeld { halves, .. } => line(&format!(
                "a reload would withdraw {halves} halves; it is held until confirmed \
                 (ovn-peerctl confirm)"
            ))
            .with(Field::Count, halves),
            Self::WithdrawalsReleased { .. } => line("no withdrawal is held any more"),
            Self::SettingsRejected { errors } => line(&rejected(errors)),
            Self::SettingsApplied { restart } if restart.is_empty() => {
                line("the settings were applied")
            }
            Self::SettingsApplied { restart } => line(&format!(
                "the settings were applied; the changes in {} take effect with the next restart \
                 of ovn-peerd",
                restart.join(", ")
            )),
            Self::Reloaded => line("every file was read again"),
            Self::Written { actor, what, result, project, .. } => {
                let (message, result) = match result {
                    Ok(done) => (format!("{actor}: {what}: {done}"), "done"),
                    Err(why) => (format!("{actor}: {what}: refused: {why}"), "refused"),
                };
                line(&message)
                    .with(Field::Actor, actor)
                    .with(Field::Command, what)
                    .with(Field::Result, result)
                    .with_some(Field::Project, project.as_ref())
            }
            Self::Connected { remote, schema } => line("connected to the northbound")
                .with(Field::Remote, remote)
                .with(Field::Schema, schema),
            Self::Disconnected { error } => {
                line("no connection to the northbound; the data plane stays as it is")
                    .with(Field::Error, error)
            }
            Self::LockChanged { held: true } => {
                line("active: this instance writes to the northbound")
            }
            Self::LockChanged { held: false } => {
                line("standby: another instance writes to the northbound")
            }
            Self::HostName { host, taken: true } => line(&format!(
                "host-name-in-use: another ovn-peerd declares as host {host}; this one declares \
                 and writes nothing: give each host a name of its own ([daemon] host), or end the \
                 other one"
            )),
            Self::HostName { host, taken: false } => {
                line(&format!("this instance declares as host {host}"))
            }
            Self::HostProblem { problem, over: false } => line(&problem.to_string()),
            Self::HostProblem { problem, over: true } => line(&problem.end()),
            Self::NorthdLate { late: true } => line(
                "ovn-northd has not acted on the northbound for 10 seconds: existing links stay, \
                 and a change has no effect yet; check that it runs and reaches both databases",
            ),
            Self::NorthdLate { late: false } => line("ovn-northd acts on the northbound again"),
            Self::LockTakenOver => {
                line("the holder of the lock does nothing about what is to be written; taking it")
            }
            Self::Inconsistent { error } => {
                line("the northbound's updates do not fit; reading it anew")
                    .with(Field::Error, error)
            }
            Self::NewerVersion { version: Some(version) } => line(
                "a newer version of ovn-peerd has written to the northbound; this one writes \
                 nothing and gives the lock away: upgrade ovn-peerd on this host",
            )
            .with(Field::Version, version),
            Self::NewerVersion { version: None } => line(
                "no newer version of ovn-peerd is in the northbound any more; this one writes \
                 again",
            ),
            Self::NorthboundOlder { what: Some(what) } => line(&format!(
                "{what}; what it says of other hosts is not believed, and what this host knows of \
                 them is restored"
            )),
            Self::NorthboundOlder { what: None } => {
                line("the northbound contains what this host knows of other hosts again")
            }
            Self::UnknownColumns { columns } => line(&format!(
                "the northbound has columns that this version of ovn-peerd does not know; what \
                 others set in these, on rows of ovn-peerd, is neither seen nor repaired: look for \
                 a newer version of ovn-peerd ({})",
                columns.join(", ")
            )),
            Self::CertificatesRejected { error } => {
                line("the certificates in the files cannot be used; the previous ones stay in use")
                    .with(Field::Error, error)
            }
            Self::CertificatesApplied => line("the certificates in the files are in use"),
            Self::CertificateExpires { what } => line(what),
            Self::TransactionFailed { error, .. } => {
                line("a transaction failed").with(Field::Error, error)
            }
        }
    }
}

fn level_of(state: State) -> Level {
    match state {
        State::Failed | State::Disconnected | State::Rejected | State::Expired => Level::Warn,
        State::Provisioning => Level::Debug,
        State::Active
        | State::PendingPeer
        | State::Disabled
        | State::PeerDisabled
        | State::Deleted => Level::Info,
    }
}

fn state_fields(
    notice: Notice,
    previous: Option<(State, Option<Reason>)>,
    (state, reason): (State, Option<Reason>),
) -> Notice {
    notice
        .with(Field::State, state)
        .with_some(Field::Reason, reason)
        .with_some(Field::Previous, previous.map(|(state, _)| state))
}

fn prefix_fields(notice: Notice, exported: &PrefixChange, imported: &PrefixChange) -> Notice {
    let named = |prefixes: &[ipnet::IpNet]| {
        let more = prefixes.len().saturating_sub(MOST_PREFIXES);
        let named = prefixes.iter().take(MOST_PREFIXES).map(ToString::to_string);
        let more = (more > 0).then(|| format!("and {more} more"));
        let named: Vec<String> = named.chain(more).collect();
        Some(named.join(" ")).filter(|text| !text.is_empty())
    };
    notice
        .with_some(Field::ExportedGained, named(&exported.gained))
        .with_some(Field::ExportedLost, named(&exported.lost))
        .with_some(Field::ImportedGained, named(&imported.gained))
        .with_some(Field::ImportedLost, named(&imported.lost))
}

fn rejected(errors: &[Diagnostic]) -> String {
    let errors: Vec<_> = errors.iter().filter(|it| it.severity == Severity::Error).collect();
    let mut text = "the settings stay as they were: those in the file are not accepted".to_owned();
    for error in errors {
        text.push_str(&format!("\n{error}"));
    }
    text
}
