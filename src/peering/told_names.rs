//! What names make of one end of a link: what it offers, and what its guests are told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::northbound::Answer;

/// The names of one end of a link; nearly every end has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// How many names its half offers to the other end; `None` if it offers none at all.
    pub offered: Option<usize>,
    /// The switches whose names were read for that, or for what its guests have already.
    pub read: Vec<Uuid>,
    /// The names of the other end that its guests are told, unless somebody has them here.
    pub claimed: BTreeSet<Arc<str>>,
    /// Those that they are told.
    pub told: BTreeMap<Arc<str>, Answer>,
    /// Those that this network itself or another peer has.
    pub taken: Vec<Arc<str>>,
    /// The switches of its guests, which refer to the row of told names.
    pub switches: Vec<Uuid>,
}
