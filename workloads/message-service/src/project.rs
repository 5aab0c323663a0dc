//! The directory's copy of rooms and members follows what the logs have decided.

use std::time::Duration;

use klatch_domain::{Command, Kind, RoomFacts, RoomId, RoomKind, Seq, UserId};
use klatch_store::{
    FollowUp, StoreError,
    directory::{MemberProjection, RoomProjection},
};

use crate::{backoff::Backoff, context::Context};

/// Tries of a projection the directory refuses as a fault of the program. After them it is left to the follower.
const TRIES: usize = 10;

/// Rows for the directory. They are taken from the facts as they stand now, not from what one command did: repeated, or
/// late, they still say what is true, and a newer one wins.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    rooms: Vec<RoomProjection>,
    members: Vec<MemberProjection>,
}

impl Projection {
    /// What a follow-up owes the directory. `facts` are its room's, then or later.
    pub(crate) fn add(&mut self, follow_up: &FollowUp, facts: &RoomFacts) {
        let key = follow_up.key;
        if key.seq == Seq(1) || follow_up.kind == Kind::RoomChanged {
            self.room(key.room, facts);
        }
        self.members(key.room, facts, key.user);
    }

    /// Everything that a command may have changed.
    pub(crate) fn again(&mut self, command: &Command, facts: &RoomFacts) {
        use klatch_domain::Action;
        match &command.action {
            Action::CreateRoom(_) => {
                self.room(command.room, facts);
                self.members(command.room, facts, facts.members.keys().copied());
            }
            Action::PutMember { user, .. } | Action::RemoveMember { user } => {
                self.members(command.room, facts, [*user]);
            }
            Action::ChangeRoom { .. } | Action::DeleteRoom => self.room(command.room, facts),
            Action::Append(_) | Action::SetBlock { .. } | Action::Notice { .. } => {}
        }
    }

    fn room(&mut self, id: RoomId, facts: &RoomFacts) {
        if facts.kind == RoomKind::Inbox || self.rooms.last().is_some_and(|room| room.id == id) {
            return;
        }
        self.rooms.push(RoomProjection {
            id,
            kind: facts.kind,
            name: facts.name.clone(),
            visibility: facts.visibility,
            version: facts.head,
            created_at: facts.created_at,
            deleted: facts.deleted,
        });
    }

    fn members(&mut self, room: RoomId, facts: &RoomFacts, users: impl IntoIterator<Item = UserId>) {
        // A deleted room loses its members by itself.
        if facts.deleted {
            return;
        }
        self.members.extend(users.into_iter().map(|user| {
            let member = facts.members.get(&user);
            MemberProjection {
                room,
                user,
                role: member.map(|member| member.role),
                joined_at: member.map_or(facts.last_at, |member| member.joined_at),
                version: facts.members_version,
            }
        }));
    }

    /// Hands the rows to the directory, once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn hand_over(&self, context: &Context) -> Result<(), StoreError> {
        if self.rooms.is_empty() && self.members.is_empty() {
            return Ok(());
        }
        context.directory.project(&self.rooms, &self.members).await.inspect_err(|error| {
            context.metrics.projection_retries.inc();
            tracing::warn!(%error, "the directory waits for what the logs decided");
        })
    }

    /// Hands the rows to the directory, for as long as it takes. Answers false when it refuses them.
    pub(crate) async fn run(&self, context: &Context) -> bool {
        let mut backoff = Backoff::new();
        let mut faults = 0;
        while let Err(error) = self.hand_over(context).await {
            faults += usize::from(is_fault(&error));
            if faults >= TRIES {
                return false;
            }
            let pause: Duration = backoff.next();
            tokio::time::sleep(pause).await;
        }
        true
    }
}

/// Not for want of a database: the rows themselves are refused.
pub(crate) fn is_fault(error: &StoreError) -> bool {
    matches!(error, StoreError::Internal { .. })
}
