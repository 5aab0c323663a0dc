//! A server under this process: its signals are translated, and its end is ours.

use std::{io, os::unix::process::ExitStatusExt, path::PathBuf, process::ExitCode};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::DependencyError;

/// Whether a stop was asked for.
pub(crate) type Stop = watch::Receiver<bool>;

/// Runs this with a runtime that hears of stops.
pub(crate) fn in_runtime<F, Fut>(work: F) -> Result<ExitCode, DependencyError>
where
    F: FnOnce(Stop) -> Fut,
    Fut: Future<Output = Result<ExitCode, DependencyError>>,
{
    let wrong = |source: io::Error| DependencyError::Wrong(format!("cannot wait for signals: {source}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(wrong)?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(wrong)?, signal(SignalKind::interrupt()).map_err(wrong)?);
        let (asked, stop) = watch::channel(false);
        let hearing = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.send_replace(true);
            // The work decides when all is over.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            done = work(stop) => done,
            () = hearing => Ok(ExitCode::SUCCESS),
        }
    })
}

/// Waits for a stop.
async fn asked(stop: &Stop) {
    // The sender lives as long as the work.
    let _ = stop.clone().wait_for(|asked| *asked).await;
}

/// What a program says until it ends; nothing when a stop was asked for meanwhile, which kills it.
pub(crate) async fn output(child: Child, stop: &Stop) -> Option<io::Result<std::process::Output>> {
    tokio::select! {
        ended = child.wait_with_output() => Some(ended),
        () = asked(stop) => None,
    }
}

/// Runs the server until it ends, by itself or because a stop was asked for: then by this signal.
pub(crate) async fn run(mut command: Command, ends_on: Signal, stop: &Stop) -> Result<ExitCode, DependencyError> {
    let program = PathBuf::from(command.as_std().get_program());
    let failed = |source| DependencyError::Start { program: program.clone(), source };
    let mut child = command.spawn().map_err(failed)?;
    let number = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let status = tokio::select! {
        status = child.wait() => status,
        () = asked(stop) => {
            if let Some(number) = number {
                // One that has ended meanwhile needs no signal.
                let _ = kill_process(number, ends_on);
            }
            child.wait().await
        }
    };
    let status = status.map_err(failed)?;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}
