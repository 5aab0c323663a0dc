//! What tells nobody when it changes is asked, from time to time.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use kube_runtime::reflector::ObjectRef;

use super::{Seen, wake};
use crate::{Key, operator::Operator};

/// ChatClusters of which a look has news; a look begins so long after the last one ended.
pub(super) fn asked<L, F>(
    operator: Arc<Operator>,
    every: Duration,
    look: L,
) -> impl Stream<Item = ObjectRef<Seen>> + Send
where
    L: Fn(Arc<Operator>) -> F + Send,
    F: Future<Output = Vec<Key>> + Send,
{
    stream::unfold((operator, look), move |(operator, look)| async move {
        tokio::time::sleep(every).await;
        let news = look(Arc::clone(&operator)).await;
        Some((stream::iter(news).map(|key| wake(&key)), (operator, look)))
    })
    .flatten()
}
