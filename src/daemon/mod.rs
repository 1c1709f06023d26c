//! The shell: files, clocks and sockets around the pure core.

pub mod check;
pub mod files;
pub mod watch;
