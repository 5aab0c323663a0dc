//! The chat servers. A gateway holds WebSockets and no database: what clients send becomes commands, what message-service says
//! becomes frames, and what must be asked is asked of api.
//!
//! How it hangs together:
//!
//! - `accept` does the handshake; from then on **one task owns a socket** (`connection/task`): it reads frames, hands each to
//!   its file in `frames/`, and writes when something waits.
//! - Everyone else only pushes frames at a connection (`connection/wire`). While nothing waits there, a push is a direct write;
//!   else it joins what waits, and what waits together leaves as one message. No channel, no timer and, while idle, no buffer
//!   belongs to a connection.
//! - `ingest` publishes commands, one unconfirmed publish for each ingest queue.
//! - `events` and `fan_out` turn events into **blocks**: frames of a room that arrive together, encoded once for all.
//! - `rooms` knows who is a member, by version; what is not known is asked by `lookups` in the background.
//! - `presence` registers users, `sweep` looks after every timer there is, `recovery` puts right what was missed.
//!
//! A gateway never decides what is in a room's log, never orders anything, and never waits for a slow reader.

mod accept;
mod batch;
mod busy;
mod connection;
mod core;
mod drain;
mod events;
mod fan_out;
mod frames;
mod gateway;
mod ingest;
#[cfg(test)]
mod instructions;
mod limits;
mod lookups;
mod metrics;
mod parts;
mod presence;
mod recovery;
mod registry;
mod revocation;
mod rooms;
mod shared_limits;
mod shed;
mod signals;
mod sweep;
mod timer;
mod watermarks;

pub use gateway::Gateway;
pub use parts::{Parts, StartError};
