//! A real RabbitMQ: as a node of its own on free loopback ports, with its own data folder, cookie and epmd.
//!
//! `KLATCH_TEST_RABBITMQ=amqp://user:password@host:port/vhost` lets tests that only need *a* RabbitMQ use a server of one's own
//! (they keep to names of their own there); those that kill or freeze one always start theirs.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use klatch_bus::rabbitmq::{BrokerAddress, Options, Topology};
use tempfile::TempDir;

use super::{
    certificates::{CertificateFiles, Certificates},
    installation::Installation,
    process::{Process, free_port},
};

/// No start takes that long; this only ends a test whose broker never answers. An idle machine needs 6 s, a busy one 30.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(50);
/// Far beyond what a busy machine needs: only tests of silence want less.
const UNHURRIED: Duration = Duration::from_secs(30);
/// Lines of the log that are shown when a test fails.
const LOG_LINES: usize = 60;
/// `guest:guest`, which RabbitMQ takes from loopback only.
const GUEST: &str = "Z3Vlc3Q6Z3Vlc3Q=";

/// How a RabbitMQ is started.
#[derive(Debug, Default, Clone, Copy)]
pub struct Start {
    /// Encrypted connections on a second port.
    pub tls: bool,
}

/// A running broker. Dropping it kills it.
pub struct Rabbitmq {
    port: u16,
    tls_port: u16,
    management_port: u16,
    command: Vec<String>,
    authority: Option<PathBuf>,
    server: Process,
    _epmd: Process,
    folder: TempDir,
}

/// A place on a broker where nobody else is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Where.
    pub address: BrokerAddress,
    /// What stands before every name there.
    pub prefix: String,
}

impl Place {
    /// Options for it, declaring, with patience for a busy machine.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            topology: Topology::Declare,
            prefix: self.prefix.clone(),
            confirm_timeout: UNHURRIED,
            connect_timeout: UNHURRIED,
            skip_after: UNHURRIED,
            ..Options::new("klatch tests", vec![self.address.clone()])
        }
    }
}

/// A place for one test: a virtual host of the broker that this test binary shares, or names of its own on the server that
/// the environment names.
///
/// # Panics
/// With the broker's log, when it does not start.
#[must_use]
pub fn fresh() -> Place {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    if let Ok(address) = std::env::var("KLATCH_TEST_RABBITMQ") {
        let address = BrokerAddress::parse(&address).expect("KLATCH_TEST_RABBITMQ");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_micros();
        return Place { address, prefix: format!("test-{since}-{number}.") };
    }
    // Statics are never dropped; the processes that watch end it.
    static SHARED: OnceLock<Rabbitmq> = OnceLock::new();
    SHARED.get_or_init(|| Rabbitmq::start(Start::default())).place(&format!("test-{number}"))
}

/// The broker's script, as the installation sees it.
fn server() -> String {
    let folder = "/usr/lib/rabbitmq/lib";
    let versions = fs::read_dir(Installation::chosen().look(folder));
    let versions = versions.expect("RabbitMQ is installed (apt-get install rabbitmq-server)").flatten();
    let version = versions.map(|version| version.file_name()).max().expect("a version of RabbitMQ");
    format!("{folder}/{}/sbin/rabbitmq-server", version.display())
}

impl Rabbitmq {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// With its log, when it does not.
    #[must_use]
    pub fn start(start: Start) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port, tls_port, management_port, dist_port, epmd_port] = std::array::from_fn(|_| free_port());
        let files = start.tls.then(|| Certificates::make().write(folder.path()));
        let tls = files.as_ref().map(|files| (tls_port, files));
        fs::write(folder.path().join("rabbitmq.conf"), configuration(port, management_port, tls)).expect("a file");
        fs::write(folder.path().join("plugins"), "[rabbitmq_management].\n").expect("a file");
        let command = command(folder.path(), port, dist_port, epmd_port);
        let epmd = ["epmd", "-address", "127.0.0.1", "-port"].map(str::to_owned);
        let epmd = [&epmd[..], &[epmd_port.to_string()]].concat();
        let epmd = Process::start(&Installation::chosen().words(epmd));
        let broker = Self {
            port,
            tls_port,
            management_port,
            server: Process::start(&command),
            command,
            authority: files.map(|files| files.ca),
            _epmd: epmd,
            folder,
        };
        broker.wait();
        broker
    }

    /// A virtual host of its own.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn place(&self, vhost: &str) -> Place {
        let all = r#"{"configure":".*","write":".*","read":".*"}"#;
        self.put(&format!("/api/vhosts/{vhost}"), "{}");
        self.put(&format!("/api/permissions/{vhost}/guest"), all);
        let address = format!("amqp://guest:guest@127.0.0.1:{}/{vhost}", self.port);
        Place { address: BrokerAddress::parse(&address).expect("an address"), prefix: String::new() }
    }

    /// The same place over TLS.
    ///
    /// # Panics
    /// When it was started without.
    #[must_use]
    pub fn encrypted(&self, vhost: &str) -> (Place, PathBuf) {
        let place = self.place(vhost);
        let address = format!("amqps://guest:guest@localhost:{}/{vhost}", self.tls_port);
        let address = BrokerAddress::parse(&address).expect("an address");
        (Place { address, ..place }, self.authority.clone().expect("started with TLS"))
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Starts it again on the same ports and data, and waits until it answers.
    ///
    /// # Panics
    /// With its log, when it does not.
    pub fn restart(&mut self) {
        self.server.kill();
        self.server = Process::start(&self.command);
        self.wait();
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.server.freeze();
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.server.thaw();
    }

    /// The end of its log.
    #[must_use]
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    fn wait(&self) {
        let started = Instant::now();
        let answers = || self.ask("GET", "/api/vhosts", "").is_some_and(|answer| answer.contains("200 OK"));
        // Its listeners for AMQP come last, the encrypted one after the other.
        let last = if self.authority.is_some() { self.tls_port } else { self.port };
        while !answers() || TcpStream::connect(("127.0.0.1", last)).is_err() {
            assert!(started.elapsed() < PATIENCE, "RabbitMQ does not answer:\n{}", self.log());
            sleep(LOOK);
        }
    }

    fn put(&self, path: &str, body: &str) {
        let answer = self.ask("PUT", path, body).unwrap_or_default();
        assert!(answer.starts_with("HTTP/1.1 20"), "PUT {path}: {answer}\n{}", self.log());
    }

    /// A request to its management API.
    fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.management_port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {GUEST}\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Rabbitmq {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of RabbitMQ's log:\n{}", self.log());
        }
    }
}

fn configuration(port: u16, management_port: u16, tls: Option<(u16, &CertificateFiles)>) -> String {
    let mut text = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management_port}\n\
         management_agent.disable_metrics_collector = true\nlog.console = false\nlog.file.level = info\n\
         disk_free_limit.absolute = 50MB\n"
    );
    if let Some((port, files)) = tls {
        text += &format!(
            "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
            files.ca.display(),
            files.certificate.display(),
            files.key.display()
        );
    }
    text
}

/// `RABBITMQ_ALLOW_INPUT` makes the script become the broker, so that its pid is the broker's.
fn command(folder: &Path, port: u16, dist_port: u16, epmd_port: u16) -> Vec<String> {
    let at = |name: &str| folder.join(name).display().to_string();
    let mut command = vec!["env".to_owned()];
    let mut set = |name: &str, value: String| command.push(format!("{name}={value}"));
    set("HOME", at(""));
    set("RABBITMQ_NODENAME", format!("klatch-{port}@localhost"));
    set("RABBITMQ_DIST_PORT", dist_port.to_string());
    set("ERL_EPMD_PORT", epmd_port.to_string());
    set("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned());
    set("RABBITMQ_MNESIA_BASE", at("data"));
    set("RABBITMQ_LOG_BASE", at(""));
    set("RABBITMQ_LOGS", at("log"));
    set("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"));
    set("RABBITMQ_ENABLED_PLUGINS_FILE", at("plugins"));
    set("RABBITMQ_CONF_ENV_FILE", at("none"));
    set("RABBITMQ_ALLOW_INPUT", "1".to_owned());
    set("RABBITMQ_SERVER_START_ARGS", "-noinput".to_owned());
    command.push(server());
    Installation::chosen().words(command)
}
