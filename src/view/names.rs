//! What is shown of names of guests.

use serde::{Deserialize, Serialize};

/// The names of a half.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamesView {
    /// How many names the other side may learn of; `None` if this side offers none at all.
    pub offered: Option<usize>,
    /// The names of the other side that guests of the local network are told.
    pub told: Vec<NameView>,
    /// Names of the other side that are not told, because this network or another peer has them.
    pub taken: Vec<String>,
}

/// A name, and what is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameView {
    /// The name.
    pub name: String,
    /// Addresses; or to the name of an address, a name.
    pub answers: Vec<String>,
}
