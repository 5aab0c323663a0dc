//! Ctrl+C in the middle of a measurement leaves neither a server nor a folder behind.

use std::{
    path::Path,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::{run::Workplace, server};

/// How long the server may take to drain: `up` takes at most 5 s.
const DRAIN: Duration = Duration::from_secs(8);
/// What a shell reports of a program that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;

/// From now on SIGINT and SIGTERM stop the server that runs, remove the folder, and end the process.
///
/// # Errors
/// When signals cannot be heard.
pub(super) fn clean_up_after(workplace: &Workplace) -> anyhow::Result<()> {
    let (folder, keep) = (workplace.folder.clone(), workplace.keep);
    let running = workplace.running.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new()
        .name("interrupt".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            let process = running.load(Ordering::Acquire);
            if process != 0 {
                server::terminate(process);
                wait_for(process);
            }
            if !keep {
                // What stays is only disk space, and says by its name what it is.
                let _ = std::fs::remove_dir_all(folder);
            }
            eprintln!("interrupted; nothing is left behind");
            std::process::exit(INTERRUPTED);
        })
        .context("cannot start a thread")?;
    Ok(())
}

/// Until it has ended, or is a zombie that only its parent, this process, keeps.
fn wait_for(process: u32) {
    let status = format!("/proc/{process}/stat");
    let since = Instant::now();
    let lives = || std::fs::read_to_string(Path::new(&status)).is_ok_and(|stat| !stat.contains(") Z "));
    while lives() && since.elapsed() < DRAIN {
        thread::sleep(Duration::from_millis(20));
    }
}
