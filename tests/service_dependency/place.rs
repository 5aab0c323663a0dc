//! A pod's files, on this machine.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use klatch_crd::read_manifest;
use klatch_desired::{Observed, desired};
use klatch_tests::{
    klatch_process::binary,
    services::{
        installation::{Installation, as_postgres, give_to_postgres},
        process::Process,
    },
};

/// A broker takes half a minute to start on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
/// A password of the kind that the operator makes.
pub(super) const PASSWORD: &str = "0123456789abcdef0123456789abcdef";
/// One of the other login.
pub(super) const OTHER_PASSWORD: &str = "f123456789abcdeff123456789abcdef";

/// Folders that a user other than root may go to, and write in.
pub(super) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("klatch-dependency-").tempdir_in("/var/tmp").unwrap();
        let place = Self { folder };
        fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        place.own(place.folder.path());
        for name in ["volume", "run"] {
            fs::create_dir(place.at(name)).unwrap();
            place.own(&place.at(name));
        }
        // The folder it was built in may be closed to others, as root's own is.
        fs::hard_link(binary(), place.at("klatch"))
            .or_else(|_| fs::copy(binary(), place.at("klatch")).map(drop))
            .unwrap();
        for name in ["admin", "cookie", "a"] {
            place.write(name, PASSWORD);
        }
        for name in ["b", "admin-b"] {
            place.write(name, OTHER_PASSWORD);
        }
        place
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::write(&path, text).unwrap();
        self.own(&path);
    }

    /// The file of this name in the ConfigMap that a part of a small cluster gets.
    pub(super) fn rendered(part: &str, file: &str) -> String {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/chatcluster/good/mixed.yaml");
        let cluster = read_manifest(&fs::read_to_string(sample).unwrap()).unwrap();
        let desired = desired(&cluster, &Observed::offline());
        let map = desired.objects().find(|object| {
            object.kind() == "ConfigMap" && object.document["metadata"]["labels"]["app.kubernetes.io/component"] == part
        });
        map.unwrap().document["data"][file].as_str().unwrap().to_owned()
    }

    fn own(&self, path: &Path) {
        give_to_postgres(path);
    }

    /// `klatch dependency ...` with this settings file, of this cluster.
    fn command(&self, arguments: &[&str], cluster: &str) -> Vec<String> {
        let mut command: Vec<String> = as_postgres().iter().map(|&word| word.to_owned()).collect();
        command.extend(["env".to_owned(), format!("KLATCH_CLUSTER_ID={cluster}")]);
        command.extend(["KLATCH_NODE_NAME=klatch@localhost".to_owned(), format!("TMPDIR={}", self.text("run"))]);
        command.extend([self.text("klatch"), "dependency".to_owned()]);
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        command.extend(["--settings".to_owned(), self.text("settings.yaml")]);
        command
    }

    /// Starts it; it ends with the test.
    pub(super) fn start(&self, arguments: &[&str], environment: &[String]) -> Process {
        let mut command = vec!["env".to_owned()];
        command.extend(environment.iter().cloned());
        Process::start(&Installation::chosen().words([command, self.command(arguments, "one")].concat()))
    }

    /// Runs it to its end.
    pub(super) fn run(&self, arguments: &[&str], cluster: &str) -> Output {
        let command = self.command(arguments, cluster);
        Installation::chosen().command(&command[0]).args(&command[1..]).current_dir("/").output().unwrap()
    }

    /// Runs it to its end, which is a refusal.
    pub(super) fn refused(&self, arguments: &[&str], cluster: &str) -> String {
        let output = self.run(arguments, cluster);
        assert!(!output.status.success(), "it was not refused");
        String::from_utf8(output.stderr).unwrap()
    }
}

/// Looks until it is so.
pub(super) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}
