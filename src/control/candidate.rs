//! A candidate for `POST /v1/plan`: declaration files that are not in place, as JSON.
//!
//! A wire type of its own, so that the declarations' types may change while the wire stays.
//! A public interface: fields are added, never renamed.

use serde::{Deserialize, Serialize};

/// Everything that the daemon would read in place of its own drop-in directories. Its policy
/// stays: settings take effect by a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// `networks.d`.
    pub networks: CandidateDirectory,
    /// `peerings.d`.
    pub peerings: CandidateDirectory,
}

/// One drop-in directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateDirectory {
    /// Its files, in any order.
    #[serde(default)]
    pub files: Vec<CandidateFile>,
    /// Why it cannot be read; its files then count as unknown, not as gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateFile {
    /// Its name in the directory, with the suffix.
    pub name: String,
    /// As diagnostics should show it.
    pub path: String,
    /// Its text, or why it cannot be read.
    #[serde(flatten)]
    pub content: CandidateContent,
    /// The numeric owner, where known: a pinned project's file must be its owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_uid: Option<u32>,
    /// The owner's account name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_name: Option<String>,
}

/// What is in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateContent {
    /// Its text.
    Text(String),
    /// Why it cannot be read.
    Error(String),
}
