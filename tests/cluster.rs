//! Behaviour on a real node, started here: pods run, names are looked up, volumes are there, policies are enforced. It wants root.
//! One test binary for the whole tier.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

mod cluster_chat;
mod cluster_handover;
mod cluster_kills;
mod cluster_node;
mod cluster_outage;
mod cluster_rotation;
mod cluster_route;
mod cluster_scaling;
mod cluster_services;
