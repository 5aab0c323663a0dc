//! Members as who notifies must know them.

use async_trait::async_trait;
use klatch_domain::{Notify, RoomId, Timestamp, UserId};

use crate::{
    StoreError,
    directory::{RoomProjections, Users},
};

/// One member of a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberToNotify {
    /// Who.
    pub user: UserId,
    /// What of this room notifies them.
    pub notify: Notify,
    /// No notifications until then.
    pub do_not_disturb_until: Option<Timestamp>,
    /// May not sign in.
    pub disabled: bool,
}

/// What notification-service asks the directory.
#[async_trait]
pub trait Notifiable: RoomProjections + Users {
    /// Members of a room, at most `limit`, by user id after `after`. May be read from a replica. A twin answers it with one
    /// statement; this is the slow way.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn members_to_notify(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<MemberToNotify>, StoreError> {
        let members = self.members_of(room, after, limit).await?;
        let ids: Vec<_> = members.iter().map(|member| member.user).collect();
        let mut found = Vec::with_capacity(ids.len());
        for user in self.users(&ids).await? {
            let rooms = self.rooms_of_among(user.id, &[room]).await?;
            let Some(of_user) = rooms.first() else { continue };
            found.push(MemberToNotify {
                user: user.id,
                notify: of_user.preferences.notify,
                do_not_disturb_until: user.do_not_disturb_until,
                disabled: user.disabled,
            });
        }
        found.sort_unstable_by_key(|member| member.user);
        Ok(found)
    }
}
