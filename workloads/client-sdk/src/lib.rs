//! The Rust client: a deterministic core for outbox, order, gaps and backoff under a thin tokio shell.
//!
//! ```no_run
//! # async fn example() -> Result<(), klatch_client_sdk::ClientError> {
//! use klatch_client_sdk::Client;
//!
//! let client = Client::sign_in("http://127.0.0.1:8480", "ada", "a long password", "her laptop").await?;
//! client.ready().await?;
//! for room in client.rooms().await? {
//!     let stored = client.say(room.id, "good morning").await?.await?;
//!     println!("{:?}", stored.position);
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```

mod client;
pub mod core;

pub use client::{
    Client, ClientError, Credentials, Event, Events, Follow, KeepSession, Options, Roots, SendHandle, Session,
    SharedSession, Status, StoredAt, View,
};
