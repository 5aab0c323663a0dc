//! What the kernel tells of a process (proc(5)).

use std::{fs, time::Duration};

/// Whether a process runs: neither gone nor a zombie.
pub(super) fn is_alive(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The name stands in brackets and may hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Waits for the end of a process that was killed.
pub(super) fn wait_until_gone(pid: u32) {
    // kill -9 is not refused: this takes as long as the kernel needs to give the memory back.
    while is_alive(pid) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Bytes of memory that a process and all it has started hold, what they share counted once.
pub(super) fn resident_bytes(pid: u32) -> u64 {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kilobytes = rollup.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?.parse().ok());
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    kilobytes.unwrap_or(0_u64) * 1_024 + children.map(resident_bytes).sum::<u64>()
}
