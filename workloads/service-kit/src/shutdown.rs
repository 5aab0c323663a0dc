//! Being told to stop: SIGTERM from whoever runs the process, SIGINT from a keyboard.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell reports for a process that SIGINT ended: 128 + 2. Also after a second SIGTERM, as that is no clean end.
const EXIT_AT_ONCE: i32 = 130;

/// A process that can be told to stop; clones share it.
#[derive(Clone)]
pub struct Shutdown {
    token: CancellationToken,
    signal: Arc<OnceLock<&'static str>>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT from now on. The first cancels the token; the second ends the process at once
    /// with status 130, whatever is still under way. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn listen() -> io::Result<Self> {
        let shutdown = Self { token: CancellationToken::new(), signal: Arc::default() };
        let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::spawn(shutdown.clone().obey(signals));
        Ok(shutdown)
    }

    async fn obey(self, (mut terminate, mut interrupt): (Signal, Signal)) {
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping");
        // Set once: this task runs once.
        let _ = self.signal.set(name);
        self.token.cancel();
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "told to stop again: ending at once");
        std::process::exit(EXIT_AT_ONCE);
    }

    /// Cancelled when the process is to stop. Whoever cancels it stops the process, as a failed
    /// [`spawn_critical`](crate::panic::spawn_critical) task does.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Waits until the process is to stop. Cancel safe.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// The first signal; `None` when there was none: then a process that stops has failed, and should say so by its
    /// exit status.
    #[must_use]
    pub fn signal(&self) -> Option<&'static str> {
        self.signal.get().copied()
    }
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Child, Command, Stdio},
    };

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Set in the process that `child` starts: this test binary once more.
    const CHILD: &str = "KLATCH_TEST_SHUTDOWN_CHILD";

    fn child() -> (Child, impl Iterator<Item = String>) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "shutdown::tests::signals_stop_the_process", "--nocapture"])
            .env(CHILD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        (child, lines.filter(|line| line.starts_with("child: ")))
    }

    /// What the child does: tells of each step, and never ends by itself.
    fn live() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shutdown = Shutdown::listen().unwrap();
            assert_eq!(shutdown.signal(), None);
            println!("\nchild: listening");
            // Ends a child whose parent gave up; nothing is proved by it.
            tokio::time::timeout(std::time::Duration::from_secs(60), shutdown.requested()).await.unwrap();
            assert!(shutdown.token().is_cancelled());
            println!("\nchild: stopping by {}", shutdown.signal().unwrap());
            std::future::pending::<()>().await;
        });
    }

    fn tell(child: &Child, signal: Signal) {
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    #[test]
    fn signals_stop_the_process() {
        if std::env::var_os(CHILD).is_some() {
            return live();
        }
        for (first, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
            let (mut child, mut lines) = child();
            assert_eq!(lines.next().unwrap(), "child: listening");
            tell(&child, first);
            assert_eq!(lines.next().unwrap(), format!("child: stopping by {name}"));
            assert!(child.try_wait().unwrap().is_none(), "one signal asks, it does not end");
            tell(&child, Signal::TERM);
            assert_eq!(child.wait().unwrap().code(), Some(EXIT_AT_ONCE));
        }
    }
}
