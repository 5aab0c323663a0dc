//! A ChatCluster that several tests of one binary chat on, one after the other. Each leaves it as it found it.

use std::sync::OnceLock;

use klatch_domain::SlotMap;

use super::{
    chat::{Balancer, Chat, charts, install, manifest},
    cluster::Cluster,
};
use crate::{cast::Cast, services::proxy::Proxy};

/// The operator, what `make cluster` applies, and HAProxy before it.
pub struct Standing {
    /// The node it is on.
    pub cluster: &'static Cluster,
    /// The ChatCluster.
    pub chat: Chat<'static>,
    /// Where people come in.
    pub url: String,
    _proxy: Proxy,
}

impl Standing {
    /// Made by whoever comes first.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Standing> = OnceLock::new();
        SHARED.get_or_init(|| {
            let cluster = Cluster::shared();
            println!("the operator is ready after {:?}", install(cluster, &charts()));
            let chat = Chat::in_namespace(cluster);
            chat.apply();
            println!("ready after {:?}", chat.wait_ready());
            let (url, proxy) = chat.open(Balancer::Haproxy);
            Self { cluster, chat, url, _proxy: proxy }
        })
    }

    /// Everybody comes on, with names that begin so.
    ///
    /// # Panics
    /// When they cannot.
    pub async fn cast(&self, prefix: &str) -> Cast {
        let resource = klatch_crd::read_manifest(&manifest()).expect("a ChatCluster");
        let messages = &resource.spec.messages;
        let shards = messages.shard_sets.iter().map(|set| set.shards.unwrap_or(1)).sum::<u32>();
        let map = SlotMap::even(messages.slots, u16::try_from(shards).expect("few shards")).expect("a map");
        Cast::enter_as(prefix, vec![self.url.clone()], &map).await
    }
}
