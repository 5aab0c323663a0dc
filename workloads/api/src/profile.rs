//! Users as others see them, and as they see themselves.

use std::collections::HashMap;

use klatch_domain::{Timestamp, UserId};
use klatch_protocol::http::{Me, Profile, StatusLine};
use klatch_store::directory::User;

use crate::{problem::Failure, shared::Shared};

/// What others see.
pub(crate) fn profile_of(user: &User, now: Timestamp) -> Profile {
    let status = user.status.as_ref().filter(|status| status.until.is_none_or(|until| now < until));
    Profile {
        id: user.id,
        username: user.username.to_string(),
        display_name: user.display_name.as_ref().map_or_else(|| user.username.to_string(), ToString::to_string),
        avatar: user.avatar.clone(),
        status: status.map(|status| StatusLine {
            text: status.text.clone(),
            emoji: status.emoji.clone(),
            until: status.until,
        }),
    }
}

/// What the user sees.
pub(crate) fn me_of(user: &User, now: Timestamp) -> Me {
    Me {
        profile: profile_of(user, now),
        email: user.email.as_ref().map(ToString::to_string),
        read_receipts: user.read_receipts,
        do_not_disturb_until: user.do_not_disturb_until,
    }
}

/// The user of this id.
pub(crate) async fn find(shared: &Shared, user: UserId) -> Result<User, Failure> {
    shared.directory.users(&[user]).await?.pop().ok_or_else(Failure::user_not_found)
}

/// The user of this id, if they use their account: nobody makes friends with, or adds to a room, who is gone.
pub(crate) async fn find_active(shared: &Shared, user: UserId) -> Result<User, Failure> {
    let user = find(shared, user).await?;
    if user.disabled { Err(Failure::user_not_found()) } else { Ok(user) }
}

/// The users of these ids, by id. Those that are not there are left out.
pub(crate) async fn find_all(shared: &Shared, users: &[UserId]) -> Result<HashMap<UserId, User>, Failure> {
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let found = shared.directory.users(users).await?;
    Ok(found.into_iter().map(|user| (user.id, user)).collect())
}
