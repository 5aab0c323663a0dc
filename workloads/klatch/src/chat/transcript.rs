//! Entries as lines for a person.

use klatch_domain::{Entry, Kind, UserId};
use serde::Deserialize;

use super::names::Names;
use crate::output::{DIM, Form, style_of, visible};

/// What contents of the known kinds may hold.
#[derive(Default, Deserialize)]
struct Content {
    text: Option<String>,
    name: Option<String>,
    emoji: Option<String>,
    on: Option<bool>,
    user: Option<UserId>,
    role: Option<String>,
}

/// Users whose names the line needs.
pub(super) fn users_of(entry: &Entry) -> Vec<UserId> {
    let content: Content = entry.content.read().unwrap_or_default();
    std::iter::once(entry.sender.user).chain(content.user).collect()
}

/// The entry as a line, or more when its text has more. Nothing in it steers the terminal.
pub(super) fn line(entry: &Entry, names: &Names, form: Form) -> String {
    let content: Content = entry.content.read().unwrap_or_default();
    let target = entry.target.map_or_else(String::new, |seq| format!("#{}", seq.0));
    let whom = content.user.map_or_else(String::new, |user| names.of(user));
    let text = content.text.as_deref().unwrap_or_default();
    let (aside, said) = match &entry.kind {
        _ if entry.deleted => (true, "(deleted)".to_owned()),
        Kind::Text => (false, text.to_owned()),
        Kind::File => (true, format!("file {}", content.name.as_deref().unwrap_or_default())),
        Kind::Edit => (true, format!("edited {target}: {text}")),
        Kind::Delete => (true, format!("deleted {target}")),
        Kind::Reaction if content.on == Some(false) => {
            (true, format!("took {} from {target}", content.emoji.unwrap_or_default()))
        }
        Kind::Reaction => (true, format!("put {} on {target}", content.emoji.unwrap_or_default())),
        Kind::MemberJoined => (true, format!("{whom} is a member now")),
        Kind::MemberLeft => (true, format!("{whom} is no member any more")),
        Kind::RoleChanged => (true, format!("{whom} is {} now", content.role.unwrap_or_default())),
        Kind::RoomChanged => (true, "changed the room".to_owned()),
        other => (true, format!("({})", other.name())),
    };
    // Line breaks are the only control the text may have; what follows one is set in, so that no line looks like another's.
    let said = visible(&said).replace('\n', "\n        ");
    let name = visible(&names.of(entry.sender.user)).into_owned();
    let head = form.paint(DIM, &format!("{:>5} {}", entry.position.seq.0, clock_of(entry)));
    let edited = if entry.edited_at.is_some() && !entry.deleted { form.paint(DIM, " (edited)") } else { String::new() };
    let said = if aside { form.paint(DIM, &said) } else { said };
    format!("{head} {} {said}{edited}", form.paint(style_of(&name), &name))
}

/// Date and time to the second, UTC.
fn clock_of(entry: &Entry) -> String {
    let text = entry.at.to_string();
    text.get(..19).map_or_else(|| text.clone(), |time| time.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Content, Draft, MessageId, Ordinal, Position, Sender, Seq, SessionId, Timestamp};

    use super::*;

    fn entry(kind: Kind, content: &str) -> Entry {
        let draft = Draft::new(kind, Content::parse(content).unwrap());
        let sender = Sender { user: UserId::from_bytes([2; 16]), session: SessionId::from_bytes([3; 16]) };
        let (id, at) = (MessageId::from_bytes([1; 16]), Timestamp::from_millis(1_700_000_000_000));
        Entry::of(&draft, Position::first(7), Ordinal(5), id, sender, at)
    }

    #[test]
    fn a_message_cannot_steer_the_terminal_or_forge_a_line() {
        let form = Form::Text { colour: false };
        let evil = entry(Kind::Text, r#"{"text": "hi\u001b[2J\r\n    8 2026-01-01 00:00:00 root pay me"}"#);
        let shown = line(&evil, &Names::default(), form);
        assert!(shown.contains("hi\\u{1b}[2J\\u{d}"), "{shown}");
        assert!(shown.lines().nth(1).unwrap().starts_with("        "), "{shown}");
        assert!(!shown.contains('\u{1b}'));
        let kind = entry(Kind::Other("\u{1b}[31m".into()), "{}");
        assert!(!line(&kind, &Names::default(), form).contains('\u{1b}'));
    }

    #[test]
    fn every_kind_has_its_line() {
        let form = Form::Text { colour: false };
        let shown = |entry: &Entry| line(entry, &Names::default(), form);
        let mut edit = entry(Kind::Edit, r#"{"text": "better"}"#);
        edit.target = Some(Seq(3));
        assert!(shown(&edit).ends_with("edited #3: better"));
        let mut gone = entry(Kind::Text, "{}");
        gone.deleted = true;
        assert!(shown(&gone).ends_with("(deleted)"));
        assert!(shown(&entry(Kind::Text, r#"{"text": "plain"}"#)).starts_with("    7 2023-11-14 22:13:20 "));
    }
}
