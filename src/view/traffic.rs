//! Which packets cross a link, as the owner of a half reads it.

use serde::{Deserialize, Serialize};

/// The traffic filters in effect: the lists of both sides together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficView {
    /// What the other side may open here, in order: the first rule that matches decides, and what
    /// none matches is denied.
    #[serde(rename = "in")]
    pub inward: Vec<RuleView>,
    /// What this side may open there.
    #[serde(rename = "out")]
    pub outward: Vec<RuleView>,
    /// Why nothing may be opened here, if that is so.
    pub in_closed: Option<String>,
    /// Why nothing may be opened there.
    pub out_closed: Option<String>,
    /// What of the other side passes although it answers nothing: policies keep no state.
    pub inexact: Vec<String>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    /// `allow tcp 5432 from 10.1.0.0/25`; an end that is not named is all that crosses.
    pub rule: String,
    /// Whose list decides: `both`, `local` or `remote`.
    pub by: String,
}
