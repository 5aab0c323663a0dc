//! Whose PostgreSQL, RabbitMQ, Redis, PgBouncer and balancers the tests start: this machine's, or with
//! `KLATCH_SERVICES=majors` those of `tests/majors`, the majors people run, which see the machine's files but their own `/usr`
//! and `/etc`.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use rustix::process::geteuid;

/// Installed services.
pub struct Installation {
    /// Stands before a command; empty for this machine's own.
    prefix: Vec<String>,
    /// Where its files lie, seen from the tests.
    root: PathBuf,
}

impl Installation {
    /// The one that the environment names.
    ///
    /// # Panics
    /// When there is no such one, or it cannot be unpacked.
    pub fn chosen() -> &'static Self {
        static CHOSEN: OnceLock<Installation> = OnceLock::new();
        CHOSEN.get_or_init(|| match std::env::var("KLATCH_SERVICES").as_deref() {
            Ok("majors") => Self::majors(),
            Ok("system") | Err(_) => Self { prefix: Vec::new(), root: PathBuf::from("/") },
            Ok(other) => panic!("KLATCH_SERVICES is system or majors, not {other}"),
        })
    }

    fn majors() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/majors");
        let made = Command::new(script).arg("root").stderr(Stdio::inherit()).output().expect("tests/majors runs");
        let root = String::from_utf8_lossy(&made.stdout).trim().to_owned();
        assert!(made.status.success() && !root.is_empty(), "tests/majors root fails");
        Self { prefix: [script, "run"].map(str::to_owned).to_vec(), root: PathBuf::from(root) }
    }

    /// Where the tests see a file that its programs see as `path`, which is absolute.
    #[must_use]
    pub fn look(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A command of it. Whatever becomes of it becomes of this pid: nothing stands in between.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let program = program.as_ref();
        let Some((first, rest)) = self.prefix.split_first() else { return Command::new(program) };
        let mut command = Command::new(first);
        command.args(rest).arg(program);
        command
    }

    /// The same as words.
    #[must_use]
    pub fn words(&self, command: Vec<String>) -> Vec<String> {
        self.prefix.iter().cloned().chain(command).collect()
    }
}

/// What makes a command the one of the user `postgres`, for what refuses to run as root; nothing for who is not root.
#[must_use]
pub fn as_postgres() -> &'static [&'static str] {
    if geteuid().is_root() { &["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] } else { &[] }
}

/// Gives a file to the user whom the servers run as.
///
/// # Panics
/// When it cannot be given.
pub fn give_to_postgres(file: &Path) {
    if geteuid().is_root() {
        let given = Installation::chosen().command("chown").arg("postgres").arg(file).status();
        assert!(given.expect("chown runs").success(), "{} cannot be given to postgres", file.display());
    }
}
