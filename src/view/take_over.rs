//! Links of other tools, and what becomes of them when peerings take their place.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RowView;

/// The links that are looked at, or that were to be taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOverView {
    /// Whether nothing was to be done.
    pub dry_run: bool,
    /// The links.
    pub links: Vec<TakeOverLink>,
}

/// A link of another tool, in the way of a peering.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeOverLink {
    /// The halves of the peering, `project/network/name` each.
    pub halves: Vec<String>,
    /// Whether it can be taken over, or what became of it.
    pub outcome: TakeOverOutcome,
    /// Why it was not taken over, or what each side lacks.
    #[serde(default)]
    pub explanations: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub next_steps: Vec<String>,
    /// The rows of others that go.
    pub rows: Vec<RowView>,
    /// Commands by which the tool forgets the link, as far as names are known.
    #[serde(default)]
    pub forget: Vec<String>,
}

/// Whether a link can be taken over, or what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakeOverOutcome {
    /// The peering would carry all that the link carries.
    Ready,
    /// The peering would not carry all of it. Nothing is done.
    NoParity,
    /// The peering has taken the place of the link.
    TakenOver,
    /// Nothing was done, or nothing is known to be done.
    NotTakenOver,
}

impl TakeOverOutcome {
    /// Its word, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NoParity => "no-parity",
            Self::TakenOver => "taken-over",
            Self::NotTakenOver => "not-taken-over",
        }
    }
}

impl fmt::Display for TakeOverOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TakeOverView {
    /// Whether each of the links can be taken over, or was.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let mut links = self.links.iter();
        links.all(|link| match link.outcome {
            TakeOverOutcome::Ready | TakeOverOutcome::TakenOver => true,
            TakeOverOutcome::NoParity | TakeOverOutcome::NotTakenOver => false,
        })
    }
}
