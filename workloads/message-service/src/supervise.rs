//! Tasks that must not end before the service does: one that is brought down is started again.

use std::future::Future;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{backoff::Backoff, context::Context};

/// Runs the tasks that `make` makes, each time anew all of them when one is brought down, until all have ended by
/// themselves or `stop` comes between two lives. Dropping it ends them at once.
pub(crate) async fn keep_running<M, F>(context: &Context, what: &'static str, stop: &CancellationToken, mut make: M)
where
    M: FnMut() -> Vec<F>,
    F: Future<Output = ()> + Send + 'static,
{
    let mut backoff = Backoff::new();
    loop {
        let mut tasks = JoinSet::new();
        for task in make() {
            tasks.spawn(task);
        }
        let mut down = false;
        while let Some(ended) = tasks.join_next().await {
            let Err(error) = ended else { continue };
            tracing::error!(what, %error, "a task was brought down");
            context.metrics.reopened.with_label_values(&["task_failed"]).inc();
            down = true;
            // The others may wait for it for ever.
            tasks.shutdown().await;
        }
        if !down || stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await.is_none() {
            return;
        }
    }
}
