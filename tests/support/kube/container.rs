//! What runs in the containers of a node, as processes of this machine.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use super::cluster::Cluster;
use crate::services::tree::{is_alive, wait_until_gone};

/// kill -9 of every process of a program, such as `klatch-operator`, in containers of this node; how many there were. The kubelet starts
/// them again.
///
/// # Panics
/// When /proc cannot be read.
#[must_use]
pub fn kill_all(cluster: &Cluster, program: &str) -> usize {
    let below = format!("/{}/", cluster.network_namespace());
    let all = fs::read_dir("/proc").expect("/proc").filter_map(|one| one.ok()?.file_name().to_str()?.parse().ok());
    let is_one = |pid: &Pid| {
        let of = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
        // A container's processes are in its cgroup, and so of this node and no other.
        fs::read_to_string(of.join("cgroup")).is_ok_and(|cgroups| cgroups.contains(&below))
            && fs::read_link(of.join("exe")).is_ok_and(|path| path.file_name().is_some_and(|name| name == program))
    };
    let found: Vec<Pid> = all.filter_map(Pid::from_raw).filter(is_one).filter(|pid| is_alive(*pid)).collect();
    for pid in &found {
        // It may be gone already.
        let _ = kill_process(*pid, Signal::KILL);
        wait_until_gone(*pid);
    }
    found.len()
}
