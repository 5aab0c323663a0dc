//! Behaviour on the real parts: PostgreSQL, RabbitMQ, Redis. They are started here, or named by the environment. One test binary
//! for the whole tier; only what kills and freezes has one of its own, `service_faults`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

mod service_bus_broker;
mod service_bus_rabbitmq;
mod service_bus_redis;
mod service_convergence;
mod service_copies;
mod service_dependency;
mod service_handover;
mod service_large_rooms;
mod service_load_balancer;
mod service_platform;
mod service_processes;
mod service_room_streams;
mod service_store;
mod service_store_connections;
mod service_store_faults;
mod service_store_plans;
mod service_store_roles;
mod service_versions;
