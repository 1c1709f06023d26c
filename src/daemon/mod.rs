//! The shell: one event loop around the pure engine.
//!
//! Owns the command line, the programme's only clock, files and their watching, signals, the
//! service manager's notifications and the log. Decides nothing: whatever happens becomes an event
//! for the engine, whatever the engine wants sent goes to the northbound client. Invariants: one
//! loop, one closed event type; the watchdog is fed by that loop and by nothing else; leaving
//! leaves the data plane as it is.

mod answers;
pub mod candidate;
pub mod check;
mod command;
mod events;
pub mod files;
mod log;
mod northbound;
mod plans;
mod reload;
mod service;
mod signals;
pub mod watch;

pub use command::run;
