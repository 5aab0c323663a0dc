//! What a gateway is made of.

use std::sync::Arc;

use klatch_bus::{Bus, Queries};
use klatch_identity::Verify;
use klatch_service_kit::Clock;
use klatch_settings::GatewaySettings;

/// Everything a gateway needs from outside.
pub struct Parts {
    /// Its settings.
    pub settings: GatewaySettings,
    /// Commands, events, signals, watermarks, presence.
    pub bus: Bus,
    /// Members, heads, revocations.
    pub queries: Arc<dyn Queries>,
    /// What tokens are checked with.
    pub keys: Arc<dyn Verify>,
    /// Takes the gateway's metrics.
    pub registry: prometheus::Registry,
    /// The time of day.
    pub clock: Clock,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The registry holds a gateway's metrics already.
    #[error("cannot register the gateway's metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// A setting that cannot be meant.
    #[error("the gateway's setting {0} must not be 0")]
    Zero(&'static str),
}

/// # Errors
/// [`StartError::Zero`].
pub(crate) fn check_settings(settings: &GatewaySettings) -> Result<(), StartError> {
    let zero = [
        ("slots", settings.slots == 0),
        ("maxConnections", settings.max_connections == 0),
        ("heartbeatMs", settings.heartbeat_ms == 0),
        ("helloTimeoutMs", settings.hello_timeout_ms == 0),
        ("outputBytes", settings.output_bytes == 0),
    ];
    zero.into_iter().find(|(_, zero)| *zero).map_or(Ok(()), |(name, _)| Err(StartError::Zero(name)))
}
