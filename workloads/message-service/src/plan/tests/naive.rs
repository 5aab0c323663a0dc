//! The naive model: one command at a time, the whole log in view, nothing clever. The rules who may do what are the
//! domain's; what becomes of what may be done is said here for a second time.

use std::collections::{BTreeMap, BTreeSet};

use klatch_domain::{
    Action, Command, Draft, Kind, Member, MessageId, Refusal, Role, RoomFacts, RoomId, RoomKind, Seq, TargetFacts,
    Timestamp, UserId, check_append, check_change_room, check_put_member, check_remove_member, check_target,
};

use super::rig::{Answer, Rig};

#[derive(Debug, Clone, PartialEq)]
struct Line {
    id: MessageId,
    sender: UserId,
    kind: Kind,
    content: String,
    silent: bool,
    at: Timestamp,
    thread: Option<Seq>,
    target: Option<Seq>,
    changed: Option<Seq>,
    deleted: bool,
    reactions: BTreeSet<(UserId, String)>,
    ordinal: u64,
    /// What was asked under its id, for repeats.
    asked: Option<Action>,
}

#[derive(Debug)]
struct Room {
    facts: RoomFacts,
    log: Vec<Line>,
}

#[derive(Debug, Default)]
pub(super) struct Naive {
    rooms: BTreeMap<RoomId, Room>,
    /// Room, seq, whose membership.
    owes: Vec<(RoomId, u64, Option<UserId>)>,
}

fn refused(refusal: &Refusal) -> Answer {
    Answer::Refused(refusal.code.name())
}

impl Room {
    fn add(&mut self, command: &Command, id: MessageId, draft: &Draft, now: Timestamp) -> u64 {
        let last = self.log.last();
        let counts = draft.kind.counts_as_unread() && !draft.silent;
        let ordinal = last.map_or(0, |last| last.ordinal) + u64::from(counts);
        let at = last.map_or(now, |last| last.at.max(now));
        self.log.push(Line {
            id,
            sender: command.sender.user,
            kind: draft.kind.clone(),
            content: draft.content.as_str().to_owned(),
            silent: draft.silent,
            at,
            thread: draft.thread,
            target: draft.target,
            changed: None,
            deleted: false,
            reactions: BTreeSet::new(),
            ordinal,
            asked: (id == command.message_id).then(|| command.action.clone()),
        });
        self.facts.head = Seq(self.log.len() as u64);
        self.log.len() as u64
    }

    fn server(&mut self, command: &Command, id: MessageId, kind: Kind, now: Timestamp) -> u64 {
        self.add(command, id, &Draft::new(kind, klatch_domain::Content::default()), now)
    }

    fn stored(&self, seq: u64, repeat: bool) -> Answer {
        let line = &self.log[usize::try_from(seq).unwrap() - 1];
        Answer::Stored { seq, ordinal: line.ordinal, at: line.at, repeat }
    }

    fn append(&mut self, command: &Command, draft: &Draft, now: Timestamp) -> Answer {
        let user = command.sender.user;
        if let Err(refusal) = check_append(&self.facts, user, draft) {
            return refused(&refusal);
        }
        let line = |seq: Seq, log: &[Line]| log[usize::try_from(seq.0).unwrap() - 1].clone();
        if let Some(thread) = draft.thread {
            let start = line(thread, &self.log);
            if start.thread.is_some() || start.kind != Kind::Text {
                return Answer::Refused("target_not_found");
            }
        }
        if let Some(target) = draft.target {
            let row = line(target, &self.log);
            let emoji: BTreeSet<_> = row.reactions.iter().map(|(_, emoji)| emoji.clone()).collect();
            let facts = TargetFacts {
                author: row.sender,
                kind: row.kind,
                deleted: row.deleted,
                emoji: emoji.into_iter().collect(),
            };
            if let Err(refusal) = check_target(&self.facts, user, draft, &facts) {
                return refused(&refusal);
            }
            let changed = Seq(self.log.len() as u64 + 1);
            let row = &mut self.log[usize::try_from(target.0).unwrap() - 1];
            row.changed = Some(changed);
            match draft.kind {
                Kind::Edit => row.content = draft.content.as_str().to_owned(),
                Kind::Delete => row.deleted = true,
                _ => {
                    let text = draft.content.as_str();
                    let key = (user, text.split('"').nth(3).unwrap().to_owned());
                    if text.contains("true") {
                        row.reactions.insert(key)
                    } else {
                        row.reactions.remove(&key)
                    };
                }
            }
        }
        let seq = self.add(command, command.message_id, draft, now);
        self.stored(seq, false)
    }
}

fn member(role: Role, at: Timestamp) -> Member {
    Member { role, blocking: false, joined_at: at }
}

impl Naive {
    pub(super) fn ask(&mut self, command: &Command, now: Timestamp) -> Answer {
        let id = command.message_id;
        if let Some(room) = self.rooms.get(&command.room)
            && let Some(place) = room.log.iter().position(|line| line.id == id)
        {
            let line = &room.log[place];
            let same = line.sender == command.sender.user && line.asked.as_ref() == Some(&command.action);
            let is_stranger = !room.facts.members.contains_key(&command.sender.user);
            return match &command.action {
                _ if same => room.stored(place as u64 + 1, true),
                Action::Append(_) if is_stranger => Answer::Refused("room_not_found"),
                _ => Answer::Refused("message_id_conflict"),
            };
        }
        match &command.action {
            Action::CreateRoom(new) => self.create(command, new.kind, &new.others, now),
            Action::Notice { owner, draft } => {
                let room = self.rooms.entry(command.room).or_insert_with(|| {
                    let mut facts = RoomFacts::new(RoomKind::Inbox, None, klatch_domain::Visibility::Private, now);
                    facts.members.insert(*owner, member(Role::Owner, now));
                    facts.members_version = Seq(1);
                    Room { facts, log: Vec::new() }
                });
                let seq = room.add(command, id, draft, now);
                room.stored(seq, false)
            }
            Action::SetBlock { on } => match self.rooms.get_mut(&command.room) {
                None => Answer::Unchanged,
                Some(room) => match room.facts.members.get_mut(&command.sender.user) {
                    Some(member) if room.facts.kind == RoomKind::Direct => {
                        member.blocking = *on;
                        Answer::Unchanged
                    }
                    _ => Answer::Refused("room_not_found"),
                },
            },
            _ => self.change(command, now),
        }
    }

    fn create(&mut self, command: &Command, kind: RoomKind, others: &[UserId], now: Timestamp) -> Answer {
        let maker = command.sender.user;
        let others: BTreeSet<UserId> = others.iter().copied().filter(|other| *other != maker).collect();
        if kind == RoomKind::Direct && others.iter().any(|other| RoomId::direct_of(maker, *other) != command.room) {
            return Answer::Refused("validation_failed");
        }
        if let Some(room) = self.rooms.get(&command.room) {
            let is_maker = match kind {
                RoomKind::Direct => room.facts.members.contains_key(&maker),
                _ => room.log[0].sender == maker,
            };
            return if is_maker && !room.facts.deleted { Answer::Unchanged } else { Answer::Refused("not_allowed") };
        }
        let name = klatch_domain::RoomName::parse("harbour").ok().filter(|_| kind == RoomKind::Group);
        let facts = RoomFacts::new(kind, name, klatch_domain::Visibility::Private, now);
        let mut room = Room { facts, log: Vec::new() };
        let role = if kind == RoomKind::Group { Role::Owner } else { Role::Member };
        let everyone = std::iter::once((maker, role)).chain(others.into_iter().map(|other| (other, Role::Member)));
        for (user, role) in everyone {
            let id = if user == maker { command.message_id } else { MessageId::follow_up(command.message_id, user, 0) };
            let seq = room.server(command, id, Kind::MemberJoined, now);
            room.facts.members.insert(user, member(role, now));
            room.facts.members_version = Seq(seq);
            self.owes.push((command.room, seq, Some(user)));
        }
        let answer = room.stored(1, false);
        self.rooms.insert(command.room, room);
        answer
    }

    /// Of a room that is there, by somebody who may.
    fn change(&mut self, command: &Command, now: Timestamp) -> Answer {
        let Some(room) = self.rooms.get_mut(&command.room) else { return Answer::Refused("room_not_found") };
        let (actor, id) = (command.sender.user, command.message_id);
        let at = room.log.last().map_or(now, |last| last.at.max(now));
        let (kind, owes) = match &command.action {
            Action::Append(draft) => return room.append(command, draft, now),
            Action::PutMember { user, role } => {
                if let Err(refusal) = check_put_member(&room.facts, actor, *user, *role) {
                    return refused(&refusal);
                }
                let kind = match (room.facts.members.get(user).copied(), role) {
                    (None, role) => {
                        room.facts.members.insert(*user, member(role.unwrap_or(Role::Member), at));
                        Kind::MemberJoined
                    }
                    (Some(known), Some(role)) if known.role != *role => {
                        room.facts.members.insert(*user, Member { role: *role, ..known });
                        Kind::RoleChanged
                    }
                    _ => return Answer::Unchanged,
                };
                (kind, vec![Some(*user)])
            }
            Action::RemoveMember { user } => {
                if let Err(refusal) = check_remove_member(&room.facts, actor, *user) {
                    return refused(&refusal);
                }
                room.facts.members.remove(user);
                (Kind::MemberLeft, vec![Some(*user)])
            }
            Action::ChangeRoom { name, visibility } => {
                if let Err(refusal) = check_change_room(&room.facts, actor) {
                    return refused(&refusal);
                }
                let before = (room.facts.name.clone(), room.facts.visibility);
                room.facts.name = name.clone().or(before.0.clone());
                room.facts.visibility = visibility.unwrap_or(before.1);
                if before == (room.facts.name.clone(), room.facts.visibility) {
                    return Answer::Unchanged;
                }
                (Kind::RoomChanged, vec![None])
            }
            Action::DeleteRoom => {
                if let Err(refusal) = check_change_room(&room.facts, actor) {
                    return refused(&refusal);
                }
                room.facts.deleted = true;
                let gone = std::mem::take(&mut room.facts.members);
                (Kind::RoomChanged, std::iter::once(None).chain(gone.into_keys().map(Some)).collect())
            }
            Action::CreateRoom(_) | Action::SetBlock { .. } | Action::Notice { .. } => unreachable!("not here"),
        };
        let touches_members = owes.iter().any(Option::is_some) || room.facts.deleted;
        let seq = room.server(command, id, kind, now);
        if touches_members {
            room.facts.members_version = Seq(seq);
        }
        let answer = room.stored(seq, false);
        self.owes.extend(owes.into_iter().map(|user| (command.room, seq, user)));
        answer
    }

    /// The same logs, rows, facts and debts.
    pub(super) fn compare(&self, rig: &Rig) {
        assert_eq!(self.rooms.len(), rig.logs.len());
        for (id, room) in &self.rooms {
            let (log, facts) = (&rig.logs[id], &rig.facts[id]);
            assert_eq!(log.len(), room.log.len());
            for (line, stored) in room.log.iter().zip(log) {
                let entry = &stored.entry;
                assert_eq!(
                    (line.id, line.sender, &line.kind, line.silent, line.at, line.ordinal),
                    (entry.message_id, entry.sender.user, &entry.kind, entry.silent, entry.at, entry.ordinal.0)
                );
                assert_eq!(
                    (line.thread, line.target, line.changed, line.deleted),
                    (entry.thread, entry.target, entry.changed_seq, entry.deleted)
                );
                if entry.kind.may_be_sent() {
                    assert_eq!(line.content, entry.content.as_str());
                }
                assert!(line.reactions.iter().eq(stored.reactions.keys()));
            }
            let (mine, theirs) = (&room.facts, facts);
            assert_eq!((mine.head, mine.deleted, &mine.name), (theirs.head, theirs.deleted, &theirs.name));
            assert_eq!((mine.visibility, mine.members_version), (theirs.visibility, theirs.members_version));
            assert_eq!(mine.members, theirs.members);
            assert_eq!(theirs.head_ordinal.0, room.log.last().map_or(0, |last| last.ordinal));
        }
        let owes: Vec<_> = rig.follow_ups.iter().map(|one| (one.key.room, one.key.seq.0, one.key.user)).collect();
        assert_eq!(sorted(self.owes.clone()), sorted(owes));
        for one in &rig.follow_ups {
            let line = &self.rooms[&one.key.room].log[usize::try_from(one.key.seq.0).unwrap() - 1];
            assert_eq!((one.message_id, one.sender.user, &one.kind), (line.id, line.sender, &line.kind));
        }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}
