//! Names of users, looked up once.

use std::collections::HashMap;

use klatch_client_sdk::Client;
use klatch_domain::UserId;

/// Names kept; a room has at most some thousand writers at a time.
const KEPT: usize = 10_000;

/// Usernames by id.
#[derive(Default)]
pub(super) struct Names {
    known: HashMap<UserId, String>,
}

impl Names {
    /// Looks up those that are not known yet. Those that cannot be had stand as their ids.
    pub(super) async fn learn(&mut self, client: &Client, users: &[UserId]) {
        let mut unknown: Vec<UserId> = users.iter().filter(|user| !self.known.contains_key(user)).copied().collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() {
            return;
        }
        if self.known.len() + unknown.len() > KEPT {
            self.known.clear();
        }
        if let Ok(profiles) = client.users(&unknown).await {
            self.known.extend(profiles.into_iter().map(|profile| (profile.id, profile.username)));
        }
    }

    /// The name, or the id.
    pub(super) fn of(&self, user: UserId) -> String {
        self.known.get(&user).cloned().unwrap_or_else(|| user.to_string())
    }
}
