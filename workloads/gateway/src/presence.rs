//! Presence: this gateway's lease, which users it has, and who wants to know how others stand.
//!
//! One task registers for all: whatever has changed meanwhile goes in one call. `welcome` follows the registration, so that
//! what a client syncs after it and what is pushed to it meet without a hole.

mod held;
mod registrar;
mod rooms;
mod watchers;

pub(crate) use registrar::{Registrar, renew, run_lease, run_registrar, within};
pub(crate) use rooms::{see, see_deleted, see_delivery};
pub(crate) use watchers::{PresenceWatchers, answer_watch, ask, verify_watch};
