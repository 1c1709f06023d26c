//! The operator's tool; see [`ovn_peerd::ctl`].

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    ovn_peerd::ctl::run(env::args_os())
}
