//! Behaviour on real services, started by the tests: see `support/services`. One test binary for the whole tier; only what kills
//! and freezes has one of its own, `service_faults`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

mod service_bus_redis;
mod service_load_balancer;
mod service_versions;
