//! A candidate for `POST /v1/plan`: declaration files that are not in place, as JSON.
//!
//! A wire type of its own, so that the declarations' types may change without the wire. A public
//! interface: fields may be added, never renamed.

use serde::{Deserialize, Serialize};

/// All files that the daemon is to read in place of its own drop-in directories. Its policy stays
/// in effect.
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
    /// Why it cannot be read; then its files count as unknown, not as removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateFile {
    /// Its name in the directory, with the suffix.
    pub name: String,
    /// The path that diagnostics show.
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

/// The content of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateContent {
    /// Its text.
    Text(String),
    /// Why it cannot be read.
    Error(String),
}
