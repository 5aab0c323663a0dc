//! Gateways tell nobody how many connections they hold: they are asked.

use std::{sync::Arc, time::Duration};

use crate::{Key, gateways::census, operator::Operator};

/// Between two looks: a status that follows every connection would be written all the time.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// ChatClusters with news of their gateways.
pub(super) async fn look(operator: Arc<Operator>) -> Vec<Key> {
    census(&operator).await
}
