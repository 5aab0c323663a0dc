//! Telemetry, health and shutdown for every workload; nothing of chat.

mod clock;
pub mod health;
pub mod metrics;
pub mod panic;
pub mod shutdown;
pub mod telemetry;
pub mod trace;

pub use clock::Clock;
