//! Entries whose time has passed lose their content.

use std::{sync::Arc, time::Duration};

use klatch_store::Shard;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How often the shards are swept: clients hide an expired entry by themselves, so this is how long its bytes stay.
const EVERY: Duration = Duration::from_secs(30);
/// Entries emptied in one transaction: below a batch of messages, which wait for it.
const BATCH: usize = 256;
/// Batches of one sweep and shard; the rest waits for the next.
const BATCHES: usize = 64;

/// Sweeps all shards until the service stops, each on its own: a dead one holds up no other.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut sweeps = JoinSet::new();
    for shard in context.owners.current().all() {
        sweeps.spawn(sweep_shard(Arc::clone(&context), Arc::clone(shard), stop.clone()));
    }
    while sweeps.join_next().await.is_some() {}
}

async fn sweep_shard(context: Arc<Context>, shard: Arc<dyn Shard>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        if let Err(error) = sweep(&context, &*shard).await {
            tracing::warn!(shard = shard.id().0, %error, "expired entries keep their content for now");
        }
    }
}

async fn sweep(context: &Context, shard: &dyn Shard) -> Result<(), klatch_store::StoreError> {
    for _ in 0..BATCHES {
        let emptied = shard.expire(context.now(), BATCH).await?;
        context.metrics.expired.inc_by(emptied as u64);
        if emptied < BATCH {
            break;
        }
    }
    Ok(())
}
