//! F: how long an append takes until it is on the disk, at 1,000 a second.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;

use super::{DURATION, MESSAGE_BYTES};
use crate::bench::{
    latency::{Latencies, Summary},
    pace::Pace,
};

/// Appends a second.
const RATE: f64 = 1_000.0;
/// Sleeping is not more exact than this; the rest of the wait is spent looking at the clock.
const SLEEP_SLACK: Duration = Duration::from_micros(200);

/// Latencies of appends from the time each was due until fdatasync came back. What has become due meanwhile shares the next
/// sync, as a log would do it.
///
/// # Errors
/// When the folder takes no file.
pub(super) fn measure(folder: &Path) -> anyhow::Result<Summary> {
    let path = folder.join("reference-sync");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let measured = append(&mut file);
    drop(file);
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    measured
}

fn append(file: &mut std::fs::File) -> anyhow::Result<Summary> {
    let start = Instant::now();
    let now = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let mut pace = Pace::new(0, RATE, DURATION.as_secs_f64());
    let mut latencies = Latencies::new()?;
    let mut due_now = Vec::new();
    while !pace.is_over() {
        while let Some((_, due)) = pace.next_due(now()) {
            file.write_all(&[b'x'; MESSAGE_BYTES]).context("cannot append")?;
            due_now.push(due);
        }
        if due_now.is_empty() {
            rest(1e9 / RATE - (now() as f64) % (1e9 / RATE));
            continue;
        }
        file.sync_data().context("cannot sync")?;
        let synced = now();
        due_now.drain(..).for_each(|due| latencies.record(synced.saturating_sub(due), 1));
    }
    Ok(latencies.summary())
}

fn rest(nanos: f64) {
    let wait = Duration::from_nanos(nanos as u64).saturating_sub(SLEEP_SLACK);
    if wait.is_zero() {
        std::hint::spin_loop();
    } else {
        std::thread::sleep(wait);
    }
}
