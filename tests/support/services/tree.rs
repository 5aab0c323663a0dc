//! A process with all that it has started, as the kernel tells of them (proc(5)).

use std::{fs, thread::sleep, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// Whether a process runs: neither gone nor a zombie.
#[must_use]
pub fn is_alive(pid: Pid) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) else { return false };
    // The name stands in brackets and may hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Waits for the end of a process that was killed: kill -9 is not refused, so this takes what the kernel needs to free it.
pub fn wait_until_gone(pid: Pid) {
    while is_alive(pid) {
        sleep(LOOK);
    }
}

fn children(pid: Pid) -> Vec<Pid> {
    let pid = pid.as_raw_nonzero();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)).collect()
}

/// A process, then all that it has started.
fn all(pid: Pid) -> Vec<Pid> {
    let below = children(pid).into_iter().flat_map(all);
    std::iter::once(pid).chain(below).collect()
}

/// Freezes all of it: the root first, so that it starts nothing more.
pub fn freeze(root: Pid) {
    signal_all(root, Signal::STOP);
}

/// Lets all of it go on.
pub fn thaw(root: Pid) {
    signal_all(root, Signal::CONT);
}

/// kill -9 of all of it, and waits until it is gone.
pub fn kill(root: Pid) {
    // Frozen first: what is killed must not be started again by what is not yet.
    freeze(root);
    let all = all(root);
    for pid in &all {
        let _ = kill_process(*pid, Signal::KILL);
    }
    all.into_iter().for_each(wait_until_gone);
}

fn signal_all(root: Pid, signal: Signal) {
    // It may be gone already.
    let _ = kill_process(root, signal);
    for pid in all(root) {
        let _ = kill_process(pid, signal);
    }
}

/// Bytes of memory that all of it holds, what they share counted once.
#[must_use]
pub fn resident_bytes(root: Pid) -> u64 {
    let kilobytes = |pid: Pid| -> Option<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero())).ok()?;
        rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok())
    };
    all(root).into_iter().filter_map(kilobytes).sum::<u64>() * 1_024
}
