//! Doing what the owner asks. The same functions run in a running `klatch up` and on a stopped data folder.

use std::sync::Arc;

use super::{
    request::{Answer, Request},
    users::Users,
};
use klatch_domain::Timestamp;
use klatch_identity::Keys;
use klatch_service_kit::Clock;

/// What the owner's commands act on.
pub(crate) struct Administration {
    users: Users,
    keys: Arc<Keys>,
    clock: Clock,
}

impl Administration {
    /// Of a data folder.
    pub(crate) fn new(users: Users, keys: Arc<Keys>, clock: Clock) -> Self {
        Self { users, keys, clock }
    }

    /// Carries a request out. What fails changes nothing. Not cancel safe: a dropped call may have done half of it, and
    /// repeating it does the rest.
    pub(crate) async fn perform(&self, request: Request) -> Answer {
        match request {
            Request::User { request } => self.users.perform(request).await,
            Request::RotateKeys { compromised } => self.rotate_keys(compromised).await,
            Request::Backup => Answer::refused("a backup is made elsewhere"),
        }
    }

    async fn rotate_keys(&self, compromised: bool) -> Answer {
        let (keys, now) = (Arc::clone(&self.keys), Timestamp::from_millis(self.clock.millis()));
        // It writes a file.
        let rotated =
            tokio::task::spawn_blocking(move || if compromised { keys.replace(now) } else { keys.rotate(now) }).await;
        match rotated {
            Ok(Ok(())) if compromised => Answer::done("tokens made so far are refused; a new key signs from now on"),
            Ok(Ok(())) => Answer::done("a new key signs from now on"),
            Ok(Err(error)) => Answer::refused(format!("{error}; look at it, and do it again")),
            Err(error) => Answer::refused(format!("it was interrupted ({error}); do it again")),
        }
    }
}
