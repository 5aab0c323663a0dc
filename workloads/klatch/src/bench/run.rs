//! The course of a measurement: folder, accounts, reference, then each scenario on a server of its own.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{
    accounts::Accounts,
    interrupt, machine,
    options::Options,
    provision,
    reference::{self, Reference, Wanted},
    report,
    scenario::{self, Found, Stage},
    server::{Running, Server},
};

/// What can be measured of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scenario {
    Connect,
    Idle,
    Room,
    Signals,
    Stored,
    Ack,
}

impl Scenario {
    /// All, quick ones first.
    pub(super) const ALL: &'static [Self] =
        &[Self::Idle, Self::Connect, Self::Ack, Self::Signals, Self::Stored, Self::Room];

    const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connections made ready",
            Self::Idle => "idle memory",
            Self::Room => "one large room",
            Self::Signals => "1:1 signals",
            Self::Stored => "1:1 stored messages",
            Self::Ack => "ack at a steady rate",
        }
    }

    async fn run(self, stage: Stage<'_>) -> anyhow::Result<Found> {
        match self {
            Self::Connect => scenario::connect::measure(stage).await,
            Self::Idle => scenario::idle::measure(stage).await,
            Self::Room => scenario::room::measure(stage).await,
            Self::Signals => scenario::signals::measure(stage).await,
            Self::Stored => scenario::stored::measure(stage).await,
            Self::Ack => scenario::ack::measure(stage).await,
        }
    }
}

/// Measures these scenarios, and of the machine what their budgets are told in. Without a scenario: the machine alone.
///
/// # Errors
/// What could not be measured. A server that was started is stopped, the folder removed.
pub(super) fn measure(options: &Options, scenarios: &[Scenario]) -> anyhow::Result<()> {
    crate::descriptors::raise();
    let workplace = Workplace::make(options)?;
    interrupt::clean_up_after(&workplace)?;
    let accounts = accounts(options, scenarios, &workplace)?;
    ensure!(
        machine::pin(options.generator_core),
        "there is no core {} for the generator; name another with --generator-core",
        options.generator_core
    );
    let reference = measure_machine(options, scenarios, &workplace)?;
    let mut found = Vec::with_capacity(scenarios.len());
    if let Some(accounts) = &accounts {
        for scenario in scenarios {
            report::announce(scenario.name());
            let server = start(options, &workplace, *scenario)?;
            let stage = Stage { server: &server, accounts, options };
            found.push((*scenario, drive(*scenario, stage).with_context(|| scenario.name().to_owned())?));
        }
    }
    report::publish(options, &reference, found)
}

/// One thread: the generator competes with nobody but itself. Its sockets go with its runtime.
fn drive(scenario: Scenario, stage: Stage<'_>) -> anyhow::Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, scenario.run(stage))
}

fn measure_machine(options: &Options, scenarios: &[Scenario], workplace: &Workplace) -> anyhow::Result<Reference> {
    if options.no_reference && !scenarios.is_empty() {
        return Ok(Reference::default());
    }
    let asks = |some: &[Scenario]| scenarios.is_empty() || scenarios.iter().any(|scenario| some.contains(scenario));
    let wanted = Wanted {
        writes: asks(&[Scenario::Room]),
        echoes: asks(&[Scenario::Signals, Scenario::Stored]),
        sync: asks(&[Scenario::Ack]),
    };
    report::announce("what the machine can do");
    reference::measure(options, &workplace.folder, wanted)
}

fn accounts(options: &Options, scenarios: &[Scenario], workplace: &Workplace) -> anyhow::Result<Option<Accounts>> {
    if scenarios.is_empty() {
        return Ok(None);
    }
    if let Some(path) = &options.accounts {
        return Accounts::read(path).map(Some);
    }
    report::announce("accounts");
    let crowd = scenarios.iter().any(|scenario| matches!(scenario, Scenario::Connect | Scenario::Idle));
    let group = if scenarios.contains(&Scenario::Room) { options.members } else { 0 };
    let pairs =
        scenarios.iter().any(|scenario| matches!(scenario, Scenario::Signals | Scenario::Stored | Scenario::Ack));
    let direct_rooms = if pairs { options.pairs } else { 0 };
    let users = (if crowd { options.connections } else { 0 }).max(group).max(2 * direct_rooms);
    let wanted =
        provision::Wanted { users: users as usize, direct_rooms: direct_rooms as usize, group: group as usize };
    provision::provision(&workplace.data(), wanted).map(Some)
}

/// A server for one scenario. Started from a thread on its core, as a process inherits where it may run.
fn start(options: &Options, workplace: &Workplace, scenario: Scenario) -> anyhow::Result<Server> {
    if let Some(url) = &options.url {
        return Server::running(url, options.pid);
    }
    let binary = match &options.server {
        Some(binary) => binary.clone(),
        None => std::env::current_exe().context("cannot tell which program this is; name one with --server")?,
    };
    ensure!(
        machine::pin(options.server_core),
        "there is no core {} for the server; name another with --server-core",
        options.server_core
    );
    let log = workplace.folder.join(format!("{scenario:?}.log").to_lowercase());
    let server = Server::start(&binary, &workplace.data(), &log, &workplace.running);
    machine::pin(options.generator_core);
    server
}

/// A folder for data, logs and the sync that is measured; it goes with this value.
pub(super) struct Workplace {
    pub(super) folder: PathBuf,
    pub(super) keep: bool,
    /// The server that was started, as long as it runs.
    pub(super) running: Running,
}

impl Workplace {
    fn make(options: &Options) -> anyhow::Result<Self> {
        let folder = Path::new(&options.data).join(format!("klatch-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder, keep: options.keep, running: Running::default() })
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if !self.keep {
            // What stays is only disk space, and says by its name what it is.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}
