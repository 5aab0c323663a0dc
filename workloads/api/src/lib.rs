//! The HTTP API: users, sessions, friends, rooms, history, sending, sync; and the answers gateways ask for.
//!
//! api reads the directory and the shards, and writes the directory. What goes into a room's log it asks message-service
//! for, and waits for the outcome. Metrics: `klatch_http_requests_total{route,method,status}`,
//! `klatch_http_request_seconds{route,method}`, `klatch_http_requests_in_flight`, `klatch_http_rate_limited_total{limit}`,
//! `klatch_api_waiting_commands`, `klatch_api_republished_commands_total`, `klatch_api_revoked_sessions`,
//! `klatch_api_owed_commands_refused_total`, `klatch_api_rate_limits_unknown_total` (questions about limits over all replicas
//! without an answer).

mod account;
mod address;
mod answer;
mod auth;
mod blocks;
mod body;
mod bot_tokens;
mod cookies;
mod friends;
mod history;
mod idempotency;
mod internal;
mod landing;
mod listen;
mod members;
mod metrics;
mod notices;
mod openapi;
mod outcomes;
mod owed;
mod page;
mod preferences;
mod problem;
mod profile;
mod queries;
mod rates;
mod recents;
mod refresh;
mod revocation;
mod room_view;
mod rooms;
mod routes;
mod send;
mod sessions;
mod shared;
mod shared_rates;
mod sign_in_failures;
mod start;
mod sync;
mod trace;
mod under_way;
mod users;

pub use openapi::openapi;
pub use revocation::Revocations;
pub use start::{Api, Parts, StartError};
