//! `ovn-nbctl`, as an operator's script runs it.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use serde_json::Value;

use super::proxy::Transaction;
use super::server::program;
use super::statistics::peak_kib;

/// Bytes; no pipe is smaller.
const SMALL_PIPE: i32 = 4096;

fn nbctl(socket: &Path) -> Command {
    let mut command = program("ovn-nbctl");
    command.arg(format!("--db=unix:{}", socket.display()));
    command
}

/// How long a call takes, and its peak memory in KiB.
pub(crate) fn call(socket: &Path, arguments: &[&str]) -> (Duration, u64) {
    // It prints everything once all is done, so at the first byte its memory is at the peak; and it
    // lives still, because the pipe does not take even a short list at once.
    let (mut stdout, input) = std::io::pipe().expect("a pipe");
    fcntl(&input, FcntlArg::F_SETPIPE_SZ(SMALL_PIPE)).expect("a pipe's size can be set");
    let begin = Instant::now();
    let mut child =
        nbctl(socket).args(arguments).stdout(input).spawn().expect("ovn-nbctl can be started");
    let mut text = vec![0];
    stdout.read_exact(&mut text).expect("ovn-nbctl prints something");
    let peak = peak_kib(child.id());
    stdout.read_to_end(&mut text).expect("its output can be read");
    assert!(child.wait().expect("ovn-nbctl ends").success(), "ovn-nbctl {arguments:?} failed");
    (begin.elapsed(), peak)
}

/// The call that writes the rows of a transaction.
pub(crate) fn writing(socket: &Path, transaction: &Transaction) -> Command {
    let mut command = nbctl(socket);
    for operation in transaction {
        arguments(operation, &mut command);
    }
    command.stdout(Stdio::null());
    command
}

fn arguments(operation: &Value, command: &mut Command) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let table = text(&operation["table"]);
    let columns = |command: &mut Command| {
        for (column, value) in operation["row"].as_object().into_iter().flatten() {
            command.arg(format!("{column}={}", written(value)));
        }
    };
    match operation["op"].as_str() {
        Some("insert") => {
            command.arg("--");
            if let Some(name) = operation["uuid-name"].as_str() {
                command.arg(format!("--id=@{name}"));
            }
            command.args(["create", &table]);
            columns(command);
        }
        Some("update") => {
            command.args(["--", "set", &table, &row_of(operation)]);
            columns(command);
        }
        Some("mutate") if table != "NB_Global" => {
            for mutation in operation["mutations"].as_array().into_iter().flatten() {
                let verb = if mutation[1] == "insert" { "add" } else { "remove" };
                command.args(["--", verb, &table, &row_of(operation), &text(&mutation[0])]);
                command.args(members(&mutation[2]));
            }
        }
        // Guards, and the sequence number that only an increment can set.
        _ => {}
    }
}

fn row_of(operation: &Value) -> String {
    operation["where"][0][2][1].as_str().expect("one row is meant").to_owned()
}

fn written(value: &Value) -> String {
    match value[0].as_str() {
        Some("set") => format!("[{}]", members(value).join(",")),
        Some("map") => format!("{{{}}}", members(value).join(",")),
        _ => atom(value),
    }
}

fn members(value: &Value) -> Vec<String> {
    let list = value[1].as_array().into_iter().flatten();
    match value[0].as_str() {
        Some("set") => list.map(atom).collect(),
        Some("map") => list.map(|pair| format!("{}={}", atom(&pair[0]), atom(&pair[1]))).collect(),
        _ => vec![atom(value)],
    }
}

fn atom(value: &Value) -> String {
    match value[0].as_str() {
        Some("named-uuid") => format!("@{}", value[1].as_str().unwrap_or_default()),
        Some("uuid") => value[1].as_str().unwrap_or_default().to_owned(),
        // A string in JSON's quotes is what ovs-vsctl(8) takes.
        _ => value.to_string(),
    }
}
