//! The daemon; see [`ovn_peerd::daemon`].

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    ovn_peerd::daemon::run(env::args_os())
}
