//! Medians, and processor time as the kernel accounts it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// The middle one; the upper of two.
pub(crate) fn median<T: Ord + Copy>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// Processor time that a process has used so far, by all its threads that live (proc(5), schedstat).
pub(crate) fn cpu_of(pid: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .map(|text| on_cpu(&text))
        .sum()
}

/// How often each thread of a process that lives went to sleep so far (proc(5), status).
pub(crate) fn sleeps_of(pid: u32) -> BTreeMap<OsString, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let count = |status: &str| {
        let text = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        text.trim().parse::<u64>().ok()
    };
    tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            Some((task.file_name(), count(&status)?))
        })
        .collect()
}

/// Processor time that this process has used so far, by all its threads (getrusage(2)).
pub(crate) fn own_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel counts it");
    let whole = [usage.user_time(), usage.system_time()];
    whole.map(|part| Duration::from_micros(part.num_microseconds().unsigned_abs())).iter().sum()
}

fn on_cpu(schedstat: &str) -> Duration {
    let first = schedstat.split_whitespace().next().expect("schedstat has three numbers");
    Duration::from_nanos(first.parse().expect("schedstat holds numbers"))
}

/// The largest resident set that a process has had so far, in KiB (proc(5), VmHWM).
pub(crate) fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect("VmHWM is a number of KiB")
}
