//! Brokers tell nobody what happens to them: they are asked.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};

use crate::{Key, broker::check, operator::Operator};

/// Between two looks: what is deleted by hand is back within a minute.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// Asked at a time: one that does not answer takes seconds, and keeps others waiting.
const CONCURRENCY: usize = 16;

/// ChatClusters whose brokers are not as they should be.
pub(super) async fn look(operator: Arc<Operator>) -> Vec<Key> {
    let broker = &*operator.broker;
    let looks = operator.memory.brokers().into_iter().map(|(key, seen)| async move {
        let wrong = !check(broker, &seen).await;
        if wrong {
            tracing::info!(%key, "a broker is not as it should be");
        }
        wrong.then_some(key)
    });
    stream::iter(looks).buffer_unordered(CONCURRENCY).filter_map(std::future::ready).collect().await
}
