//! The rules. Each `check_*` refuses or lets pass, and changes nothing.

use serde::Deserialize;

use crate::limits::{CONTENT_TYPE_BYTES, EMOJI_BYTES, GROUP_MEMBERS, KIND_BYTES, MENTIONS, REACTIONS_PER_ENTRY};
use crate::{Code, Draft, Kind, Refusal, Role, RoomFacts, RoomKind, Seq, UserId};

/// Whether a client's draft has a shape its kind allows. Needs no room: a gateway refuses here, early and for good.
///
/// # Errors
/// A final refusal: `not_allowed` for kinds only the service writes, `content_invalid` or `validation_failed`.
pub fn check_draft(draft: &Draft) -> Result<(), Refusal> {
    if !draft.kind.may_be_sent() {
        return Err(Refusal::new(
            Code::NotAllowed,
            format!("entries of kind {:?} are written by the server", draft.kind),
        ));
    }
    let name = draft.kind.name();
    if name.is_empty()
        || name.len() > KIND_BYTES
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    {
        return Err(Refusal::new(Code::ValidationFailed, "kind has 1 to 64 letters, digits, '_', '.' or '-'"));
    }
    if let Some(media_type) = draft.content_type.as_deref()
        && (media_type.is_empty()
            || media_type.len() > CONTENT_TYPE_BYTES
            || !media_type.bytes().all(|byte| (0x20..0x7f).contains(&byte)))
    {
        return Err(Refusal::new(Code::ValidationFailed, "content_type has 1 to 128 printable ASCII characters"));
    }
    if draft.mentions.as_ref().is_some_and(|mentions| mentions.users.len() > MENTIONS) {
        return Err(Refusal::new(Code::ValidationFailed, format!("mentions names at most {MENTIONS} users")));
    }
    if draft.kind.needs_target() != draft.target.is_some() {
        return Err(Refusal::new(
            Code::ValidationFailed,
            "edit, delete and reaction name the seq they change in target; nothing else does",
        ));
    }
    if [draft.reply_to, draft.thread, draft.target].into_iter().flatten().any(|seq| seq == Seq::ZERO) {
        return Err(Refusal::new(Code::TargetNotFound, "seqs start at 1"));
    }
    check_content(draft)
}

#[derive(Deserialize)]
struct TextContent<'a> {
    #[serde(borrow)]
    text: std::borrow::Cow<'a, str>,
}

#[derive(Deserialize)]
struct ReactionContent<'a> {
    #[serde(borrow)]
    emoji: std::borrow::Cow<'a, str>,
    #[allow(dead_code)] // read for its type only
    on: bool,
}

#[derive(Deserialize)]
struct FileContent<'a> {
    #[serde(borrow)]
    name: std::borrow::Cow<'a, str>,
    #[allow(dead_code)] // read for its type only
    size: u64,
}

fn check_content(draft: &Draft) -> Result<(), Refusal> {
    let invalid = |detail: &'static str| Refusal::new(Code::ContentInvalid, detail);
    match draft.kind {
        Kind::Text | Kind::Edit => {
            let content: TextContent<'_> =
                draft.content.read().map_err(|_| invalid("the content of text and edit is {\"text\": STRING}"))?;
            if content.text.is_empty() {
                return Err(invalid("text is empty"));
            }
        }
        Kind::Reaction => {
            let content: ReactionContent<'_> = draft
                .content
                .read()
                .map_err(|_| invalid("the content of reaction is {\"emoji\": STRING, \"on\": true or false}"))?;
            if content.emoji.is_empty() || content.emoji.len() > EMOJI_BYTES {
                return Err(invalid("emoji has 1 to 64 bytes"));
            }
        }
        Kind::File => {
            let content: FileContent<'_> = draft
                .content
                .read()
                .map_err(|_| invalid("the content of file is {\"file_id\", \"name\", \"size\", \"media_type\"}"))?;
            if content.name.is_empty() {
                return Err(invalid("name is empty"));
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether this user may append this draft to this room now. Asked where the order is decided.
///
/// # Errors
/// `room_not_found`, `not_allowed`, `blocked`, `target_not_found`, `epoch_conflict`, `stale_device_list`.
pub fn check_append(room: &RoomFacts, user: UserId, draft: &Draft) -> Result<(), Refusal> {
    if room.deleted || !room.members.contains_key(&user) {
        return Err(Refusal::room_not_found());
    }
    if room.kind == RoomKind::Inbox {
        return Err(Refusal::new(Code::NotAllowed, "an inbox is written by the server"));
    }
    if room.kind == RoomKind::Direct && room.members.values().any(|member| member.blocking) {
        return Err(Refusal::new(Code::Blocked, "one of you has blocked the other"));
    }
    if [draft.reply_to, draft.thread, draft.target].into_iter().flatten().any(|seq| seq > room.head) {
        return Err(Refusal::new(Code::TargetNotFound, "there is no entry with that seq in this room"));
    }
    if draft.if_epoch.is_some_and(|epoch| epoch != 0) {
        return Err(Refusal::new(Code::EpochConflict, "this room's epoch is 0"));
    }
    if draft.device_list_version.is_some_and(|version| version != 0) {
        return Err(Refusal::new(Code::StaleDeviceList, "your device list's version is 0"));
    }
    Ok(())
}

/// What the rules ask about the entry an edit, delete or reaction names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// Who wrote it.
    pub author: UserId,
    /// What it is.
    pub kind: Kind,
    /// Its content is gone.
    pub deleted: bool,
    /// Different emoji on it.
    pub emoji: Vec<String>,
}

/// Whether this user may change this target. Only those allowed: edit by the author, delete by the author and, in
/// groups, by owner and admin; reactions by every member.
///
/// # Errors
/// `target_not_found`, `not_allowed`, `content_invalid` for one emoji too many.
pub fn check_target(room: &RoomFacts, user: UserId, draft: &Draft, target: &TargetFacts) -> Result<(), Refusal> {
    let message = matches!(target.kind, Kind::Text | Kind::File | Kind::Mls | Kind::Other(_));
    if !message || (target.deleted && draft.kind != Kind::Delete) {
        return Err(Refusal::new(Code::TargetNotFound, "only a message that was not deleted can be changed"));
    }
    match draft.kind {
        Kind::Edit if target.kind != Kind::Text => Err(Refusal::new(Code::NotAllowed, "only text can be edited")),
        Kind::Edit if target.author != user => Err(Refusal::new(Code::NotAllowed, "only its author edits a message")),
        Kind::Delete if target.author != user => {
            let leads = room.kind == RoomKind::Group && room.role_of(user).is_some_and(|role| role >= Role::Admin);
            if leads {
                Ok(())
            } else {
                Err(Refusal::new(
                    Code::NotAllowed,
                    "a message is deleted by its author or, in groups, by owner and admin",
                ))
            }
        }
        Kind::Reaction => {
            let content: ReactionContent<'_> =
                draft.content.read().map_err(|_| Refusal::new(Code::ContentInvalid, "a reaction has an emoji"))?;
            let known = target.emoji.iter().any(|emoji| *emoji == content.emoji);
            if content.on && !known && target.emoji.len() >= REACTIONS_PER_ENTRY {
                return Err(Refusal::new(Code::ContentInvalid, "this message has all the emoji it can carry"));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether `actor` may make `user` a member, or give them this role.
///
/// # Errors
/// `room_not_found`, `not_allowed`, `last_owner`, `validation_failed` when the group is full.
pub fn check_put_member(room: &RoomFacts, actor: UserId, user: UserId, role: Option<Role>) -> Result<(), Refusal> {
    if room.deleted || room.kind != RoomKind::Group {
        return Err(closed_to(room, actor));
    }
    let known = room.role_of(user);
    let Some(rank) = room.role_of(actor) else {
        // Joining a public room is the one thing a stranger may do.
        let joins =
            actor == user && room.visibility == crate::Visibility::Public && role.is_none_or(|r| r == Role::Member);
        return if joins { check_space(room) } else { Err(Refusal::room_not_found()) };
    };
    let wanted = role.or(known).unwrap_or(Role::Member);
    if known == Some(wanted) {
        return Ok(());
    }
    let allowed = match rank {
        Role::Owner => true,
        Role::Admin => known.is_none() && wanted == Role::Member,
        Role::Member => false,
    };
    if !allowed {
        return Err(Refusal::new(Code::NotAllowed, "owners give roles, owners and admins add members"));
    }
    match known {
        None => check_space(room),
        Some(Role::Owner) => check_other_owner(room, user),
        Some(_) => Ok(()),
    }
}

/// Whether `actor` may remove `user` (themselves: leave).
///
/// # Errors
/// `room_not_found`, `user_not_found`, `not_allowed`, `last_owner`.
pub fn check_remove_member(room: &RoomFacts, actor: UserId, user: UserId) -> Result<(), Refusal> {
    if room.deleted || room.kind != RoomKind::Group {
        return Err(closed_to(room, actor));
    }
    let Some(rank) = room.role_of(actor) else { return Err(Refusal::room_not_found()) };
    let Some(theirs) = room.role_of(user) else {
        return Err(Refusal::new(Code::UserNotFound, "that user is not a member of this room"));
    };
    if actor != user && (rank < Role::Admin || (rank == Role::Admin && theirs >= Role::Admin)) {
        return Err(Refusal::new(Code::NotAllowed, "owners remove anyone, admins remove members"));
    }
    if theirs == Role::Owner { check_other_owner(room, user) } else { Ok(()) }
}

/// Whether `actor` may change or delete the room.
///
/// # Errors
/// `room_not_found`, `not_allowed`.
pub fn check_change_room(room: &RoomFacts, actor: UserId) -> Result<(), Refusal> {
    if room.deleted || room.kind != RoomKind::Group {
        return Err(closed_to(room, actor));
    }
    match room.role_of(actor) {
        None => Err(Refusal::room_not_found()),
        Some(Role::Member) => Err(Refusal::new(Code::NotAllowed, "owners and admins change a room")),
        Some(_) => Ok(()),
    }
}

fn closed_to(room: &RoomFacts, actor: UserId) -> Refusal {
    if !room.deleted && room.members.contains_key(&actor) {
        Refusal::new(Code::NotAllowed, "only groups have members that come and go")
    } else {
        Refusal::room_not_found()
    }
}

fn check_space(room: &RoomFacts) -> Result<(), Refusal> {
    if room.members.len() >= GROUP_MEMBERS {
        return Err(Refusal::new(Code::ValidationFailed, format!("a group has at most {GROUP_MEMBERS} members")));
    }
    Ok(())
}

fn check_other_owner(room: &RoomFacts, user: UserId) -> Result<(), Refusal> {
    let alone = room.members.len() == 1;
    let other = room.members.iter().any(|(id, member)| *id != user && member.role == Role::Owner);
    if alone || other { Ok(()) } else { Err(Refusal::new(Code::LastOwner, "make someone else owner first")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, Member, Timestamp, Visibility};

    const OWNER: UserId = UserId::from_bytes([1; 16]);
    const ADMIN: UserId = UserId::from_bytes([2; 16]);
    const MEMBER: UserId = UserId::from_bytes([3; 16]);
    const STRANGER: UserId = UserId::from_bytes([4; 16]);

    fn member(role: Role) -> Member {
        Member { role, blocking: false, joined_at: Timestamp::default() }
    }

    fn group(visibility: Visibility) -> RoomFacts {
        let mut room = RoomFacts::new(RoomKind::Group, None, visibility, Timestamp::default());
        room.members.insert(OWNER, member(Role::Owner));
        room.members.insert(ADMIN, member(Role::Admin));
        room.members.insert(MEMBER, member(Role::Member));
        room.head = Seq(10);
        room
    }

    fn draft(kind: &str, content: &str, target: Option<u64>) -> Draft {
        let mut draft = Draft::new(Kind::from_name(kind), Content::parse(content).unwrap());
        draft.target = target.map(Seq);
        draft
    }

    fn code(result: Result<(), Refusal>) -> Option<Code> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn drafts_have_the_shape_of_their_kind() {
        let cases = [
            ("text", r#"{"text":"hi"}"#, None, None),
            ("text", r#"{"text":"a\nb\u00e9"}"#, None, None),
            ("text", r#"{"text":""}"#, None, Some(Code::ContentInvalid)),
            ("text", r#"{"text":1}"#, None, Some(Code::ContentInvalid)),
            ("text", "{}", None, Some(Code::ContentInvalid)),
            ("text", r#"{"text":"hi"}"#, Some(1), Some(Code::ValidationFailed)),
            ("edit", r#"{"text":"hi"}"#, None, Some(Code::ValidationFailed)),
            ("edit", r#"{"text":"hi"}"#, Some(0), Some(Code::TargetNotFound)),
            ("edit", r#"{"text":"hi"}"#, Some(1), None),
            ("delete", "{}", Some(1), None),
            ("reaction", r#"{"emoji":"👍","on":true}"#, Some(1), None),
            ("reaction", r#"{"emoji":"","on":true}"#, Some(1), Some(Code::ContentInvalid)),
            ("reaction", r#"{"emoji":"👍"}"#, Some(1), Some(Code::ContentInvalid)),
            ("member_joined", "{}", None, Some(Code::NotAllowed)),
            ("friend_changed", "{}", None, Some(Code::NotAllowed)),
            ("x.poll-2", r#"{"anything":[1]}"#, None, None),
            ("bad kind", "{}", None, Some(Code::ValidationFailed)),
        ];
        for (kind, content, target, expected) in cases {
            assert_eq!(code(check_draft(&draft(kind, content, target))), expected, "{kind} {content} {target:?}");
        }
    }

    #[test]
    fn only_members_append_and_blocks_hold() {
        let hello = draft("text", r#"{"text":"hi"}"#, None);
        let mut room = group(Visibility::Public);
        assert_eq!(code(check_append(&room, MEMBER, &hello)), None);
        assert_eq!(code(check_append(&room, STRANGER, &hello)), Some(Code::RoomNotFound));
        let mut reply = hello.clone();
        reply.reply_to = Some(Seq(11));
        assert_eq!(code(check_append(&room, MEMBER, &reply)), Some(Code::TargetNotFound));
        room.deleted = true;
        assert_eq!(code(check_append(&room, MEMBER, &hello)), Some(Code::RoomNotFound));
        let mut direct = RoomFacts::new(RoomKind::Direct, None, Visibility::Private, Timestamp::default());
        direct.members.insert(OWNER, member(Role::Member));
        direct.members.insert(MEMBER, Member { blocking: true, ..member(Role::Member) });
        assert_eq!(code(check_append(&direct, OWNER, &hello)), Some(Code::Blocked));
        assert_eq!(code(check_append(&direct, MEMBER, &hello)), Some(Code::Blocked));
        let mut inbox = RoomFacts::new(RoomKind::Inbox, None, Visibility::Private, Timestamp::default());
        inbox.members.insert(OWNER, member(Role::Owner));
        assert_eq!(code(check_append(&inbox, OWNER, &hello)), Some(Code::NotAllowed));
    }

    #[test]
    fn targets_are_changed_by_those_allowed() {
        let room = group(Visibility::Private);
        let target = TargetFacts { author: MEMBER, kind: Kind::Text, deleted: false, emoji: Vec::new() };
        let edit = draft("edit", r#"{"text":"new"}"#, Some(1));
        let delete = draft("delete", "{}", Some(1));
        let react = draft("reaction", r#"{"emoji":"👍","on":true}"#, Some(1));
        assert_eq!(code(check_target(&room, MEMBER, &edit, &target)), None);
        assert_eq!(code(check_target(&room, OWNER, &edit, &target)), Some(Code::NotAllowed));
        assert_eq!(code(check_target(&room, MEMBER, &delete, &target)), None);
        assert_eq!(code(check_target(&room, ADMIN, &delete, &target)), None);
        let others = TargetFacts { author: OWNER, ..target.clone() };
        assert_eq!(code(check_target(&room, MEMBER, &delete, &others)), Some(Code::NotAllowed));
        assert_eq!(code(check_target(&room, ADMIN, &react, &target)), None);
        let gone = TargetFacts { deleted: true, ..target.clone() };
        assert_eq!(code(check_target(&room, MEMBER, &edit, &gone)), Some(Code::TargetNotFound));
        let joined = TargetFacts { kind: Kind::MemberJoined, ..target.clone() };
        assert_eq!(code(check_target(&room, OWNER, &delete, &joined)), Some(Code::TargetNotFound));
        let full = TargetFacts { emoji: (0..REACTIONS_PER_ENTRY).map(|n| n.to_string()).collect(), ..target };
        assert_eq!(code(check_target(&room, MEMBER, &react, &full)), Some(Code::ContentInvalid));
    }

    #[test]
    fn roles_decide_who_comes_and_goes() {
        let private = group(Visibility::Private);
        let public = group(Visibility::Public);
        let put = |room: &RoomFacts, actor, user, role| code(check_put_member(room, actor, user, role));
        assert_eq!(put(&private, OWNER, STRANGER, None), None);
        assert_eq!(put(&private, ADMIN, STRANGER, None), None);
        assert_eq!(put(&private, ADMIN, STRANGER, Some(Role::Admin)), Some(Code::NotAllowed));
        assert_eq!(put(&private, MEMBER, STRANGER, None), Some(Code::NotAllowed));
        assert_eq!(put(&private, STRANGER, STRANGER, None), Some(Code::RoomNotFound));
        assert_eq!(put(&public, STRANGER, STRANGER, None), None);
        assert_eq!(put(&public, STRANGER, STRANGER, Some(Role::Owner)), Some(Code::RoomNotFound));
        assert_eq!(put(&private, OWNER, OWNER, Some(Role::Member)), Some(Code::LastOwner));
        assert_eq!(put(&private, OWNER, MEMBER, Some(Role::Owner)), None);
        let remove = |room: &RoomFacts, actor, user| code(check_remove_member(room, actor, user));
        assert_eq!(remove(&private, MEMBER, MEMBER), None);
        assert_eq!(remove(&private, MEMBER, ADMIN), Some(Code::NotAllowed));
        assert_eq!(remove(&private, ADMIN, MEMBER), None);
        assert_eq!(remove(&private, ADMIN, OWNER), Some(Code::NotAllowed));
        assert_eq!(remove(&private, OWNER, OWNER), Some(Code::LastOwner));
        assert_eq!(remove(&private, OWNER, STRANGER), Some(Code::UserNotFound));
        assert_eq!(remove(&private, STRANGER, MEMBER), Some(Code::RoomNotFound));
        assert_eq!(code(check_change_room(&private, ADMIN)), None);
        assert_eq!(code(check_change_room(&private, MEMBER)), Some(Code::NotAllowed));
        assert_eq!(code(check_change_room(&public, STRANGER)), Some(Code::RoomNotFound));
    }

    #[test]
    fn the_last_one_may_leave() {
        let mut room = group(Visibility::Private);
        room.members.retain(|user, _| *user == OWNER);
        assert_eq!(code(check_remove_member(&room, OWNER, OWNER)), None);
    }
}
