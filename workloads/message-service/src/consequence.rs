//! What a committed membership or room change still owes before its delivery is acknowledged: the directory's projection
//! and notices to inboxes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use klatch_domain::{Action, Command, Kind, RoomFacts, RoomId, UserId};
use tokio::time::{Instant, timeout_at};

use crate::{
    backoff::Backoff,
    context::Context,
    fan_out::Bundle,
    follow_up::{self, Notice},
    notes::Post,
    project::{self, Projection},
};

/// How long a room's events wait for the directory and for inboxes. With both at hand it is milliseconds; without, the room
/// goes on and only the outcome and the acknowledgement wait.
const HOLD: Duration = Duration::from_millis(500);

/// What one round owes, and what it says once that is paid.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) bundle: Bundle,
    rooms: BTreeSet<RoomId>,
    projection: Projection,
    notices: Vec<Notice>,
    /// Closed rooms: whom they had, only the directory may know. So these are told before they are projected.
    closed: Vec<Closed>,
}

#[derive(Debug)]
struct Closed {
    command: Command,
    room: RoomId,
}

impl Work {
    /// Takes up what follows from a command that wrote an entry of this kind. `facts` are its room's after the round;
    /// `departed` who was in a room that it closed just now.
    pub(crate) fn add(
        &mut self,
        command: &Command,
        kind: &Kind,
        facts: Option<&RoomFacts>,
        departed: Option<&Vec<UserId>>,
    ) {
        let room = command.room;
        self.rooms.insert(room);
        let Some(facts) = facts else { return };
        match &command.action {
            Action::CreateRoom(_) => {
                self.projection.room(room, facts);
                self.projection.members(room, facts, facts.members.keys().copied());
                self.tell(command, facts.members.keys().copied(), true);
            }
            Action::PutMember { user, .. } => {
                self.projection.members(room, facts, [*user]);
                if *kind == Kind::MemberJoined && facts.members.contains_key(user) {
                    self.tell(command, [*user], true);
                }
            }
            Action::RemoveMember { user } => {
                self.projection.members(room, facts, [*user]);
                self.tell(command, [*user], false);
            }
            Action::ChangeRoom { .. } => self.projection.room(room, facts),
            Action::DeleteRoom => {
                self.projection.room(room, facts);
                match departed {
                    Some(users) => self.tell(command, users.iter().copied(), false),
                    None => self.closed.push(Closed { command: command.clone(), room }),
                }
            }
            Action::Append(_) | Action::SetBlock { .. } | Action::Notice { .. } => {}
        }
    }

    fn tell(&mut self, command: &Command, users: impl IntoIterator<Item = UserId>, joined: bool) {
        self.notices.extend(users.into_iter().map(|user| Notice {
            cause: command.message_id,
            sender: command.sender,
            accepted_micros: command.accepted_micros,
            trace: command.trace.clone(),
            room: command.room,
            user,
            joined,
        }));
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.iter().copied()
    }
}

/// Does the work: the directory, then inboxes, then events and outcomes, then the origins are told. Its rooms are released
/// when their events are on their way.
pub(crate) async fn run(context: Arc<Context>, work: Work, post: Post) {
    let Work { mut bundle, rooms, projection, notices, closed, .. } = work;
    let mut held = Some(rooms.into_iter().collect::<Vec<_>>());
    let until = Instant::now() + HOLD;
    let closes = projection.closes() || !closed.is_empty();
    let project = projection.run(&context);
    let tell = async {
        let departed = departed(&context, &closed).await;
        follow_up::run(&context, post.queue, &post.jobs, &notices).await;
        follow_up::run(&context, post.queue, &post.jobs, &departed).await;
    };
    // A closed room's projection drops its members, who must have been told by then: a crash in between would forget them.
    let (first, second): (Step<'_>, Step<'_>) =
        if closes { (Box::pin(tell), Box::pin(project)) } else { (Box::pin(project), Box::pin(tell)) };
    let (mut first, mut second) = (first, second);

    let outcomes = std::mem::take(&mut bundle.outcomes);
    let settled = std::mem::take(&mut bundle.settled);
    if timeout_at(until, &mut first).await.is_err() {
        post.announce(std::mem::take(&mut bundle));
        post.release(held.take().unwrap_or_default());
        first.await;
    }
    let early = timeout_at(until, &mut second).await;
    bundle.outcomes = outcomes;
    post.announce(bundle);
    // Once: by a second release later work would lose its hold on the same rooms.
    if let Some(rooms) = held {
        post.release(rooms);
    }
    if early.is_err() {
        second.await;
    }
    post.announce(Bundle { settled, ..Bundle::default() });
}

type Step<'a> = std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Notices for members of closed rooms, from the directory.
async fn departed(context: &Context, closed: &[Closed]) -> Vec<Notice> {
    let mut work = Work::default();
    for one in closed {
        let mut backoff = Backoff::new();
        let users = loop {
            match project::members_in_directory(context, one.room).await {
                Ok(users) => break users,
                Err(error) => {
                    tracing::warn!(%error, "the directory cannot say who was in a closed room");
                    tokio::time::sleep(backoff.next()).await;
                }
            }
        };
        work.tell(&one.command, users, false);
    }
    work.notices
}
