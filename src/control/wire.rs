//! What the control socket transports besides the views: filters, acknowledgements, errors.
//!
//! A public interface: fields may be added, never renamed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::view::{Diagnostic, HalfView, State, WhyEnd, WhyQuestion};

/// Which halves to list; a missing member matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only this project's halves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Only halves of networks of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Only halves with this target: `PROJECT/NETWORK`, or `NETWORK` of the half's own
    /// project, or a UUID as declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only halves in one of these states, in any if it is empty; in text with commas between.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[serde(serialize_with = "write_states", deserialize_with = "read_states")]
    pub state: BTreeSet<State>,
    /// Only halves that are degraded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub degraded: bool,
}

impl Filter {
    /// Whether the list includes a half.
    #[must_use]
    pub fn admits(&self, half: &HalfView) -> bool {
        self.project.as_ref().is_none_or(|project| *project == half.project)
            && self.network.as_ref().is_none_or(|network| *network == half.network)
            && self.target.as_ref().is_none_or(|target| is_target(target, half))
            && (self.state.is_empty() || self.state.contains(&half.state))
            && (!self.degraded || !half.degraded.is_empty())
    }
}

fn is_target(target: &str, half: &HalfView) -> bool {
    if let Some(uuid) = half.target_uuid {
        return uuid::Uuid::try_parse(target).is_ok_and(|target| target == uuid);
    }
    let (project, network) = (half.target_project.as_str(), half.target_network.as_str());
    // Names may contain a slash, so the whole is compared.
    let of_network = target.strip_prefix(project).and_then(|rest| rest.strip_prefix('/'));
    of_network == Some(network) || (project == half.project && target == network)
}

/// What `why` is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The project of the network that opens.
    pub from_project: String,
    /// That network.
    pub from_network: String,
    /// The address of the guest there.
    pub from_address: Option<IpAddr>,
    /// The project of the network that is opened to.
    pub to_project: String,
    /// That network.
    pub to_network: String,
    /// The address there.
    pub to_address: Option<IpAddr>,
    /// What is opened: `tcp:443`, `ping`, `any`.
    pub opens: Option<String>,
}

impl Why {
    /// The question.
    ///
    /// # Errors
    /// What is to be opened cannot be read, or the addresses are of two families.
    pub(super) fn question(self) -> Result<WhyQuestion, String> {
        let Self { from_project, from_network, from_address, .. } = self;
        let from = WhyEnd { project: from_project, network: from_network, address: from_address };
        let Self { to_project, to_network, to_address, .. } = self;
        let to = WhyEnd { project: to_project, network: to_network, address: to_address };
        let families = [from.address, to.address].map(|it| it.map(|it| it.is_ipv4()));
        if let [Some(one), Some(other)] = families
            && one != other
        {
            return Err("one address is IPv4, the other one IPv6".to_owned());
        }
        let opens = self.opens.map_or(Ok(Default::default()), |text| text.parse());
        let opens = opens.map_err(|error: crate::view::NothingToOpen| error.to_string())?;
        Ok(WhyQuestion { from, to, opens })
    }
}

/// How much `verify` looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// So many pairs of networks that have not agreed; 1000 unless it is said.
    pub sample: Option<usize>,
}

impl Verify {
    /// The pairs without one of its own.
    pub const USUAL: usize = 1000;
    /// The most.
    pub const MOST: usize = 100_000;

    /// The number of pairs.
    #[must_use]
    pub fn pairs(self) -> usize {
        self.sample.unwrap_or(Self::USUAL).min(Self::MOST)
    }
}

/// A state by its word.
///
/// # Errors
/// There is no such state: the error lists those that there are.
pub fn state_of(word: &str) -> Result<State, ValueError> {
    let deserializer: StrDeserializer<'_, ValueError> = word.into_deserializer();
    State::deserialize(deserializer)
}

fn read_states<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<State>, D::Error> {
    let words = String::deserialize(deserializer)?;
    words.split(',').map(state_of).collect::<Result<_, _>>().map_err(de::Error::custom)
}

fn write_states<S: Serializer>(states: &BTreeSet<State>, serializer: S) -> Result<S::Ok, S::Error> {
    let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
    serializer.serialize_str(&words.join(","))
}

/// A query of held withdrawals: of one project, or of all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldFilter {
    /// Only what is released with this project's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
}

/// The body of a confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Only what is released with this project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The word that names what the operator saw. If something else is held, nothing is released.
    pub seen: String,
}

/// The result of a confirmation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The halves whose withdrawal was held and is now released, each as `project/network/name`.
    pub released: Vec<String>,
}

/// The body of a request to take over links of other tools.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeOver {
    /// Only the link in the way of this half: its project, its network, its name. Without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub half: Option<[String; 3]>,
    /// Whether to look only.
    #[serde(default)]
    pub dry_run: bool,
}

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Halves declared after it.
    pub halves: usize,
    /// How many of the diagnostics are errors: their subjects are not in effect as written.
    #[serde(default)]
    pub errors: usize,
    /// The sections of the settings whose changes need a restart.
    #[serde(default)]
    pub restart: Vec<String>,
    /// The problems of the settings and the files.
    pub diagnostics: Vec<Diagnostic>,
    /// How many more diagnostics there are.
    #[serde(default)]
    pub more_diagnostics: usize,
    /// Halves whose withdrawal waits for the operator's confirmation.
    pub held: Vec<String>,
    /// How many more wait.
    #[serde(default)]
    pub more_held: usize,
}

/// The body of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// One word that a program can match.
    pub code: String,
    /// What went wrong, in a sentence.
    pub message: String,
    /// What to do about it.
    pub next_step: String,
    /// What is wrong with declarations or settings, if that is the error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<Diagnostic>,
}
