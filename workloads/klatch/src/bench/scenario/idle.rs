//! Memory of an idle connection: how much the server's resident memory grows while users connect and stay.

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use serde_json::json;

use super::{Found, Stage};
use crate::bench::{crowd, crowd::Crowd, generator::Generator};

/// Connections that stand before the first look: what the first ones cost once is no cost of a connection.
const BASELINE: usize = 500;
/// What is freed a little later is not counted.
const SETTLE: Duration = Duration::from_secs(3);

/// Connects `--connections` users; growth between the first 500 and all.
///
/// # Errors
/// When a connection failed or was lost, or the server's memory cannot be read.
pub(crate) async fn measure(stage: Stage<'_>) -> anyhow::Result<Found> {
    let generator = Generator::new();
    let users: Vec<usize> = (0..stage.accounts.users.len().min(stage.options.connections as usize)).collect();
    ensure!(users.len() > 2 * BASELINE, "'idle' needs more than {} users", 2 * BASELINE);
    let (first, rest) = users.split_at(BASELINE);
    let mut crowd = Crowd::default();
    let mut resident = Vec::with_capacity(2);
    for some in [first, rest] {
        for connection in crowd::connect(stage.server.address, stage.accounts, some).await? {
            crowd.add(&generator, connection, |_| {});
        }
        tokio::time::sleep(SETTLE).await;
        resident.push(stage.server.resident_bytes()?);
    }
    ensure!(crowd.is_whole(), "the server closed idle connections (code {:?})", generator.lost().1);
    let growth = resident[1].saturating_sub(resident[0]);
    Ok(Found {
        value: growth as f64 / rest.len() as f64,
        generator_bound: false,
        server_cpu: None,
        parts_cpu: BTreeMap::new(),
        remark: format!("resident memory {:.1} -> {:.1} MB", resident[0] as f64 / 1e6, resident[1] as f64 / 1e6),
        detail: json!({"connections": users.len(), "baseline": BASELINE, "resident_bytes": resident}),
    })
}
