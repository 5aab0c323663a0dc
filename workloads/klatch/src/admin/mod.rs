//! The owner's commands: users and backups, on a stopped data folder directly, on a running one by a socket in it; users of a
//! cluster by its databases and brokers.

mod call;
mod cluster;
mod keys;
mod password_entry;
mod perform;
mod request;
mod socket;
mod user;
mod users;

pub(crate) use call::{Reached, reach};
pub(crate) use keys::{KeysCommand, run as run_keys};
pub(crate) use password_entry::{PasswordSource, ask};
pub(crate) use perform::Administration;
pub(crate) use request::{Answer, Request};
pub(crate) use socket::AdminSocket;
pub(crate) use user::{UserCommand, run};
pub(crate) use users::{Hearers, Users};
