//! A real PgBouncer in transaction mode in front of a server of the tests.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    installation::{Installation, as_postgres},
    postgres::Postgres,
    process::{Process, free_port},
};

const PATIENCE: Duration = Duration::from_secs(30);
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// From this version on statements stay prepared through it: 1.21 (<https://www.pgbouncer.org/changelog.html>).
const PREPARES: (u32, u32) = (1, 21);

/// A PgBouncer that runs.
pub struct PgBouncer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Whether statements stay prepared through it.
    pub prepares: bool,
    folder: TempDir,
    _process: Process,
}

impl PgBouncer {
    /// Starts one that gives every transaction any of few server connections.
    ///
    /// # Panics
    /// When it is not installed or does not start; with its log.
    #[must_use]
    pub fn to(server: &Postgres) -> Self {
        let prepares = version() >= PREPARES;
        let folder = tempfile::Builder::new().prefix("klatch-pgbouncer-").tempdir().expect("a folder");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a folder for another user");
        let (port, path) = (free_port(), folder.path().display().to_string());
        fs::write(folder.path().join("users"), "\"klatch\" \"\"\n").expect("a file");
        let statements = if prepares { "max_prepared_statements = 200\n" } else { "" };
        let settings = format!(
            "[databases]\n* = host={} port={} user=klatch\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\nauth_file = {path}/users\npool_mode = transaction\nstats_users = klatch\n\
             default_pool_size = 4\nserver_idle_timeout = 1\nmax_client_conn = 200\nlogfile = {path}/log\npidfile = {path}/pid\n{statements}",
            server.host, server.port
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).expect("a configuration");
        // It refuses to run as root.
        let file = file.display().to_string();
        let command = as_postgres().iter().copied().chain([PROGRAM, &file]).map(str::to_owned).collect();
        let process = Process::start(&Installation::chosen().words(command));
        let bouncer = Self { port, prepares, folder, _process: process };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < PATIENCE, "PgBouncer is not ready; its log:\n{}", bouncer.log());
            thread::sleep(Duration::from_millis(20));
        }
        bouncer
    }

    /// The sum of a column of `SHOW STATS` over all databases (<https://www.pgbouncer.org/usage.html#show-stats>).
    ///
    /// # Panics
    /// When it does not tell, or not of this.
    #[must_use]
    pub fn counted(&self, column: &str) -> u64 {
        let mut psql = Installation::chosen().command("psql");
        let port = self.port.to_string();
        psql.args(["-h", "127.0.0.1", "-p", &port, "-U", "klatch", "-A", "-c", "SHOW STATS", "pgbouncer"]);
        let output = psql.output().expect("psql runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let place = text.lines().next().and_then(|head| head.split('|').position(|name| name == column));
        let place = place.unwrap_or_else(|| panic!("no {column}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        text.lines().filter_map(|line| line.split('|').nth(place)?.parse::<u64>().ok()).sum()
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn version() -> (u32, u32) {
    let output = Installation::chosen()
        .command(PROGRAM)
        .arg("--version")
        .output()
        .expect("PgBouncer is installed (package pgbouncer)");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers =
        text.split_whitespace().nth(1).unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
