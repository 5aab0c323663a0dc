//! Somebody new.

use klatch_domain::{Timestamp, UserId, Username};

use crate::directory::User;

impl User {
    /// Somebody new, of whom nothing is known but the name.
    #[must_use]
    pub const fn new(id: UserId, username: Username, created_at: Timestamp) -> Self {
        Self {
            id,
            username,
            display_name: None,
            email: None,
            avatar: None,
            status: None,
            read_receipts: true,
            do_not_disturb_until: None,
            is_admin: false,
            disabled: false,
            created_at,
        }
    }
}
