//! A client's entry.

use klatch_domain::{
    Code, Command, Content, Draft, Kind, Refusal, RoomFacts, RoomId, Seq, UserId, check_append, check_target,
};
use klatch_store::shard::Effect;
use serde::Deserialize;

use super::{Decision, Looked, Planner, Row};

impl Planner<'_> {
    pub(super) fn append(&mut self, command: &Command, draft: &Draft) -> Decision {
        let Some(head) = self.heads.get_mut(command.room) else {
            return Decision::Refuse(Refusal::room_not_found());
        };
        let user = command.sender.user;
        if let Err(refusal) = check_append(&head.facts, user, draft) {
            return Decision::Verify(refusal);
        }
        if let Some(thread) = draft.thread {
            match self.looked.threads.get(&(command.room, thread)) {
                Some(true) => {}
                Some(false) => return Decision::Verify(no_thread()),
                None => return Decision::Defer,
            }
        }
        let effect = match draft.target {
            None => Effect::None,
            Some(target) => match change(self.looked, &head.facts, command.room, user, draft, target) {
                Ok(effect) => effect,
                Err(decision) => return decision,
            },
        };
        self.plan.add_one(command, head, self.now, draft, effect)
    }
}

/// The row that a command names. A row of this very round is not known yet: the room goes on in the next one.
fn row(looked: &mut Looked, room: RoomId, seq: Seq) -> Result<&mut Row, Decision> {
    match looked.rows.get_mut(&(room, seq)) {
        Some(Some(row)) => Ok(row),
        Some(None) => Err(Decision::Verify(no_target())),
        None => Err(Decision::Defer),
    }
}

fn no_target() -> Refusal {
    Refusal::new(Code::TargetNotFound, "there is no entry with that seq in this room")
}

fn no_thread() -> Refusal {
    Refusal::new(Code::TargetNotFound, "a thread starts at a message that is in no thread itself")
}

/// What an edit, a delete or a reaction does to its target, if it may.
fn change(
    looked: &mut Looked,
    facts: &RoomFacts,
    room: RoomId,
    user: UserId,
    draft: &Draft,
    target: Seq,
) -> Result<Effect, Decision> {
    let row = row(looked, room, target)?;
    check_target(facts, user, draft, &row.facts).map_err(Decision::Verify)?;
    match draft.kind {
        Kind::Edit => Ok(Effect::Edit { target }),
        Kind::Delete => {
            row.facts.deleted = true;
            row.facts.emoji.clear();
            Ok(Effect::Delete { target })
        }
        Kind::Reaction => {
            let (emoji, on) = reaction(&draft.content).map_err(Decision::Refuse)?;
            if on && !row.facts.emoji.contains(&emoji) {
                row.facts.emoji.push(emoji.clone());
            }
            Ok(Effect::React { target, emoji, on })
        }
        _ => Err(Decision::Refuse(Refusal::new(Code::ValidationFailed, "entries of this kind change no other"))),
    }
}

fn reaction(content: &Content) -> Result<(String, bool), Refusal> {
    #[derive(Deserialize)]
    struct Reaction {
        emoji: String,
        on: bool,
    }
    content
        .read::<Reaction>()
        .map(|reaction| (reaction.emoji, reaction.on))
        .map_err(|_| Refusal::new(Code::ContentInvalid, "the content of reaction is {\"emoji\": STRING, \"on\": BOOL}"))
}
