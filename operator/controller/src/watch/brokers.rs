//! Brokers tell nobody what happens to them: they are asked.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use kube_runtime::reflector::ObjectRef;

use super::{Seen, wake};
use crate::{broker::check, operator::Operator};

/// Between two looks: what is deleted by hand is back within a minute.
const EVERY: Duration = Duration::from_secs(30);

/// ChatClusters whose brokers are not as they should be.
pub(super) fn wakes(operator: Arc<Operator>) -> impl Stream<Item = ObjectRef<Seen>> + Send {
    stream::unfold(operator, |operator| async move {
        tokio::time::sleep(EVERY).await;
        let mut found = Vec::new();
        for (key, seen) in operator.memory.brokers() {
            if !check(&*operator.broker, &seen).await {
                tracing::info!(%key, "a broker is not as it should be");
                found.push(wake(&key));
            }
        }
        Some((stream::iter(found), operator))
    })
    .flatten()
}
