//! What is said of units that are written again and again: in the log, of a half, in the status.

use crate::declare::HalfKey;
use crate::northbound::{Id, UnitId};
use crate::peering::Reason;

use super::Engine;
use super::change::Change;
use super::damping::Cause;
use super::pauses::LONGEST;

/// So many units are named in the status at the most.
const MOST_NAMED: usize = 16;

impl Cause {
    /// The word that programs match.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Contested => Reason::Contested,
            Self::Flapping => Reason::Flapping,
        }
    }

    /// What it means, and what is done about it.
    pub(super) fn explanation(self) -> String {
        let longest = LONGEST.as_secs();
        match self {
            Self::Contested => format!(
                "somebody else undoes its rows again and again; they are put back after pauses \
                 that grow to {longest} s"
            ),
            Self::Flapping => format!(
                "its declaration changes again and again; it takes effect after pauses that grow \
                 to {longest} s, a withdrawal at once"
            ),
        }
    }

    /// What to do.
    pub(super) fn next_step(self) -> &'static str {
        match self {
            Self::Contested => {
                "find who writes to these rows: another tool, a person, or another ovn-peerd \
                 with another policy"
            }
            Self::Flapping => "leave the half as it is for two minutes",
        }
    }
}

impl Engine {
    /// These units have to wait from now on.
    pub(super) fn note_damped(&mut self, units: &[(UnitId, Cause)]) {
        for (unit, cause) in units {
            let what = self.name_of(*unit);
            let (reason, explanation) = (cause.reason(), cause.explanation());
            let next_step = cause.next_step();
            self.changes.push(Change::Damped { what, reason, explanation, next_step });
            self.changes.pairs(self.state.pairs_with(*unit));
        }
    }

    /// These were damped, and are not any more.
    pub(super) fn note_calm(&mut self, units: &[(UnitId, Cause)]) {
        for (unit, cause) in units {
            let what = self.name_of(*unit);
            self.changes.push(Change::DampingEnded { what, reason: cause.reason() });
            self.changes.pairs(self.state.pairs_with(*unit));
        }
        self.note_changed(units.iter().map(|(unit, _)| *unit));
    }

    /// Why the rows of a half are damped, if they are: those of its peering, or of its network.
    pub(super) fn damped(&self, half: &HalfKey) -> Option<Cause> {
        // Mostly there are none, and an identity is a digest.
        self.writer.damping.damped().next()?;
        let resolver = &self.state.resolver;
        let pair = resolver.pair_of(half).and_then(|pair| resolver.id(pair)).map(UnitId::Peering);
        let network = UnitId::Network(Id::of_network(&half.network));
        pair.into_iter().chain([network]).find_map(|unit| self.writer.damping.cause(unit))
    }

    /// The same in words, for a list.
    pub(super) fn damped_words(&self, half: &HalfKey) -> Option<String> {
        let cause = self.damped(half)?;
        Some(format!("{}: {}", cause.reason(), cause.explanation()))
    }

    /// All of them, in lines that are not too many.
    pub(super) fn damped_view(&self) -> Vec<String> {
        let all: Vec<_> = self.writer.damping.damped().collect();
        let line = |(unit, cause): &(UnitId, Cause)| {
            format!("{}: {}: {}", self.name_of(*unit), cause.reason(), cause.explanation())
        };
        let mut lines: Vec<String> = all.iter().take(MOST_NAMED).map(line).collect();
        let more = all.len().saturating_sub(MOST_NAMED);
        lines.extend((more != 0).then(|| format!("and {more} more")));
        lines
    }

    /// A unit in words: the peering or the network, or the tag of what nobody declares.
    fn name_of(&self, unit: UnitId) -> String {
        let resolver = &self.state.resolver;
        let name = match unit {
            UnitId::Peering(id) => {
                resolver.pair_with(id).map(|pair| format!("peering {} -- {}", pair.a(), pair.b()))
            }
            UnitId::Network(id) => {
                let key = resolver.networks().key_of(id).or_else(|| self.state.history.key_of(id));
                key.map(|key| format!("network {key}"))
            }
        };
        name.unwrap_or_else(|| unit.tag())
    }
}
