//! A workload as a process of its own, before what it stands on is there: settings, secrets, health.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use klatch_tests::{
    klatch_process::{binary, failed, run},
    person::PATIENCE,
    services::process::free_port,
};
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const WORKLOADS: [&str; 4] = ["gateway", "message-service", "notification-service", "api"];

fn refused(workload: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(binary());
    command.args([workload, "--settings"]).arg(&file);
    failed(&run(&mut command, ""), 1)
}

#[test]
fn wrong_settings_are_refused_by_name() {
    for workload in WORKLOADS {
        let told = refused(workload, "adminListn: 127.0.0.1:0");
        assert!(told.contains("adminListn") && told.contains("settings.yaml"), "{told}");
        let told = refused(workload, "broker: {brokers: [{password: hunter2}]}");
        assert!(told.contains("password"), "a secret has no place in a file: {told}");
        let told = refused(workload, "broker: {topology: {deliveryLimit: 3}}");
        assert!(told.contains("broker.topology.deliveryLimit is at least 50"), "{told}");
    }
    assert!(refused("gateway", "database: {slots: 4}").contains("database"), "a gateway is given no database");
}

#[test]
fn an_api_without_keys_or_token_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    let settings = |rotate: bool| {
        format!("adminListen: 127.0.0.1:0\nlisten: 127.0.0.1:0\nkeys: {{folder: {}, rotate: {rotate}}}", keys.display())
    };
    let told = refused("api", &settings(false));
    assert!(told.contains("no key is in it"), "{told}");
    assert_eq!(fs::read_dir(&keys).unwrap().count(), 0);
    let told = refused("api", &settings(true));
    assert!(told.contains("KLATCH_SERVICE_TOKEN"), "{told}");
}

/// A process whose broker is not there.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_process_that_waits_lives_is_not_ready_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    // Nobody listens there.
    fs::write(&file, format!("listen: 127.0.0.1:0\nbroker: {{brokers: [{{port: {}}}]}}", free_port())).unwrap();
    let mut command = Command::new(binary());
    command.arg("gateway").env("KLATCH_SETTINGS", &file).env("KLATCH_ADMIN_LISTEN", "127.0.0.1:0");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut waiting = Waiting(child);
    let log = BufReader::new(waiting.0.stderr.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            let line: Value = serde_json::from_str(&line).expect("a log of JSON lines");
            let _ = tell.send(line);
        }
    });
    let admin = loop {
        let line = told.recv_timeout(PATIENCE).expect("the log names the admin listener");
        if let Some(address) = line["admin_address"].as_str() {
            break address.to_owned();
        }
    };
    let status = async |path: &str| reqwest::get(format!("{admin}{path}")).await.unwrap().status();
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/metrics").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    loop {
        let line = told.recv_timeout(PATIENCE).expect("the log says what is waited for");
        if line["message"].as_str().is_some_and(|message| message.contains("waiting for RabbitMQ")) {
            break;
        }
    }
    kill_process(Pid::from_child(&waiting.0), Signal::TERM).unwrap();
    assert_eq!(waiting.0.wait().unwrap().code(), Some(0));
}
