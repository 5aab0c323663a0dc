//! A real PostgreSQL: the one of `KLATCH_TEST_POSTGRES` (`postgres://USER:PASSWORD@HOST:PORT/DATABASE`, a superuser), or one
//! that is started here from what Debian installs, with fsync on: what these tests prove is on disk.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write as _},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use klatch_domain::{ShardId, SlotMap};
use klatch_store::postgres::{self, Endpoint, Options, PoolSizes, PostgresStores, Secret};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{
    installation::{Installation, as_postgres},
    process::free_port,
    tree,
};

/// How long a server may take to start: initdb syncs nothing, but the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who owns everything in a server of the tests.
const USER: &str = "klatch";
/// Slots of a cluster of the tests: few, as each has 7 tables.
pub const SLOTS: u16 = 4;

/// The server ends with the test process, even one that was killed: then the pipe closes, and the folder goes as well. A line
/// in the pipe asks only for the server's end. SIGQUIT makes it leave at once and take its shared memory along.
const WATCH: &str = r#"folder=$1; shift; "$@" </dev/null >>"$folder/log" 2>&1 & echo $!
if read -r line; then kill -QUIT $! 2>/dev/null; wait $!; else kill -QUIT $!; wait $!; rm -rf "$folder"; fi"#;

/// Removes a folder when the test process ends.
const REMOVE: &str = r#"cat >/dev/null; rm -rf "$1""#;

/// A server that runs.
pub struct Postgres {
    /// On 127.0.0.1, or where the environment says.
    pub host: String,
    /// Where it listens.
    pub port: u16,
    user: String,
    password: Option<String>,
    folder: Option<TempDir>,
    watcher: Option<Child>,
    pid: Option<rustix::process::Pid>,
}

impl Postgres {
    /// The server that all tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("KLATCH_TEST_POSTGRES") {
            Ok(url) => Self::elsewhere(&url),
            Err(_) => Self::start(&[]),
        })
    }

    fn elsewhere(url: &str) -> Self {
        let url = reqwest::Url::parse(url).expect("KLATCH_TEST_POSTGRES is a URL");
        Self {
            host: url.host_str().expect("KLATCH_TEST_POSTGRES names a host").to_owned(),
            port: url.port().unwrap_or(5432),
            user: url.username().to_owned(),
            password: url.password().map(str::to_owned),
            folder: None,
            watcher: None,
            pid: None,
        }
    }

    /// Starts a server of one's own, with more settings.
    ///
    /// # Panics
    /// When it does not start; with its log.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        let folder = open_folder();
        let data = folder.path().join("data");
        let copied = run_as_server_user(Command::new("cp").arg("-a").arg(initialized()).arg(&data));
        assert!(copied.status.success(), "cp: {}", String::from_utf8_lossy(&copied.stderr));
        let mut config = File::options().append(true).open(data.join("postgresql.conf")).expect("a configuration");
        let common = [
            "listen_addresses = '127.0.0.1'",
            "unix_socket_directories = ''",
            "fsync = on",
            "shared_buffers = 32MB",
            "max_connections = 400",
            "wal_level = logical",
            "max_wal_senders = 8",
            "autovacuum = off",
        ];
        for setting in common.iter().chain(settings) {
            writeln!(config, "{setting}").expect("a setting is written");
        }
        Self::run(folder)
    }

    fn run(folder: TempDir) -> Self {
        let mut server = Self {
            host: "127.0.0.1".to_owned(),
            port: free_port(),
            user: USER.to_owned(),
            password: None,
            folder: Some(folder),
            watcher: None,
            pid: None,
        };
        server.restart();
        server
    }

    /// A streaming replica of this server.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn replica(&self) -> Self {
        let folder = open_folder();
        let copied = run_as_server_user(
            Command::new(programs().join("pg_basebackup"))
                .args(["-h", &self.host, "-p", &self.port.to_string(), "-U", &self.user, "-c", "fast", "-R", "-D"])
                .arg(folder.path().join("data")),
        );
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
        Self::run(folder)
    }

    /// Its data folder.
    ///
    /// # Panics
    /// For a server that was not started here.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.as_ref().expect("a server started here").path().join("data")
    }

    /// Starts it on its port, or again after [`Self::stop`].
    ///
    /// # Panics
    /// When it does not come up; with its log.
    pub fn restart(&mut self) {
        let postgres = as_server_user(&Command::new(programs().join("postgres")));
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .arg(self.folder.as_ref().expect("a server started here").path())
            .arg(postgres.get_program())
            .args(postgres.get_args())
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // As in `process`: the watcher is to outlive a kill of the whole group.
            .process_group(0)
            .spawn()
            .expect("sh starts");
        let mut line = String::new();
        let output = watcher.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut line).expect("the server's pid");
        self.pid = line.trim().parse().ok().and_then(rustix::process::Pid::from_raw);
        self.watcher = Some(watcher);
        self.wait_ready();
    }

    fn wait_ready(&self) {
        let begin = Instant::now();
        loop {
            let ready = Installation::chosen()
                .command(programs().join("pg_isready"))
                .args(["-q", "-h", &self.host, "-p", &self.port.to_string()])
                .status()
                .expect("pg_isready runs");
            if ready.success() {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "postgres is not ready; its log:\n{}", self.log());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the whole server at once, as a power cut would end it, but for what the kernel still writes.
    ///
    /// # Panics
    /// When its port stays open.
    pub fn stop(&mut self) {
        if let Some(pid) = self.pid.take() {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::QUIT);
        }
        if let Some(mut watcher) = self.watcher.take() {
            if let Some(mut pipe) = watcher.stdin.take() {
                let _ = writeln!(pipe, "stop");
            }
            let _ = watcher.wait();
        }
        let begin = Instant::now();
        while TcpStream::connect((self.host.as_str(), self.port)).is_ok() {
            assert!(begin.elapsed() < PATIENCE, "postgres does not end");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// kill -9 of all its processes. Start it again with [`Self::restart`].
    pub fn kill(&mut self) {
        if let Some(pid) = self.pid.take() {
            tree::kill(pid);
        }
        self.stop();
    }

    /// Freezes all its processes (SIGSTOP): connections stay open and nobody answers.
    pub fn freeze(&self) {
        self.pid.into_iter().for_each(tree::freeze);
    }

    /// Lets them go on (SIGCONT).
    pub fn thaw(&self) {
        self.pid.into_iter().for_each(tree::thaw);
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        match &self.folder {
            Some(folder) => fs::read_to_string(folder.path().join("log")).unwrap_or_default(),
            None => "(of a server elsewhere)".to_owned(),
        }
    }

    /// One of its databases.
    #[must_use]
    pub fn endpoint(&self, database: &str) -> Endpoint {
        Endpoint {
            password: self.password.clone().map(Secret::new),
            ..Endpoint::new(&self.host, self.port, database, &self.user)
        }
    }

    /// A connection beside those of the store.
    ///
    /// # Panics
    /// When it does not come about; with the server's log.
    pub async fn connect(&self, database: &str) -> PgConnection {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(database)
            .ssl_mode(sqlx::postgres::PgSslMode::Prefer);
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        match PgConnection::connect_with(&options).await {
            Ok(connection) => connection,
            Err(error) => panic!("no connection to postgres: {error}; its log:\n{}", self.log()),
        }
    }

    /// Runs statements in a database.
    ///
    /// # Panics
    /// When one fails.
    pub async fn run_in(&self, database: &str, statements: &str) {
        let mut connection = self.connect(database).await;
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.expect("it runs");
        connection.close().await.expect("it closes");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.watcher.is_some() {
            if thread::panicking() {
                eprintln!("the log of postgres on port {}:\n{}", self.port, self.log());
            }
            self.stop();
        }
    }
}

/// A folder in which the server's user may write.
fn open_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("klatch-postgres-").tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("a folder for another user");
    folder
}

/// A data folder as initdb makes it, once: that takes longest of all.
fn initialized() -> PathBuf {
    static MADE: OnceLock<(TempDir, Child)> = OnceLock::new();
    let (made, _) = MADE.get_or_init(|| {
        let folder = open_folder();
        let made = run_as_server_user(
            Command::new(programs().join("initdb"))
                .args(["--no-sync", "-A", "trust", "-U", USER, "--encoding=UTF8", "--locale=C.UTF-8", "-D"])
                .arg(folder.path().join("data")),
        );
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut remover = Command::new("sh");
        remover.args(["-c", REMOVE, "sh"]).arg(folder.path()).stdin(Stdio::piped()).process_group(0);
        let remover = remover.spawn();
        (folder, remover.expect("sh starts"))
    });
    made.path().join("data")
}

/// A command as the user `postgres`: the server refuses to run as root.
fn as_server_user(command: &Command) -> Command {
    // `env` alone changes nothing.
    let mut other = Installation::chosen().command("env");
    other.args(as_postgres()).arg(command.get_program()).args(command.get_args()).current_dir("/");
    other
}

fn run_as_server_user(command: &Command) -> std::process::Output {
    as_server_user(command).output().expect("a program of PostgreSQL runs")
}

/// The newest version that is installed.
fn programs() -> PathBuf {
    let folder = "/usr/lib/postgresql";
    let versions = fs::read_dir(Installation::chosen().look(folder)).expect("PostgreSQL is installed").flatten();
    let version = |path: &Path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path()).max_by_key(|path| version(path)).expect("a version of PostgreSQL");
    Path::new(folder).join(newest.file_name().expect("a version of PostgreSQL")).join("bin")
}

/// A directory and shards of their own on a server.
pub struct Cluster {
    /// How they are opened.
    pub options: Options,
    /// Their databases: the directory's, then one a shard.
    pub databases: Vec<String>,
}

impl Cluster {
    /// New databases, migrated, with [`SLOTS`] slots in one shard. On the shared server copies of a migrated pair.
    ///
    /// # Panics
    /// When they cannot be made.
    pub async fn new() -> Self {
        static TEMPLATE: OnceCell<Cluster> = OnceCell::const_new();
        let server = Postgres::shared();
        let template = TEMPLATE.get_or_init(|| Self::made(server, 1)).await;
        let cluster = Self::named(server, 1);
        let mut connection = server.connect("postgres").await;
        for (database, from) in cluster.databases.iter().zip(&template.databases) {
            let statement = format!("CREATE DATABASE {database} TEMPLATE {from}");
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a database");
        }
        connection.close().await.expect("it closes");
        cluster
    }

    /// The same on any server, without a template.
    ///
    /// # Panics
    /// When they cannot be made.
    pub async fn made(server: &Postgres, shards: u16) -> Self {
        let cluster = Self::empty(server, shards).await;
        cluster.migrate().await;
        cluster
    }

    /// Databases with nothing in them.
    ///
    /// # Panics
    /// When they cannot be made.
    pub async fn empty(server: &Postgres, shards: u16) -> Self {
        let cluster = Self::named(server, shards);
        let mut connection = server.connect("postgres").await;
        for database in &cluster.databases {
            let statement = format!("CREATE DATABASE {database}");
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("a database");
        }
        connection.close().await.expect("it closes");
        cluster
    }

    fn named(server: &Postgres, shards: u16) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let stem = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let shard_name = |shard: u16| format!("{stem}_shard_{shard}");
        let mut databases = vec![format!("{stem}_directory")];
        databases.extend((0..shards).map(shard_name));
        let options = Options {
            directory: server.endpoint(&databases[0]),
            replicas: Vec::new(),
            shards: (0..shards).map(|shard| (ShardId(shard), server.endpoint(&shard_name(shard)))).collect(),
            pools: PoolSizes::default(),
        };
        Self { options, databases }
    }

    /// Brings them to the newest schema.
    ///
    /// # Panics
    /// When that fails.
    pub async fn migrate(&self) -> SlotMap {
        postgres::migrate(&self.options, SLOTS).await.expect("the databases are migrated")
    }

    /// Opens them.
    ///
    /// # Panics
    /// When that fails.
    pub async fn open(&self) -> PostgresStores {
        postgres::open(self.options.clone()).await.expect("the databases open")
    }
}
