//! The platform with people on it.

use klatch_domain::SlotMap;
use klatch_tests::{
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

    /// Nothing and nobody has ended before the end.
    pub fn all_well(&self) {
        self.cast.all_well();
        self.platform.all_well();
    }
}
