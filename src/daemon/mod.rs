//! The shell: one event loop around the pure engine.
//!
//! Owns the command line, the program's only clock, files and their watching, signals, the service
//! manager's notifications and the log. Decides nothing: passes every event to the engine, and the
//! engine's transactions to the northbound client. Invariants: one loop, one closed event type;
//! only that loop feeds the watchdog; an exit leaves the data plane as it is.

mod access;
mod answers;
mod bindings;
pub mod candidate;
pub mod check;
mod command;
pub mod discover;
mod error;
mod events;
pub mod files;
mod log;
mod metrics;
mod moment;
mod network;
mod northbound;
mod once;
mod open_files;
mod plans;
mod reload;
mod service;
mod signals;
mod tool_api;
pub mod verify;
mod waiting;
pub mod watch;
mod workers;

#[cfg(test)]
pub(crate) use command::command_line;
pub use command::run;
