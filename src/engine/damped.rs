//! What is said of units that are written again and again: in the log, of a half, in the status.

use crate::declare::HalfKey;
use crate::northbound::{Id, UnitId};
use crate::peering::{Reason, Resolver};

use super::damping::{Cause, Damping};
use super::pauses::LONGEST;
use super::state::State;

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

    /// Both, for a list.
    pub(super) fn words(self) -> String {
        format!("{}: {}", self.reason(), self.explanation())
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

/// Why the rows of a half are damped, if they are: those of its peering, or of its network.
pub(super) fn cause_of(half: &HalfKey, resolver: &Resolver, damping: &Damping) -> Option<Cause> {
    // Mostly there are none, and an identity is a digest.
    damping.damped().next()?;
    let pair = resolver.pair_of(half).and_then(|pair| resolver.id(pair)).map(UnitId::Peering);
    let network = UnitId::Network(Id::of_network(&half.network));
    pair.into_iter().chain([network]).find_map(|unit| damping.cause(unit))
}

/// All that are damped, in lines that are not too many.
pub(super) fn lines(state: &State, damping: &Damping) -> Vec<String> {
    let all: Vec<_> = damping.damped().collect();
    let line =
        |(unit, cause): &(UnitId, Cause)| format!("{}: {}", name_of(*unit, state), cause.words());
    let mut lines: Vec<String> = all.iter().take(MOST_NAMED).map(line).collect();
    let more = all.len().saturating_sub(MOST_NAMED);
    lines.extend((more != 0).then(|| format!("and {more} more")));
    lines
}

/// A unit in words: the peering or the network, or the tag of what nobody declares.
pub(super) fn name_of(unit: UnitId, state: &State) -> String {
    let name = match unit {
        UnitId::Peering(id) => {
            let pair = state.resolver.pair_with(id);
            pair.map(|pair| format!("peering {} -- {}", pair.a(), pair.b()))
        }
        UnitId::Network(id) => state.network_of(id).map(|key| format!("network {key}")),
    };
    name.unwrap_or_else(|| unit.tag())
}
