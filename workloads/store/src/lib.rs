//! What Klatch keeps: the **directory** (users, friendships, sessions, projections of rooms and members, the slot map) and
//! the message **shards** (rooms, entries, members, watermarks of their slots).
//!
//! Traits per noun stand in [`directory`] and [`shard`]; [`sqlite`] is the embedded twin, [`postgres`] the one for
//! many processes. A twin passes the
//! conformance suite in `tests/`, whatever database is under it. Nobody outside message-service calls what changes a shard.

pub mod directory;
mod error;
pub mod follow_up;
mod notifiable;
pub mod owed;
pub mod postgres;
mod prefix;
pub mod shard;
pub mod sqlite;
mod stored;
mod user;

pub use directory::Directory;
pub use error::StoreError;
pub use follow_up::{FollowUp, FollowUpKey};
pub use notifiable::{MemberToNotify, Notifiable};
pub use shard::{Shard, Shards};
