//! The workloads as processes of their own, on real parts, behind a load balancer: as `make up-real` runs them.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use klatch_tests::{
    klatch_process::binary,
    person::{Ended, Person},
    services::process::free_port,
};
use rustix::process::{Pid, Signal, kill_process};

/// A broker takes half a minute to start on a busy machine, and six workloads wait for one another.
const PATIENCE: Duration = Duration::from_secs(400);

/// Everything that `tests/up-real` runs; ends with the test.
struct Real {
    url: String,
    child: Child,
    data: PathBuf,
    _folder: tempfile::TempDir,
}

impl Real {
    fn start() -> Self {
        // Where another user may go: PostgreSQL does not run as root.
        let folder = tempfile::Builder::new().prefix("klatch-real-").tempdir_in("/var/tmp").unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o711);
        std::fs::set_permissions(folder.path(), permissions).unwrap();
        let data = folder.path().join("data");
        let (child, url) = Self::run(&data);
        Self { url, child, data, _folder: folder }
    }

    fn run(data: &Path) -> (Child, String) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/up-real");
        let mut command = Command::new(script);
        command.arg(binary()).arg(data).arg(free_port().to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let out = child.stdout.take().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("ready ") {
                    let _ = tell.send(url.to_owned());
                }
            }
        });
        let Ok(url) = told.recv_timeout(PATIENCE) else {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            let _ = child.wait();
            panic!("it is not ready; the logs:\n{}", logs(data));
        };
        (child, url)
    }

    fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", logs(&self.data));
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.data.join("log").join(name)).unwrap_or_default()
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", logs(&self.data));
        }
    }
}

/// The end of each log.
fn logs(data: &Path) -> String {
    let mut text = String::new();
    for file in std::fs::read_dir(data.join("log")).into_iter().flatten().flatten() {
        let log = std::fs::read_to_string(file.path()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let end = lines[lines.len().saturating_sub(15)..].join("\n");
        text += &format!("--- {}\n{end}\n", file.file_name().display());
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn people_talk_over_two_gateways_and_a_restart_of_everything_keeps_what_was_said() {
    let mut real = Real::start();
    let (ada, bob) = (Person::sign_up(&real.url, "ada").await, Person::sign_up(&real.url, "bob").await);
    let room = ada.direct(&bob).await;
    // The balancer gives each the emptiest gateway: these two are not on the same.
    let (mut from, mut to) = (ada.connect().await, bob.connect().await);
    for number in 0..20 {
        from.say_stored(room, &format!("over {number}")).await;
        to.hears(room, &format!("over {number}")).await;
    }
    to.say_stored(room, "and back").await;
    from.hears(room, "and back").await;
    real.stop();
    assert_eq!((from.end().await, to.end().await), (Ended::Closed(4000), Ended::Closed(4000)));
    for workload in ["gateway-0", "gateway-1", "api", "message-service-0", "message-service-1", "notification-service"]
    {
        let log = real.log(workload);
        assert!(log.lines().any(|line| line.contains(r#""message":"stopped""#)), "{workload}:\n{log}");
        let secret = std::fs::read_to_string(real.data.join("secrets/postgres")).unwrap();
        assert!(!log.contains(&secret), "{workload} logs a password");
    }
    // Both wrote to sockets: that is what a drain says.
    let drained = |log: String| log.contains(r#""connections":1"#);
    assert!(drained(real.log("gateway-0")) && drained(real.log("gateway-1")), "both gateways had one connection");

    let (child, url) = Real::run(&real.data);
    real.child = child;
    real.url = url;
    let bob = bob.at(&real.url);
    let said = bob.history(room).await.into_iter().filter(|entry| entry["kind"] == "text").count();
    assert_eq!(said, 21, "twenty over, one back");
    ada.at(&real.url).connect().await.say_stored(room, "after").await;
    real.stop();
}
