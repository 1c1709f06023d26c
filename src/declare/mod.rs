//! Declarations: TOML text becomes settings, networks and halves.
//!
//! Owns the file formats, the diagnostics (every error of every file at once, with
//! file:line:column and a hint), drop-in order, and the last good version of each file.
//! May not touch the file system, the clock, or any OVN table: text comes in, values go out.

mod model;

pub use model::{ConfiguredStatus, Half, HalfKey, Network, NetworkKey, NetworkType, RouterRef};
