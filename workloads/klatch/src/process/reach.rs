//! Waiting for what a workload stands on: pods start in any order, and a process that waits says what for.

use std::time::Duration;

use anyhow::bail;
use klatch_settings::{BrokerSettings, DatabaseSettings};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// How long a part is waited for; then the process ends, and whoever runs it starts it again.
const PATIENCE: Duration = Duration::from_secs(60);
/// One try.
const TRY: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two lines of the log.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Waits until the directory takes connections, and every shard where the schema is made at start. Otherwise shards are not
/// waited for: one that is away keeps its own rooms waiting and nobody else's. Nor are replicas: the primary stands in.
pub(super) async fn databases(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let shards = settings.shards.iter().map(|shard| &shard.primary).filter(|_| settings.migrate);
    for primary in shards.chain([&settings.directory.primary]) {
        wait_for("PostgreSQL", &primary.host, primary.port).await?;
    }
    Ok(())
}

/// Waits until every broker takes connections.
pub(super) async fn brokers(settings: &BrokerSettings) -> anyhow::Result<()> {
    for broker in &settings.brokers {
        wait_for("RabbitMQ", &broker.host, broker.port).await?;
    }
    Ok(())
}

async fn wait_for(what: &str, host: &str, port: u16) -> anyhow::Result<()> {
    let since = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        let problem = match timeout(TRY, TcpStream::connect((host, port))).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        if since.elapsed() > PATIENCE {
            bail!("{what} at {host}:{port} cannot be reached: {problem}");
        }
        if said.is_none_or(|said| said.elapsed() > SAY_EVERY) {
            tracing::info!(host, port, problem, "waiting for {what}");
            said = Some(Instant::now());
        }
        sleep(PAUSE).await;
    }
}
