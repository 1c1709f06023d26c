//! Prefixes that do not cross a link, and routes that its owner makes.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A prefix that does not cross.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilteredView {
    /// The prefix.
    pub prefix: IpNet,
    /// The side that has it: `local` or `remote`.
    pub side: String,
    /// Why, in a sentence.
    pub explanation: String,
}

/// A route that its owner makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    /// Its destination.
    pub destination: IpNet,
    /// The table or subnet that it is for, as declared; `None` for the main table.
    pub for_table: Option<String>,
    /// Whether it is installed; otherwise it waits.
    pub installed: bool,
    /// Why it waits.
    pub explanation: Option<String>,
}
