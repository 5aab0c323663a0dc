//! What a committed membership or room change still owes when its round is over: the directory's projection and notices to
//! inboxes. It stands in the shard as follow-ups, so nothing here has to succeed: what does not, the follower does.

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use klatch_domain::{Command, RoomFacts, RoomId};
use klatch_store::FollowUp;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{context::Context, fan_out::Bundle, follower::Follower, notes::Post, project::Projection};

/// How long a room's events and a delivery's acknowledgement wait for the directory and for ingest queues. With both at
/// hand it is milliseconds; without, the room goes on and the follow-ups wait in the shard.
const HOLD: Duration = Duration::from_millis(500);
/// How long an outcome waits for the directory, so that who asks it next sees what was done: below what a caller's patience
/// is. After it the outcome is told all the same: the log has decided.
const ANSWER: Duration = Duration::from_secs(5);
/// Works that may wait for the directory with nothing but outcomes to tell: some kilobytes each.
pub(crate) const ANSWERS: usize = 1_024;

/// What one round owes, and what it says once that is paid.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) bundle: Bundle,
    rooms: BTreeSet<RoomId>,
    projection: Projection,
    follow_ups: Vec<FollowUp>,
    /// Some of it is done again, and may have left follow-ups before.
    again: bool,
}

impl Work {
    /// Takes up what a round has left. `facts` are the room's after the round; without them the follower looks.
    pub(crate) fn add(&mut self, follow_up: FollowUp, facts: Option<&RoomFacts>) {
        self.rooms.insert(follow_up.key.room);
        match facts {
            Some(facts) => self.projection.add(&follow_up, facts),
            None => self.again = true,
        }
        self.follow_ups.push(follow_up);
    }

    /// Takes up what a command has left that was stored before, by whom nobody knows.
    pub(crate) fn add_again(&mut self, command: &Command, facts: Option<&RoomFacts>) {
        self.rooms.insert(command.room);
        self.again = true;
        if let Some(facts) = facts {
            self.projection.again(command, facts);
        }
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = RoomId> {
        self.rooms.iter().copied()
    }
}

/// Does the work: the directory, then inboxes, then events and outcomes, then the origins are told. Its rooms are released
/// when their events are on their way, after [`HOLD`] at the latest.
pub(crate) async fn run(context: Arc<Context>, work: Work, post: Post, follower: Arc<Follower>) {
    let Work { mut bundle, rooms, projection, follow_ups, again } = work;
    let rooms = rooms.into_iter().collect();
    let until = Instant::now() + HOLD;
    let mut projected = pin!(projection.run(&context));
    let early = timeout_at(until, &mut projected).await;
    let told = match early {
        Ok(true) if !again => timeout_at(until, follower.follow(&context, follow_ups)).await.is_ok(),
        _ => false,
    };
    if !told {
        follower.fall_behind();
    }
    let outcomes = if early.is_err() { std::mem::take(&mut bundle.outcomes) } else { Vec::new() };
    post.announce(bundle);
    post.release(rooms);
    if outcomes.is_empty() {
        return;
    }
    if let Ok(_waits) = context.answers.try_acquire() {
        // Whether or not it comes to that in time, the outcome is the same.
        let _ = timeout(ANSWER, projected).await;
    }
    post.announce(Bundle { outcomes, ..Bundle::default() });
}
