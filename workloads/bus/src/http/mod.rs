//! Queries over HTTP: what a gateway asks, answered by api replicas on an internal listener.
//!
//! Every query is a `POST` of JSON below [`PATH`], which names the version; the shapes stand in [`shapes`]. Callers prove
//! themselves by a [`ServiceToken`] in `Authorization: Bearer`. Asking changes nothing, so a query that got no answer is
//! asked again of another replica, once.

mod client;
mod options;
mod replicas;
pub mod shapes;
mod token;

pub use client::{HttpQueries, queries};
pub use options::{ANSWER_BYTES, AT_ONCE, CONNECT_TIMEOUT, Options, OptionsError, Replicas, TIMEOUT};
pub use token::{ServiceToken, TokenError};

/// Before the name of a query. Another meaning of a field is another version; fields are only ever added.
pub const PATH: &str = "/internal/v1/queries";
