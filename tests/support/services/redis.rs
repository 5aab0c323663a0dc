//! A real Redis: `redis-server` on a free loopback port, with nothing kept on disk.
//!
//! `KLATCH_TEST_REDIS=redis://host:port` lets tests that only need *a* Redis use a server of one's own; those that kill or
//! freeze one always start theirs.

use std::{
    io::{Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use klatch_bus::redis::{Endpoint, Mode, Options, Tls};
use tempfile::TempDir;

use super::{
    certificates::Certificates,
    installation::Installation,
    process::{Process, free_port},
};

/// No start takes that long; this only ends a test whose server never answers.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks whether a server answers.
const LOOK: Duration = Duration::from_millis(10);
/// Far beyond what a busy machine needs: only tests of silence want less.
const UNHURRIED: Duration = Duration::from_secs(20);

/// Keys hash to one of so many (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>).
pub(super) const CLUSTER_SLOTS: u16 = 16_384;

/// How a Redis is started.
#[derive(Debug, Default, Clone, Copy)]
pub struct Start {
    /// A cluster of one server, which holds all slots.
    pub cluster: bool,
    /// Encrypted connections on a second port.
    pub tls: bool,
    /// Users of the default user must know it.
    pub password: Option<&'static str>,
}

/// A running `redis-server`. Dropping it kills it.
pub struct Redis {
    start: Start,
    port: u16,
    cluster_port: u16,
    tls_port: u16,
    arguments: Vec<String>,
    certificates: Option<Certificates>,
    process: Process,
    folder: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    ///
    /// # Panics
    /// With its log, when it does not.
    #[must_use]
    pub fn start(start: Start) -> Self {
        let redis = Self::launch(start);
        if start.cluster {
            redis.take_slots(0, CLUSTER_SLOTS - 1);
            redis.wait("CLUSTER INFO", "cluster_state:ok");
        }
        redis
    }

    /// The same; one of a cluster holds no slots yet.
    pub(super) fn launch(start: Start) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, cluster_port, tls_port) = (free_port(), free_port(), free_port());
        let certificates = start.tls.then(Certificates::make);
        let mut arguments: Vec<String> = ["redis-server", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        let mut add = |name: &str, value: &str| arguments.extend([format!("--{name}"), value.to_owned()]);
        add("port", &port.to_string());
        add("dir", &folder.path().display().to_string());
        add("logfile", &folder.path().join("log").display().to_string());
        if let Some(password) = start.password {
            add("requirepass", password);
        }
        if start.cluster {
            add("cluster-enabled", "yes");
            add("cluster-port", &cluster_port.to_string());
            add("cluster-announce-ip", "127.0.0.1");
            // A server that is gone takes only its own slots along, and is found to be gone soon.
            add("cluster-require-full-coverage", "no");
            add("cluster-node-timeout", "2000");
        }
        if let Some(certificates) = &certificates {
            let files = certificates.write(folder.path());
            add("tls-port", &tls_port.to_string());
            add("tls-ca-cert-file", &files.ca.display().to_string());
            add("tls-cert-file", &files.certificate.display().to_string());
            add("tls-key-file", &files.key.display().to_string());
            add("tls-auth-clients", "no");
            add("tls-cluster", if start.cluster { "yes" } else { "no" });
        }
        let arguments = Installation::chosen().words(arguments);
        let process = Process::start(&arguments);
        let redis = Self { start, port, cluster_port, tls_port, arguments, certificates, process, folder };
        redis.wait("PING", "PONG");
        redis
    }

    /// From now on these slots of a cluster are its own.
    pub(super) fn take_slots(&self, first: u16, last: u16) {
        assert!(self.ask(&format!("CLUSTER ADDSLOTSRANGE {first} {last}")).contains("OK"));
    }

    /// One for all tests of this binary that keep to keys of their own: see [`shared`].
    fn shared() -> &'static Self {
        // Statics are never dropped; the process that watches ends it.
        static SHARED: OnceLock<Redis> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Start::default()))
    }

    /// How to reach it, with patience for a busy machine and without doubt about a new registry.
    #[must_use]
    pub fn options(&self) -> Options {
        let mode = if self.start.cluster { Mode::Cluster } else { Mode::Standalone };
        let mut options = patient(mode, "127.0.0.1", self.port);
        options.password = self.start.password.map(str::to_owned);
        options
    }

    /// How to reach it over TLS.
    ///
    /// # Panics
    /// When it was started without.
    #[must_use]
    pub fn tls_options(&self) -> Options {
        let ca = self.certificates.as_ref().expect("started with TLS").ca.clone().into_bytes();
        let endpoints = vec![Endpoint { host: "localhost".to_owned(), port: self.tls_port }];
        Options { endpoints, tls: Some(Tls { ca: Some(ca) }), ..self.options() }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The port at which the servers of a cluster speak to one another.
    pub(super) fn cluster_port(&self) -> u16 {
        self.cluster_port
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Starts it again on the same port, empty, and waits until it answers.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = Process::start(&self.arguments);
        self.wait("PING", "PONG");
        if self.start.cluster {
            // It has kept its map.
            self.wait("CLUSTER INFO", "cluster_state:ok");
        }
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.process.thaw();
    }

    /// Lets it answer nobody for so long (`CLIENT PAUSE`); connections stay open.
    ///
    /// # Panics
    /// When it does not take that.
    pub fn pause(&self, millis: u64) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        socket.write_all(format!("CLIENT PAUSE {millis} ALL\r\n").as_bytes()).expect("a write");
        let mut answer = [0; 3];
        socket.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"+OK");
    }

    /// Removes every key, and every script.
    pub fn empty(&self) {
        assert!(self.ask("FLUSHALL").contains("OK"));
        assert!(self.ask("SCRIPT FLUSH").contains("OK"));
    }

    /// What it answers to a command, as it stands on the wire.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        self.try_ask(command).unwrap_or_else(|error| panic!("{command}: {error}\n{}", self.log()))
    }

    fn try_ask(&self, command: &str) -> std::io::Result<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let sign_in = self.start.password.map_or(String::new(), |password| format!("AUTH \"{password}\"\r\n"));
        // QUIT makes the end of the answers the end of the stream.
        socket.write_all(format!("{sign_in}{command}\r\nQUIT\r\n").as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    }

    pub(super) fn wait(&self, command: &str, expected: &str) {
        let began = Instant::now();
        while !self.try_ask(command).is_ok_and(|answer| answer.contains(expected)) {
            assert!(began.elapsed() < PATIENCE, "redis-server does not answer {expected}\n{}", self.log());
            std::thread::sleep(LOOK);
        }
    }

    fn log(&self) -> String {
        let missing = |_| "(no log: is redis-server installed? apt-get install redis-server)".to_owned();
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_else(missing)
    }
}

fn patient(mode: Mode, host: &str, port: u16) -> Options {
    Options {
        connect_timeout: UNHURRIED,
        response_timeout: UNHURRIED,
        doubt: Duration::ZERO,
        ..Options::new(mode, vec![Endpoint { host: host.to_owned(), port }])
    }
}

/// A Redis on which nobody else uses these keys: one server for all, a prefix for each.
///
/// # Panics
/// When `KLATCH_TEST_REDIS` is no `redis://host:port`, or names nobody.
#[must_use]
pub fn shared() -> Options {
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let mut options = match std::env::var("KLATCH_TEST_REDIS") {
        Ok(url) => {
            let address = url.strip_prefix("redis://").expect("KLATCH_TEST_REDIS is redis://host:port");
            let (host, port) = address.trim_end_matches('/').rsplit_once(':').expect("a host and a port");
            let port = port.parse().expect("a port");
            assert!((host, port).to_socket_addrs().is_ok(), "KLATCH_TEST_REDIS: nobody is called {host}");
            patient(Mode::Standalone, host, port)
        }
        Err(_) => Redis::shared().options(),
    };
    options.prefix = format!("test-{}-{}", std::process::id(), TAKEN.fetch_add(1, Ordering::Relaxed));
    options
}
