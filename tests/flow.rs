//! Behaviour: in process, and through the built binary. One test binary for the whole tier, as linking is what tests cost here.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

mod flow_api;
mod flow_bus;
mod flow_bus_payload;
mod flow_client;
mod flow_client_fixtures;
mod flow_command_line;
mod flow_convergence;
mod flow_fuzz_corpus;
mod flow_gateway {
    mod bad_input;
    mod blocks;
    mod busy;
    mod drain;
    mod gap;
    mod handshake;
    mod hello;
    mod large_rooms;
    mod rooms;
    mod send;
    mod send_order;
    mod shed;
    mod signals;
    mod watermarks;
}
mod flow_hostile;
mod flow_kill;
mod flow_kill_members;
mod flow_kill_people;
mod flow_message_service;
mod flow_notifications;
mod flow_people;
mod flow_processes;
mod flow_protocol;
mod flow_queries_http;
mod flow_room_streams;
mod flow_simulation;
mod flow_store;
mod flow_strangers;
mod flow_sync_order;
mod flow_text;
mod flow_traces;
mod flow_up;
