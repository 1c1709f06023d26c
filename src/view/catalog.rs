//! Views of what is declared, beside the halves.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Who stored a half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredView {
    /// The account.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// A tag that changes with the declaration.
    pub etag: String,
    /// Whether it counts; otherwise a file declares the half, and counts before it.
    pub in_effect: bool,
}

/// What is stored of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// The project.
    pub project: String,
    /// Its halves and rejections, as a file of `peerings.d`.
    pub declarations: String,
}

/// A half of another network that asks one of the viewer's to peer, and has no answer. It has
/// nothing else of the other side: that needs the consent of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestView {
    /// The project of the network that is asked.
    pub project: String,
    /// The network that is asked.
    pub network: String,
    /// The project of the network that asks.
    pub from_project: String,
    /// The network that asks.
    pub from_network: String,
    /// The description of its half.
    pub description: String,
    /// Since when it asks; `None` until that is recorded.
    pub since: Option<Timestamp>,
}

/// A network that some host binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkView {
    /// The project that owns it.
    pub project: String,
    /// Its name.
    pub network: String,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its Logical_Router, as the operator wrote it.
    pub router: String,
    /// How many halves it has.
    pub halves: usize,
    /// The hosts that bind it.
    pub hosts: Vec<String>,
}

/// A project with networks or halves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectView {
    /// Its name.
    pub project: String,
    /// How many networks it has.
    pub networks: usize,
    /// How many halves it has.
    pub halves: usize,
    /// The most halves that it may have; `None` for any number.
    pub max_halves: Option<u32>,
}

/// Who asks, as the daemon sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhoamiView {
    /// The account.
    pub account: String,
    /// Whether it is an operator.
    pub operator: bool,
    /// The projects that it owns; empty for an operator, who may use all.
    pub projects: Vec<String>,
}
