//! Shared parts of the tests.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

pub mod arbitrary;
pub mod arbitrary_bus;
pub mod asked;
pub mod balancer;
pub mod bus_payloads;
pub mod cast;
pub mod clock;
pub mod conformance_bus;
pub mod conformance_room_streams;
pub mod conformance_store_directory;
pub mod conformance_store_effects;
pub mod conformance_store_follow_ups;
pub mod conformance_store_log;
pub mod conformance_store_model;
pub mod conformance_store_owed;
pub mod conformance_store_projections;
pub mod conformance_store_shard;
pub mod crowd;
pub mod encrypted_front;
pub mod frames;
pub mod fuzz;
pub mod gateway_client;
pub mod gateway_queries;
pub mod gateway_world;
pub mod history;
pub mod klatch_process;
pub mod kube;
pub mod person;
pub mod platform;
pub mod scripted_server;
pub mod services;
pub mod shapes;
pub mod simulation;
pub mod tomorrow;
pub mod trace_collector;
pub mod writers;
