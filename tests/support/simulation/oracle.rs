//! What must be true at the end.

use std::collections::{BTreeMap, HashMap};

use klatch_domain::{Kind, MessageId, RoomId, Seq};

use super::http::is_room;
use super::person::{Fate, Person};
use super::world::World;

impl World {
    /// Every client holds every log it may see, as the service has it; every message said is stored once, in its
    /// sender's order; nobody holds what is none of theirs; nothing is left over.
    pub(super) fn judge(&mut self) -> Result<(), String> {
        self.check_logs()?;
        for person in &self.people {
            let wrong = |what: String| format!("client {}: {what}", person.number);
            self.check_outbox(person).map_err(wrong)?;
            self.check_rooms(person).map_err(wrong)?;
            self.check_said(person).map_err(wrong)?;
        }
        let refused = self.people.iter().flat_map(|person| &person.said).filter(|said| said.fate == Fate::Refused);
        self.report.refused = refused.count() as u64;
        Ok(())
    }

    /// The model itself: dense, each id and each text once.
    fn check_logs(&self) -> Result<(), String> {
        for (room, log) in &self.model.logs {
            let (rows, _) = log.after(Seq::ZERO, usize::MAX, super::ids::user(0));
            let mut ids: HashMap<MessageId, Seq> = HashMap::new();
            for (at, row) in rows.iter().enumerate() {
                if row.position.seq.0 != at as u64 + 1 {
                    return Err(format!("the model's {room:?} has a hole at {at}"));
                }
                if let Some(before) = ids.insert(row.message_id, row.position.seq) {
                    return Err(format!("{:?} stands at {before:?} and {:?}", row.message_id, row.position.seq));
                }
            }
        }
        Ok(())
    }

    fn check_outbox(&self, person: &Person) -> Result<(), String> {
        let Some(core) = &person.core else { return Err("its process was not started again".to_owned()) };
        if !core.is_online() {
            return Err("it is not connected".to_owned());
        }
        if core.unsettled() > 0 {
            return Err(format!("{} messages are left in its outbox", core.unsettled()));
        }
        Ok(())
    }

    fn check_rooms(&self, person: &Person) -> Result<(), String> {
        let Some(core) = &person.core else { return Ok(()) };
        let held: Vec<RoomId> = core.rooms().collect();
        let theirs = self.model.logs.iter().filter(|(room, log)| is_room(**room) && log.members.contains(&person.user));
        let theirs: Vec<RoomId> = theirs.map(|(room, _)| *room).collect();
        if held != theirs {
            return Err(format!("it holds {held:?} and is in {theirs:?}"));
        }
        let shown: Vec<RoomId> = person.mirror.rooms.keys().copied().collect();
        if shown != theirs {
            return Err(format!("it shows {shown:?} and is in {theirs:?}"));
        }
        for room in held {
            self.check_room(person, room).map_err(|wrong| format!("{room:?}: {wrong}"))?;
        }
        Ok(())
    }

    fn check_room(&self, person: &Person, room: RoomId) -> Result<(), String> {
        let (Some(core), Some(log)) = (&person.core, self.model.logs.get(&room)) else { return Ok(()) };
        let Some(timeline) = core.timeline(room) else { return Err("no timeline".to_owned()) };
        if timeline.position() != log.head() {
            return Err(format!("held up to {:?}, the log ends at {:?}", timeline.position(), log.head()));
        }
        let full = timeline.rows().len() >= person.settings.rows_per_room;
        if timeline.floor() != Seq::ZERO && !full {
            return Err(format!("its start was not loaded: it is held above {:?}", timeline.floor()));
        }
        if timeline.rows().len() > person.settings.rows_per_room {
            return Err(format!("{} rows are held", timeline.rows().len()));
        }
        let (truth, _) = log.after(timeline.floor(), usize::MAX, person.user);
        let shown = person.mirror.rooms.get(&room);
        for (row, truth) in timeline.rows().zip(&truth) {
            if row != truth {
                return Err(format!("the row differs:\n  held {row:?}\n  true {truth:?}"));
            }
            let shown = shown.and_then(|shown| shown.rows.get(&row.position.seq));
            if shown != Some(row) {
                return Err(format!("what was told differs:\n  told {shown:?}\n  held {row:?}"));
            }
        }
        if timeline.rows().len() != truth.len() {
            return Err(format!("{} rows held, {} are true", timeline.rows().len(), truth.len()));
        }
        Ok(())
    }

    fn check_said(&self, person: &Person) -> Result<(), String> {
        let mut last: BTreeMap<(u64, RoomId), Seq> = BTreeMap::new();
        for said in &person.said {
            let row = self.model.logs.get(&said.room).and_then(|log| log.find(said.message_id));
            match (said.fate, row) {
                (Fate::Waiting, _) => return Err(format!("{:?} has no outcome", said.message_id)),
                (Fate::Stored(_), _) if said.lost => {}
                (Fate::Stored(at), None) => return Err(format!("{:?} is not stored at {at:?}", said.message_id)),
                (Fate::Stored(at), Some(row)) => {
                    if at.seq != row.position.seq {
                        return Err(format!("{:?} is at {:?}, not {at:?}", said.message_id, row.position));
                    }
                    // Refused while its sender was away, said again by the outbox when they were back.
                    let refused = self.dead.iter().any(|(_, id)| *id == said.message_id);
                    if said.ordered && !refused {
                        let before = last.insert((said.lineage, said.room), at.seq).unwrap_or_default();
                        if before > at.seq {
                            return Err(format!("{:?} at {:?} came after {before:?}", said.message_id, at.seq));
                        }
                    }
                    if row.kind == Kind::MemberJoined || row.sender.user != person.user {
                        return Err(format!("{:?} is somebody else's", said.message_id));
                    }
                }
                (Fate::Refused | Fate::Open, _) => {}
            }
        }
        Ok(())
    }
}
