//! The moment at which an event is handled: read once by the shell, a parameter everywhere else.

use std::time::Duration;

use jiff::Timestamp;

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Wall time, for what users read and what outlives the process.
    pub wall: Timestamp,
    /// Time since the process started, for deadlines: it never jumps.
    pub since_start: Duration,
}
