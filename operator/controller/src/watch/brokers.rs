//! Brokers tell nobody what happens to them: they are asked.

use std::{sync::Arc, time::Duration};

use crate::{Key, broker::check, operator::Operator};

/// Between two looks: what is deleted by hand is back within a minute.
pub(super) const EVERY: Duration = Duration::from_secs(30);

/// ChatClusters whose brokers are not as they should be.
pub(super) async fn look(operator: Arc<Operator>) -> Vec<Key> {
    let mut found = Vec::new();
    for (key, seen) in operator.memory.brokers() {
        if !check(&*operator.broker, &seen).await {
            tracing::info!(%key, "a broker is not as it should be");
            found.push(key);
        }
    }
    found
}
