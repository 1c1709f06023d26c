//! Traffic filters: which packets may cross a link.
//!
//! A half has two lists of entries: `in`, what the other side may open here, and `out`, what this
//! side may open there. The first entry that matches decides, and what none matches is denied. An
//! opening passes if `out` of the side that opens and `in` of the other side allow it. Replies
//! follow by their shape, because router policies keep no state.
//!
//! [`Entry`] is an entry as declared. [`product`](product()) makes one list of the two that decide
//! on openings in one direction. [`compile`](compile()) makes the ranked policies of one router, and
//! the drops that a `stateful` half has on its switches besides. This room knows only addresses and
//! protocols: no router, no row, no text of a match. Invariant: no policy allows a packet that the
//! lists deny, also if the packet is a fragment.

#[cfg(test)]
pub(crate) mod arbitrary;
mod compile;
mod entry;
mod guard;
mod inexact;
mod nets;
mod policies;
mod product;
mod protocol;

pub use compile::{Crossing, compile};
pub use entry::{Action, Entry, UnreadableEntry};
pub use inexact::inexact;
pub use nets::Nets;
pub use policies::{Kind, Policies, Policy, TooComplex};
pub use product::{Decider, Openings, Rule, product};
pub use protocol::{IcmpType, Ports, Protocol};
