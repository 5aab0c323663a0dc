//! The cookie that the brokers of a cluster know each other by, when it is made new. A broker that runs is told of it: the connections
//! that there are stay, and whoever connects anew shows the new one (<https://www.erlang.org/doc/apps/erts/erlang.html#set_cookie/1>).
//! Each broker hears of it when its node's kubelet has put the new file into place, about a minute apart at the most. Who starts anew
//! in that minute is not let in by those that have not heard yet, and tries again: RabbitMQ waits for its peers for five.

use std::{
    convert::Infallible,
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use klatch_settings::RabbitmqDependency;
use tokio::{process::Command, time::timeout};

use crate::{
    DependencyError,
    error::failed,
    files,
    supervise::{Stop, output},
};

/// Where Erlang looks for it, in the home of whoever starts it.
pub(super) const FILE: &str = ".erlang.cookie";
/// Between two looks at the file: small beside the minute that a kubelet takes to bring a new one.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long telling the broker may take: a virtual machine is started for it, which takes seconds on a busy node.
const TELLING: Duration = Duration::from_secs(60);

/// A broker, and what it is told by.
pub(super) struct Cookie {
    program: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    wanted: PathBuf,
    home: PathBuf,
    /// Folder of the one that the broker is being told.
    next: PathBuf,
}

impl Cookie {
    pub(super) fn new(settings: &RabbitmqDependency, node: &str, programs: &Path) -> Self {
        Self {
            program: programs.join("rabbitmqctl"),
            environment: super::environment(settings, node),
            wanted: settings.cookie_file.clone(),
            home: settings.data.join("home"),
            next: settings.run.join("next-cookie"),
        }
    }

    /// Tells the broker of every new one. What fails is tried again: it goes by the old one until then.
    pub(super) async fn follow(&self, stop: &Stop) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let line = match self.look(stop).await {
                Ok(false) => continue,
                Ok(true) => "klatch: this broker has changed over to the new cookie".to_owned(),
                Err(error) => format!("klatch: the broker cannot be told of the new cookie, trying again: {error}"),
            };
            // Nobody reads the log when this fails.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }

    /// Whether there was a new one, and the broker goes by it.
    async fn look(&self, stop: &Stop) -> Result<bool, DependencyError> {
        let wanted = files::password(&self.wanted)?;
        if files::read(&self.home.join(FILE))? == wanted {
            return Ok(false);
        }
        files::own_folder(&self.next)?;
        files::write_own(&self.next.join(FILE), &wanted)?;
        // By the old one; or by the new one, when the broker was told and nobody heard its answer.
        if self.tell(&self.home, stop).await.is_err() {
            self.tell(&self.next, stop).await?;
        }
        files::write_own(&self.home.join(FILE), &wanted)?;
        Ok(true)
    }

    /// The broker reads the file itself: what stands in a command line is seen by everybody.
    async fn tell(&self, home: &Path, stop: &Stop) -> Result<(), DependencyError> {
        let file = self.next.join(FILE);
        let expression = format!(
            "{{ok, Cookie}} = file:read_file(\"{}\"), erlang:set_cookie(binary_to_atom(string:trim(Cookie))).",
            file.display()
        );
        let mut command = Command::new(&self.program);
        command.args(["eval", &expression]).envs(self.environment.iter().cloned()).env("HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let start = |source| DependencyError::Start { program: self.program.clone(), source };
        let child = command.spawn().map_err(start)?;
        let late = || DependencyError::Wrong(format!("no answer within {} s", TELLING.as_secs()));
        let Some(ended) = timeout(TELLING, output(child, stop)).await.map_err(|_| late())? else {
            // The broker is being stopped.
            return std::future::pending().await;
        };
        let ended = ended.map_err(start)?;
        let done = ended.status.success() && ended.stdout.trim_ascii().ends_with(b"true");
        if done { Ok(()) } else { Err(failed(&self.program, &ended)) }
    }
}
