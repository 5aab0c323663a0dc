//! Cores, and what a process has used of them and of memory, as Linux tells (proc(5)).

use std::{fs, time::Duration};

use anyhow::Context;
use rustix::thread::{CpuSet, sched_setaffinity};

/// Clock ticks of a second in `/proc/PID/stat`: USER_HZ, 100 on every architecture Linux offers to programs.
const TICKS_PER_SECOND: u64 = 100;

/// Binds the calling thread, and what it starts from now on, to one core. Answers whether that core is there for us.
pub(super) fn pin(core: usize) -> bool {
    let mut set = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return false;
    }
    set.set(core);
    sched_setaffinity(None, &set).is_ok()
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When there is no such process.
pub(super) fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status =
        fs::read_to_string(&path).with_context(|| format!("cannot read {path}; is the server still there?"))?;
    parse_resident(&status).with_context(|| format!("{path} has no VmRSS"))
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// CPU time a process has used with all its threads. Zero for one that has gone.
pub(super) fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Duration::from_millis(parse_ticks(&stat).unwrap_or(0) * 1_000 / TICKS_PER_SECOND)
}

/// CPU time a process has used, and all its descendants that live. Zero for one that has gone.
pub(super) fn family_cpu_time(pid: u32) -> Duration {
    cpu_time(pid) + children(pid).into_iter().map(family_cpu_time).sum::<Duration>()
}

/// Children of all threads of a process: /proc/PID/task/TID/children of proc(5).
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Fields 14 and 15 of proc_pid_stat(5); the name in field 2 may hold spaces and brackets.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t   1234 kB\n"), Some(1_263_616));
        assert_eq!(parse_resident("Name:\tx\n"), None);
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(parse_ticks(stat), Some(200));
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
    }

    #[test]
    fn a_family_has_used_what_its_children_used() {
        let mut child =
            std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell to start");
        let is_child = children(std::process::id()).contains(&child.id());
        while cpu_time(child.id()).is_zero() {
            std::thread::yield_now();
        }
        let (family, child_alone) = (family_cpu_time(std::process::id()), cpu_time(child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_child && family >= child_alone && !child_alone.is_zero());
    }
}
