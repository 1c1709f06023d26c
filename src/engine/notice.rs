//! A line for the log: its level, its message and its fields.
//!
//! - `error`: for the operator, now. The daemon cannot continue as it should: settings that are not
//!   accepted, held withdrawals, a transaction that the server refuses, updates that contradict
//!   each other.
//! - `warn`: for the operator or a tenant, today. It may pass, or somebody must repair it: a half
//!   that failed or was refused, a command that the database refuses, a degradation and its cause,
//!   drift, diagnostics, a lost connection, certificates.
//! - `info`: for nobody, until somebody asks what happened. All is well: other changes of state,
//!   the end of a degradation, prefixes that cross, an operator's command, the connection, the
//!   lock.
//! - `debug`: for somebody who searches for a cause: intermediate states, and what other hosts
//!   declare. The logs of those hosts have it.

use std::fmt::Display;

use crate::declare::HalfKey;

/// Who should read a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The daemon cannot continue as it should.
    Error,
    /// Something is wrong. It may pass, or somebody must repair it.
    Warn,
    /// Something changed as it should.
    Info,
    /// For somebody who searches for a cause.
    Debug,
}

/// A field of a line, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// A half, `project/network/name`.
    Half,
    /// The half's project.
    Project,
    /// The half's network.
    Network,
    /// The half's name.
    Peering,
    /// The half's state.
    State,
    /// The reason for that state.
    Reason,
    /// The half's state before.
    Previous,
    /// What degrades it.
    Cause,
    /// Prefixes of this side that cross now.
    ExportedGained,
    /// Prefixes of this side that no longer cross.
    ExportedLost,
    /// Prefixes of the other side that cross now.
    ImportedGained,
    /// Prefixes of the other side that no longer cross.
    ImportedLost,
    /// A router's name.
    Router,
    /// A peering or network, as the tag of its rows names it.
    Unit,
    /// A file.
    File,
    /// A number of halves, diagnostics or lines.
    Count,
    /// Who gave a command.
    Actor,
    /// The command.
    Command,
    /// Its result: `done` or `refused`.
    Result,
    /// A northbound remote.
    Remote,
    /// The version of its schema.
    Schema,
    /// A version of the daemon's records.
    Version,
    /// The error, in the words of whoever reported it.
    Error,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Who should read it.
    pub level: Level,
    /// What happened, in a sentence.
    pub message: String,
    /// The fields, for programs.
    pub fields: Vec<(Field, String)>,
}

impl Notice {
    pub(super) fn new(level: Level, message: impl Into<String>) -> Self {
        Self { level, message: message.into(), fields: Vec::new() }
    }

    pub(super) fn with(mut self, field: Field, value: impl Display) -> Self {
        self.fields.push((field, value.to_string()));
        self
    }

    pub(super) fn with_some(self, field: Field, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(field, value),
            None => self,
        }
    }

    pub(super) fn of_half(self, half: &HalfKey) -> Self {
        self.with(Field::Half, half)
            .with(Field::Project, &half.network.project)
            .with(Field::Network, &half.network.name)
            .with(Field::Peering, &half.name)
    }

    /// The value of a field, if the line has that field.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<&str> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str())
    }

    /// The message with its subject and reason, for a reader who sees no fields.
    #[must_use]
    pub fn sentence(&self) -> String {
        let mut text = match self.field(Field::Half) {
            Some(half) => format!("{half}: {}", self.message),
            None => self.message.clone(),
        };
        for (field, label) in [
            (Field::Cause, ""),
            (Field::ExportedGained, "exported since: "),
            (Field::ExportedLost, "no longer exported: "),
            (Field::ImportedGained, "imported since: "),
            (Field::ImportedLost, "no longer imported: "),
            (Field::Unit, ""),
            (Field::Remote, ""),
            (Field::Version, "version "),
            (Field::Error, ""),
        ] {
            if let Some(detail) = self.field(field) {
                text.push_str(&format!(": {label}{detail}"));
            }
        }
        text
    }
}
