//! The directory's copy of rooms and members follows what the logs have decided.

use std::time::Duration;

use klatch_domain::{Role, RoomFacts, RoomId, RoomKind, UserId};
use klatch_store::{
    StoreError,
    directory::{MemberProjection, RoomProjection},
};

use crate::{backoff::Backoff, context::Context};

/// Tries of a projection the directory refuses as a fault of the program. After them the log goes on without it.
const TRIES: usize = 10;

/// Rows for the directory. They are taken from the facts as they stand now, not from what one command did: repeated, or
/// late, they still say what is true, and a newer one wins.
#[derive(Debug, Default)]
pub(crate) struct Projection {
    rooms: Vec<RoomProjection>,
    members: Vec<MemberProjection>,
}

impl Projection {
    pub(crate) fn room(&mut self, id: RoomId, facts: &RoomFacts) {
        if facts.kind == RoomKind::Inbox {
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

    pub(crate) fn members(&mut self, room: RoomId, facts: &RoomFacts, users: impl IntoIterator<Item = UserId>) {
        // A deleted room loses its members by itself, once those it had were told.
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

    /// Whether a room is closed by it.
    pub(crate) fn closes(&self) -> bool {
        self.rooms.iter().any(|room| room.deleted)
    }

    /// Hands the rows to the directory, for as long as it takes.
    pub(crate) async fn run(&self, context: &Context) {
        if self.rooms.is_empty() && self.members.is_empty() {
            return;
        }
        let mut backoff = Backoff::new();
        let mut faults = 0;
        while let Err(error) = context.directory.project(&self.rooms, &self.members).await {
            context.metrics.projection_retries.inc();
            faults += usize::from(is_fault(&error));
            if faults >= TRIES {
                context.metrics.dead_letters.inc();
                let rooms: Vec<RoomId> =
                    self.rooms.iter().map(|room| room.id).chain(self.members.iter().map(|one| one.room)).collect();
                tracing::error!(%error, ?rooms, "the directory does not take what the logs decided");
                return;
            }
            let pause: Duration = backoff.next();
            tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "the directory waits for what the logs decided");
            tokio::time::sleep(pause).await;
        }
    }
}

fn is_fault(error: &StoreError) -> bool {
    matches!(error, StoreError::Internal { .. })
}

/// Who was in a room when the directory last heard of it, for a room whose log has forgotten them.
///
/// # Errors
/// [`StoreError`].
pub(crate) async fn members_in_directory(context: &Context, room: RoomId) -> Result<Vec<UserId>, StoreError> {
    /// Members of one page: some 100 bytes each.
    const PAGE: usize = 1_000;
    let mut members: Vec<UserId> = Vec::new();
    loop {
        let page = context.directory.members_of(room, members.last().copied(), PAGE).await?;
        let more = page.len() == PAGE;
        members.extend(
            page.into_iter().filter(|one| one.role.is_some_and(|role| role >= Role::Member)).map(|one| one.user),
        );
        if !more {
            return Ok(members);
        }
    }
}
