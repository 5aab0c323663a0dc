//! The platform with people on it.

use klatch_domain::SlotMap;
use klatch_tests::{
    balancer::{Balancer, Product},
    cast::Cast,
    platform::{Platform, SHARDS, SLOTS},
};

/// Both.
pub struct Stage {
    pub platform: Platform,
    pub cast: Cast,
}

impl Stage {
    /// Starts the platform and brings everybody on.
    pub async fn set() -> Self {
        let platform = Platform::start().await;
        let map = SlotMap::even(SLOTS, u16::try_from(SHARDS).unwrap()).unwrap();
        let cast = Cast::enter(platform.fronts(), &map).await;
        Self { platform, cast }
    }

    /// The same, with everybody's way leading over HAProxy or NGINX to all gateways and apis.
    pub async fn set_behind_balancers() -> (Self, Vec<Balancer>) {
        let platform = Platform::start().await;
        let mut balancers = Vec::new();
        for product in [Product::Haproxy, Product::Nginx] {
            balancers.push(Balancer::start(product, &platform.gateways(), &platform.apis()).await);
        }
        let map = SlotMap::even(SLOTS, u16::try_from(SHARDS).unwrap()).unwrap();
        let urls = balancers.iter().map(|balancer| balancer.url.clone()).collect();
        let cast = Cast::enter(urls, &map).await;
        (Self { platform, cast }, balancers)
    }

    /// Nothing and nobody has ended before the end.
    pub fn all_well(&self) {
        self.cast.all_well();
        self.platform.all_well();
    }
}
