//! Behaviour on real services, started by the tests: see `support/services`. One test binary for the whole tier.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

mod service_bus_broker;
mod service_bus_rabbitmq;
mod service_handover;
