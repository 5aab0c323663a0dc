//! Behaviour on real services, each started by the test on loopback. One test binary for the whole tier, as linking is what
//! tests cost here; only what kills and freezes has one of its own, `service_faults`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod service_load_balancer;
