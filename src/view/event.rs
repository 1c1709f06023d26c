//! Events: what users are told of a change, when it happens.

use std::sync::Arc;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Diagnostic, Reason, State};

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Operators.
    Operators,
    /// The owners of these projects.
    OwnersOf(Vec<Arc<str>>),
    /// The owners of all projects.
    AllOwners,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A half has another state, or the same one for another reason.
    HalfState,
    /// A half was declared, or declared otherwise.
    HalfDeclared,
    /// Other prefixes cross a peering.
    Prefixes,
    /// A half is degraded, or no longer.
    Degraded,
    /// Somebody's half asks for a peering with a network, or no longer.
    Request,
    /// Somebody else changed rows of ours.
    Drift,
    /// Withdrawals wait for an operator, or no longer.
    WithdrawalsHeld,
    /// The connection to the northbound, ovn-northd, and what is there.
    Northbound,
    /// Which instance writes.
    Lock,
    /// A problem of files, of the settings or of other hosts; or its end.
    Diagnostic,
    /// Somebody gave the daemon a command.
    Write,
    /// The events before this one are lost to this listener.
    Gap,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::HalfState,
        Self::HalfDeclared,
        Self::Prefixes,
        Self::Degraded,
        Self::Request,
        Self::Drift,
        Self::WithdrawalsHeld,
        Self::Northbound,
        Self::Lock,
        Self::Diagnostic,
        Self::Write,
        Self::Gap,
    ];

    /// Its word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HalfState => "half-state",
            Self::HalfDeclared => "half-declared",
            Self::Prefixes => "prefixes",
            Self::Degraded => "degraded",
            Self::Request => "request",
            Self::Drift => "drift",
            Self::WithdrawalsHeld => "withdrawals-held",
            Self::Northbound => "northbound",
            Self::Lock => "lock",
            Self::Diagnostic => "diagnostic",
            Self::Write => "write",
            Self::Gap => "gap",
        }
    }
}

impl std::fmt::Display for EventKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened; a member that says nothing is absent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What kind of event it is.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The project that it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The half's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The half's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The reason for the state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The half's state before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<State>,
    /// Whether what an earlier event said is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// Of a request: the project that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_project: Option<String>,
    /// Of a request: the network that asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_network: Option<String>,
    /// Prefixes of this side that the other side accepts since then, and those no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<PrefixesView>,
    /// Prefixes of the other side that this side accepts since then, and those no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub imported: Option<PrefixesView>,
    /// The first new problems of a file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
    /// Who gave the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// What happened, in a sentence.
    pub message: String,
}

/// How the prefixes that cross in one direction changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixesView {
    /// Those that cross now and did not cross before; the first of them.
    pub gained: Vec<IpNet>,
    /// Those that no longer cross; the first of them.
    pub lost: Vec<IpNet>,
    /// How many more of either.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: usize,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// An event, as a listener gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventView {
    /// Its place in the listener's stream: a time, and a number among the listener's events of that
    /// time.
    pub id: String,
    /// When it happened.
    pub time: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Event {
    /// An event of this kind about nothing in particular.
    #[must_use]
    pub fn new(kind: EventKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            project: None,
            network: None,
            name: None,
            state: None,
            reason: None,
            previous: None,
            over: false,
            from_project: None,
            from_network: None,
            exported: None,
            imported: None,
            diagnostics: Vec::new(),
            actor: None,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::EventKind;

    #[test]
    fn the_words_of_kinds_are_those_in_json() {
        for kind in EventKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}
