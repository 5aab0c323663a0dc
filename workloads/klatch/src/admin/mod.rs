//! The owner's commands: users and backups, on a stopped data folder directly, on a running one by a socket in it.

mod call;
mod keys;
mod password_entry;
mod perform;
mod request;
mod socket;
mod user;

pub(crate) use call::{Reached, reach};
pub(crate) use keys::{KeysCommand, run as run_keys};
pub(crate) use password_entry::{PasswordSource, ask};
pub(crate) use perform::Administration;
pub(crate) use request::{Answer, Request};
pub(crate) use socket::AdminSocket;
pub(crate) use user::{UserCommand, run};
