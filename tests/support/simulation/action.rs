//! What people do: write, edit, delete, react, read, scroll back, give up, try again.

use klatch_client_sdk::core::Input;
use klatch_domain::{Content, Draft, Entry, Kind, RoomId, Seq};
use rand::RngExt;

use super::person::Fate;
use super::world::{Event, World};

const EMOJI: [&str; 3] = ["+1", "heart", "tada"];

impl World {
    /// Plans a client's next action within what is left of the chaos.
    pub(super) fn plan_action(&mut self, who: usize) {
        let Some(person) = self.people.get_mut(who) else { return };
        if person.actions == 0 {
            return;
        }
        person.actions -= 1;
        let mean = self.plan.chaos_ms / (self.plan.actions + 1);
        // Sometimes in a burst, so that there is something to keep in order.
        let wait = if self.random.random_bool(0.3) { 0 } else { self.random.random_range(0..=2 * mean) };
        self.after(wait, Event::Act(who));
    }

    pub(super) fn act(&mut self, who: usize) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        self.plan_action(who);
        let rooms: Vec<RoomId> = match self.people.get(who).and_then(|person| person.core.as_ref()) {
            Some(core) => core.rooms().collect(),
            None => return Ok(()),
        };
        let Some(room) = rooms.get(self.random.random_range(0..rooms.len().max(1))).copied() else { return Ok(()) };
        match self.random.random_range(0..20) {
            0..=11 => {
                let text = format!("{who}:{}", self.messages);
                self.say(who, room, Kind::Text, None, Content::text(&text))
            }
            12..=15 => self.change_something(who, room),
            16 => {
                let seq = Seq(self.random.random_range(0..=50));
                self.tell(who, Input::Read { room, seq })
            }
            17 => self.tell(who, Input::Foreground),
            18 => self.tell(who, Input::Older { room, limit: self.plan.page }),
            _ => self.second_thoughts(who),
        }
    }

    fn say(
        &mut self,
        who: usize,
        room: RoomId,
        kind: Kind,
        target: Option<Seq>,
        content: Result<Content, klatch_domain::ContentError>,
    ) -> Result<(), String> {
        let content = content.map_err(|error| error.to_string())?;
        let message_id = self.new_message_id();
        if let Some(person) = self.people.get_mut(who) {
            person.say(message_id, room);
        }
        self.report.said += 1;
        let draft = Box::new(Draft { target, ..Draft::new(kind, content) });
        self.tell(who, Input::Say { message_id, room, draft })
    }

    /// Edits, deletes or reacts to something this client sees.
    fn change_something(&mut self, who: usize, room: RoomId) -> Result<(), String> {
        let Some(person) = self.people.get(who) else { return Ok(()) };
        let user = person.user;
        let texts = |entry: &&Entry| entry.kind == Kind::Text && !entry.deleted;
        let rows = person.core.as_ref().and_then(|core| core.timeline(room));
        let seen: Vec<(Seq, bool)> = rows
            .into_iter()
            .flat_map(|timeline| timeline.rows())
            .filter(texts)
            .map(|row| (row.position.seq, row.sender.user == user))
            .collect();
        let Some((target, mine)) = seen.get(self.random.random_range(0..seen.len().max(1))).copied() else {
            return Ok(());
        };
        let (kind, content) = match self.random.random_range(0..10) {
            0..=2 if mine => (Kind::Edit, Content::text(&format!("{who}:{} edited", self.messages))),
            3 if mine => (Kind::Delete, Ok(Content::empty())),
            // Some try what they may not.
            4 => (Kind::Edit, Content::text("not mine to edit")),
            _ => {
                let emoji = EMOJI.get(self.random.random_range(0..EMOJI.len())).copied().unwrap_or_default();
                let on = self.random.random_bool(0.7);
                (Kind::Reaction, Content::parse(&format!(r#"{{"emoji":"{emoji}","on":{on}}}"#)))
            }
        };
        self.say(who, room, kind, Some(target), content)
    }

    /// Gives a message up, or sends a refused one again.
    fn second_thoughts(&mut self, who: usize) -> Result<(), String> {
        let Some(person) = self.people.get(who) else { return Ok(()) };
        let open: Vec<_> = person
            .said
            .iter()
            .filter(|said| matches!(said.fate, Fate::Waiting | Fate::Refused))
            .map(|said| (said.message_id, said.fate))
            .collect();
        let Some((message_id, fate)) = open.get(self.random.random_range(0..open.len().max(1))).copied() else {
            return Ok(());
        };
        if fate == Fate::Refused {
            let parked = person.core.as_ref().is_some_and(|core| {
                core.snapshot().outbox.iter().any(|kept| kept.message_id == message_id && kept.refused.is_some())
            });
            if !parked {
                return Ok(());
            }
            if let Some(person) = self.people.get_mut(who) {
                person.again(message_id);
            }
            return self.tell(who, Input::Retry(message_id));
        }
        if let Some(person) = self.people.get_mut(who) {
            person.give_up(message_id);
        }
        self.tell(who, Input::Discard(message_id))
    }
}
