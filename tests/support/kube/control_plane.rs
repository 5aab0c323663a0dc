//! A control plane of its own for a test or a test binary: etcd and kube-apiserver on free loopback ports, within seconds;
//! kube-controller-manager and kube-scheduler where asked. There is no node: what wants pods that run is the cluster tier's.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal};

use super::{audit::Request, gateway_api, kubectl::Kubectl, part::Part, script, sweeper::Sweeper};
use crate::services::process::free_port;

/// No start takes that long, but for the build of the binary, which has none; this only ends a test whose server never answers.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(50);
/// Where the apiserver says it is. Nobody looks for it there (RFC 5737): an address of this machine is not needed, and
/// loopback is refused.
const ADVERTISED: &str = "192.0.2.1";

/// What is started beside etcd and the apiserver.
#[derive(Debug, Default, Clone, Copy)]
pub struct Start {
    /// kube-controller-manager: garbage collection, Deployments and Jobs that make their pods, namespaces that go, autoscaling.
    pub controllers: bool,
    /// kube-scheduler.
    pub scheduler: bool,
}

/// A part that a test may take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The store behind the apiserver.
    Etcd,
    /// The server.
    Apiserver,
    /// kube-controller-manager.
    Controllers,
    /// kube-scheduler.
    Scheduler,
}

/// A running control plane. Dropping it ends it and removes its folder.
pub struct ControlPlane {
    parts: Vec<(Which, Part)>,
    folder: PathBuf,
    // Last: it waits until the folder is gone.
    _sweeper: Sweeper,
}

impl ControlPlane {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// With the parts' logs, when it does not.
    #[must_use]
    pub fn start(start: Start) -> Self {
        // A first call builds the binary, and nothing below waits for that.
        let built = Command::new(script("program")).args(["kubectl", "version", "--client"]).output();
        assert!(built.expect("tests/kube/program runs").status.success(), "tests/kube/build kube fails");
        let folder = tempfile::Builder::new().prefix("klatch-kube-").tempdir().expect("a temporary folder").keep();
        prepare(&folder);
        let _sweeper = Sweeper::over(&folder);
        let parts = vec![
            (Which::Etcd, Part::start("etcd", &folder)),
            (Which::Apiserver, Part::start("kube-apiserver", &folder)),
        ];
        let mut plane = Self { parts, folder, _sweeper };
        plane.wait_ready();
        if start.controllers {
            plane.parts.push((Which::Controllers, Part::start("kube-controller-manager", &plane.folder)));
        }
        if start.scheduler {
            plane.parts.push((Which::Scheduler, Part::start("kube-scheduler", &plane.folder)));
        }
        plane
    }

    /// One for all tests of this binary that keep to namespaces of their own, with controllers; nobody kills a part of it.
    pub fn shared() -> &'static Self {
        // Statics are never dropped; the sweeper ends it.
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Start { controllers: true, scheduler: false }))
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

    /// A namespace that nobody else uses.
    #[must_use]
    pub fn namespace(&self) -> String {
        self.kubectl().namespace()
    }

    /// From now on it knows HTTPRoutes and Gateways, which nobody acts upon.
    ///
    /// # Panics
    /// When it refuses them.
    pub fn create_gateway_api(&self) {
        gateway_api::create(&self.kubectl());
    }

    /// Every request that the apiserver has answered so far, in order.
    ///
    /// # Panics
    /// When its audit log cannot be read.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        Request::all(&self.folder.join("log/audit"))
    }

    /// The number of a part's process.
    #[must_use]
    pub fn pid(&self, which: Which) -> Pid {
        self.part(which).pid()
    }

    /// Freezes a part: connections stay open and nobody answers.
    pub fn freeze(&self, which: Which) {
        self.part(which).signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn thaw(&self, which: Which) {
        self.part(which).signal(Signal::CONT);
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self, which: Which) {
        self.part_mut(which).kill();
    }

    /// Starts parts again, with all they had, and waits until the apiserver answers.
    ///
    /// # Panics
    /// With the parts' logs, when it does not.
    pub fn restart(&mut self, which: &[Which]) {
        which.iter().for_each(|one| self.part_mut(*one).restart());
        self.wait_ready();
    }

    fn part(&self, which: Which) -> &Part {
        &self.parts.iter().find(|(one, _)| *one == which).expect("it was started").1
    }

    fn part_mut(&mut self, which: Which) -> &mut Part {
        &mut self.parts.iter_mut().find(|(one, _)| *one == which).expect("it was started").1
    }

    fn wait_ready(&self) {
        let began = Instant::now();
        // The namespace `default` comes a moment after the server says that it is ready.
        let ready = || {
            let kubectl = self.kubectl();
            kubectl.run(&["get", "--raw", "/readyz"]).success && kubectl.run(&["get", "namespace", "default"]).success
        };
        while !ready() {
            assert!(began.elapsed() < PATIENCE, "the control plane does not answer\n{}", self.log());
            sleep(LOOK);
        }
    }

    /// The ends of all logs, for a test that fails.
    #[must_use]
    pub fn log(&self) -> String {
        self.parts.iter().map(|(_, part)| part.log()).collect()
    }
}

fn prepare(folder: &Path) {
    let ports = [free_port(), free_port(), free_port()].map(|port| port.to_string());
    let prepared = Command::new(script("prepare")).arg(folder).args(["127.0.0.1", ADVERTISED]).args(ports).status();
    assert!(prepared.expect("tests/kube/prepare runs").success(), "tests/kube/prepare fails: is openssl installed?");
}
