//! A whole Kubernetes with one node, for the tier `cluster_*`: pods that run, names, volumes, NetworkPolicies. It wants root, and
//! is in a network namespace of its own, of which nothing is left at the end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{audit::Request, kubectl::Kubectl, script, sweeper::Sweeper};
use crate::services::tree::wait_until_gone;

/// Nothing waited for takes that long, on a busy machine either; this only ends a test that waits for what never comes.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// A running cluster. Dropping it ends it, with all that runs on it.
pub struct Cluster {
    folder: PathBuf,
    address: String,
    // Last: it waits until nothing is left.
    _sweeper: Sweeper,
}

impl Cluster {
    /// Starts one, with these images of `tests/kube/images`, and waits until its node is ready.
    ///
    /// # Panics
    /// When it does not become so.
    #[must_use]
    pub fn start(images: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("klatch-cluster-").tempdir().expect("a temporary folder").keep();
        let sweeper = Sweeper::over(&folder);
        let mut up = Command::new(script("cluster"));
        let up = up.arg("up").arg(&folder).args(images).stdin(Stdio::null()).stderr(Stdio::inherit());
        let up = up.output().expect("tests/kube/cluster starts");
        assert!(up.status.success(), "tests/kube/cluster up fails\n{}", logs(&folder));
        let address = String::from_utf8_lossy(&up.stdout).trim().to_owned();
        Self { folder, address, _sweeper: sweeper }
    }

    /// One for all tests of this binary that keep to namespaces of their own, with the images of the services and our own.
    pub fn shared() -> &'static Self {
        // Statics are never dropped; the sweeper ends it.
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["services", "klatch"]))
    }

    /// Where this machine reaches its node.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The network namespace that its node and all pods are in, and the name of the cgroup of all that runs there.
    ///
    /// # Panics
    /// When the folder does not say.
    #[must_use]
    pub fn network_namespace(&self) -> String {
        let settings = fs::read_to_string(self.folder.join("settings")).expect("settings of a cluster");
        settings.lines().find_map(|line| line.strip_prefix("netns=")).expect("a network namespace").to_owned()
    }

    /// The file by which whoever holds it may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// `kubectl` on it.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.kubeconfig())
    }

    /// A namespace that nobody else uses, which enforces Pod Security *restricted*.
    #[must_use]
    pub fn namespace(&self) -> String {
        let name = self.kubectl().namespace();
        self.kubectl().must(&["label", "namespace", &name, "pod-security.kubernetes.io/enforce=restricted"]);
        name
    }

    /// Every request that the apiserver has answered so far, in order.
    ///
    /// # Panics
    /// When its audit log cannot be read.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        Request::all(&self.folder.join("log/audit"))
    }

    /// Kills a part, such as `kube-apiserver`, `etcd` or `containerd` (SIGKILL).
    ///
    /// # Panics
    /// When it was never started.
    pub fn kill(&self, part: &str) {
        let pid = fs::read_to_string(self.folder.join("pids").join(part)).expect("a part that was started");
        let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("its pid");
        // It may be gone already.
        let _ = kill_process(pid, Signal::KILL);
        wait_until_gone(pid);
    }

    /// Starts a part again.
    ///
    /// # Panics
    /// When there is no `setsid`.
    pub fn start_part(&self, part: &str) {
        // With a parent that goes at once: who ends it later need not be this process.
        let mut start = Command::new("setsid");
        let start = start.arg("--fork").arg(script("part")).arg(part).arg(&self.folder).status();
        assert!(start.expect("setsid starts").success(), "tests/kube/part {part} does not start");
    }

    /// Waits until something holds.
    ///
    /// # Panics
    /// With the ends of all logs, when it does not for [`PATIENCE`].
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "{what}: not after {PATIENCE:?}\n{}", logs(&self.folder));
            sleep(LOOK);
        }
    }
}

/// The last complaints of all parts.
fn logs(folder: &Path) -> String {
    let tail = Command::new("sh").args(["-c", "tail -n 15 \"$0\"/log/[!a]*"]).arg(folder).output();
    tail.map_or_else(|error| error.to_string(), |tail| String::from_utf8_lossy(&tail.stdout).into_owned())
}
