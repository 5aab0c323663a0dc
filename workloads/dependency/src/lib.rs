//! `klatch dependency`: starts a service that the operator runs in any image that holds it. No entrypoint script, no shell, no
//! user of the image's own: files are made here, then the service takes this process's place (or, where its signals differ or its
//! secrets change while it runs, runs under it).
//!
//! What a volume holds is looked at before anything is done: a volume of another cluster or of another major version is refused,
//! in words, and left as it is.

mod error;
mod files;
mod find;
pub mod install;
pub mod postgres;
pub mod rabbitmq;
pub mod redis;
mod supervise;
mod volume;

pub use error::DependencyError;
