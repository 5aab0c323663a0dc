//! The wire contract, version 1: frames of the WebSocket, shapes of the HTTP API, close codes. Encode and decode only.
//!
//! Readers tolerate fields they do not know; an unknown frame is an error a connection survives. Every shape has a golden
//! file under `tests/golden/`.

mod client;
pub mod close;
mod frame;
pub mod http;
#[cfg(test)]
mod instructions;
mod server;

pub use client::{ClientFrame, ClientInfo, Hello, Ping, Refresh, Resume, Send, SignalOut, Watch, WatermarkOut};
pub use frame::{FrameError, lines};
pub use server::{
    Accepted, Busy, ErrorFrame, Limits, MessageFrame, Pong, PositionFrame, PresenceFrame, PresenceStatus, Reconnect,
    Refused, Reset, Resumed, ServerFrame, SignalIn, StoredFrame, WatermarkFrame, Welcome, encode_message,
};

/// The WebSocket subprotocol of JSON frames, one a line (RFC 6455 section 1.9).
pub const SUBPROTOCOL: &str = "klatch.v1+json";
