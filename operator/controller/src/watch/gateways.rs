//! Gateways tell nobody how many connections they hold: they are asked.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt, stream};
use kube_runtime::reflector::ObjectRef;

use super::{Seen, wake};
use crate::{gateways::census, operator::Operator};

/// Between two looks: a status that follows every connection would be written all the time.
const EVERY: Duration = Duration::from_secs(60);

/// ChatClusters with news of their gateways.
pub(super) fn wakes(operator: Arc<Operator>) -> impl Stream<Item = ObjectRef<Seen>> + Send {
    stream::unfold(operator, |operator| async move {
        tokio::time::sleep(EVERY).await;
        let mut found = Vec::new();
        for key in census(&operator).await {
            found.push(wake(&key));
        }
        Some((stream::iter(found), operator))
    })
    .flatten()
}
