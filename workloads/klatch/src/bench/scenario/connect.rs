//! Authenticated connections made ready per second: TCP, upgrade, `hello` with a token of its own, `welcome`.

use std::{collections::BTreeMap, time::Instant};

use serde_json::json;

use super::{Found, Stage};
use crate::bench::{crowd, machine, server::CpuMeter};

/// Connections made before the clock starts: code and tables are warm then.
const WARM_UP: usize = 200;

/// Connects `--connections` users, 128 at a time.
///
/// # Errors
/// The first connection that failed.
pub(crate) async fn measure(stage: Stage<'_>) -> anyhow::Result<Found> {
    let users: Vec<usize> = (0..stage.accounts.users.len().min(stage.options.connections as usize)).collect();
    let (first, rest) = users.split_at(WARM_UP.min(users.len() / 2));
    let warm = crowd::connect(stage.server.address, stage.accounts, first).await?;
    let server = CpuMeter::start(stage.server);
    let (start, own_before) = (Instant::now(), machine::cpu_time(std::process::id()));
    let connected = crowd::connect(stage.server.address, stage.accounts, rest).await?;
    let seconds = start.elapsed().as_secs_f64();
    let generator_busy = (machine::cpu_time(std::process::id()) - own_before).as_secs_f64() / seconds;
    let server_cpu = server.share();
    drop((warm, connected));
    Ok(Found {
        value: rest.len() as f64 / seconds,
        generator_bound: generator_busy > crate::bench::generator::GENERATOR_BOUND,
        server_cpu,
        parts_cpu: BTreeMap::new(),
        remark: format!("{} connections in {seconds:.2} s", rest.len()),
        detail: json!({"connections": rest.len(), "seconds": seconds, "generator_busy": generator_busy}),
    })
}
