//! Whether a message notifies a member. Pure: no clock, no I/O; what is asked is handed in.

use klatch_bus::{NotifyCommand, PresenceStatus};
use klatch_domain::{Notify, Position, Timestamp, UserId};

/// A member, as far as it matters whether a message notifies them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub user: UserId,
    /// What of the room notifies them.
    pub notify: Notify,
    /// May not sign in.
    pub disabled: bool,
    /// There is a block between them and the sender, in either direction.
    pub blocked: bool,
    /// No notifications until then.
    pub do_not_disturb_until: Option<Timestamp>,
    /// How far they have read, on whatever device.
    pub read: Position,
    /// How they are connected; `None` when nobody can say.
    pub status: Option<PresenceStatus>,
}

/// What becomes of a message for one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decision {
    /// They are notified, as of any message.
    Message,
    /// They are notified, as they are called.
    Mention,
    /// They wrote it.
    Own,
    /// It was sent to notify nobody.
    Silent,
    /// They may not sign in.
    Disabled,
    /// A block stands between the two.
    Blocked,
    /// They want nothing of this room, or only what calls them.
    Muted,
    /// They do not want to be disturbed.
    DoNotDisturb,
    /// They have read it, here or elsewhere.
    Read,
    /// They sit before a device that shows it.
    Online,
    /// It is too old to be news.
    TooLate,
}

impl Decision {
    /// Every one of them.
    pub const ALL: [Self; 11] = [
        Self::Message,
        Self::Mention,
        Self::Own,
        Self::Silent,
        Self::Disabled,
        Self::Blocked,
        Self::Muted,
        Self::DoNotDisturb,
        Self::Read,
        Self::Online,
        Self::TooLate,
    ];

    /// As it stands in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Mention => "mention",
            Self::Own => "own",
            Self::Silent => "silent",
            Self::Disabled => "disabled",
            Self::Blocked => "blocked",
            Self::Muted => "muted",
            Self::DoNotDisturb => "do_not_disturb",
            Self::Read => "read",
            Self::Online => "online",
            Self::TooLate => "too_late",
        }
    }

    /// Whether they are notified.
    #[must_use]
    pub const fn notifies(self) -> bool {
        matches!(self, Self::Message | Self::Mention)
    }
}

/// What can be decided without asking a database: whether the user's devices are `online` is known by presence.
#[must_use]
pub fn decide_early(message: &NotifyCommand, user: UserId, online: bool) -> Option<Decision> {
    if user == message.sender.user {
        Some(Decision::Own)
    } else if message.silent {
        Some(Decision::Silent)
    } else {
        online.then_some(Decision::Online)
    }
}

/// Decides. What costs least to know is asked first. A position of an older generation than what was read is read: its log is
/// gone.
#[must_use]
pub fn decide(message: &NotifyCommand, recipient: &Recipient, now: Timestamp) -> Decision {
    let online = recipient.status == Some(PresenceStatus::Online);
    if let Some(decision) = decide_early(message, recipient.user, online) {
        return decision;
    }
    if recipient.disabled {
        return Decision::Disabled;
    }
    if recipient.blocked {
        return Decision::Blocked;
    }
    let called = is_called(message, recipient.user);
    let wanted = match recipient.notify {
        Notify::All => true,
        Notify::Mentions => called,
        Notify::None => false,
    };
    if !wanted {
        return Decision::Muted;
    }
    if recipient.do_not_disturb_until.is_some_and(|until| now < until) {
        return Decision::DoNotDisturb;
    }
    if message.position <= recipient.read {
        return Decision::Read;
    }
    if called { Decision::Mention } else { Decision::Message }
}

fn is_called(message: &NotifyCommand, user: UserId) -> bool {
    message.mentions.as_ref().is_some_and(|mentions| mentions.room || mentions.users.contains(&user))
}

#[cfg(test)]
mod tests {
    use klatch_domain::{Audience, Generation, Kind, Mentions, MessageId, Ordinal, RoomId, Sender, Seq, SessionId};
    use proptest::prelude::*;

    use super::*;

    const ADA: UserId = UserId::from_bytes([1; 16]);
    const BOB: UserId = UserId::from_bytes([2; 16]);
    const NOW: i64 = 1_800_000_000_000;

    fn at(seq: u64) -> Position {
        Position { generation: Generation::FIRST, seq: Seq(seq) }
    }

    fn now() -> Timestamp {
        Timestamp::from_millis(NOW)
    }

    fn message() -> NotifyCommand {
        NotifyCommand {
            room: RoomId::from_bytes([9; 16]),
            position: at(5),
            ordinal: Ordinal(5),
            message_id: MessageId::from_bytes([8; 16]),
            sender: Sender { user: ADA, session: SessionId::from_bytes([7; 16]) },
            kind: Kind::Text,
            mentions: None,
            silent: false,
            audience: Audience::Room,
            at: now(),
        }
    }

    fn calling(users: &[UserId], room: bool) -> NotifyCommand {
        NotifyCommand { mentions: Some(Mentions { users: users.to_vec(), room }), ..message() }
    }

    fn bob() -> Recipient {
        Recipient {
            user: BOB,
            notify: Notify::All,
            disabled: false,
            blocked: false,
            do_not_disturb_until: None,
            read: at(4),
            status: None,
        }
    }

    #[test]
    fn each_reason_on_its_own() {
        let later = Timestamp::from_millis(NOW + 1);
        let cases = [
            ("a message", message(), bob(), Decision::Message),
            ("a call by name", calling(&[BOB], false), bob(), Decision::Mention),
            ("a call to all", calling(&[], true), bob(), Decision::Mention),
            ("a call to somebody else", calling(&[ADA], false), bob(), Decision::Message),
            ("their own", calling(&[ADA], true), Recipient { user: ADA, ..bob() }, Decision::Own),
            ("silent", NotifyCommand { silent: true, ..calling(&[BOB], true) }, bob(), Decision::Silent),
            ("disabled", calling(&[BOB], true), Recipient { disabled: true, ..bob() }, Decision::Disabled),
            ("blocked", calling(&[BOB], true), Recipient { blocked: true, ..bob() }, Decision::Blocked),
            ("muted", calling(&[BOB], true), Recipient { notify: Notify::None, ..bob() }, Decision::Muted),
            ("only calls", message(), Recipient { notify: Notify::Mentions, ..bob() }, Decision::Muted),
            (
                "a call of only calls",
                calling(&[BOB], false),
                Recipient { notify: Notify::Mentions, ..bob() },
                Decision::Mention,
            ),
            (
                "not now",
                calling(&[BOB], true),
                Recipient { do_not_disturb_until: Some(later), ..bob() },
                Decision::DoNotDisturb,
            ),
            ("now again", message(), Recipient { do_not_disturb_until: Some(now()), ..bob() }, Decision::Message),
            ("read", message(), Recipient { read: at(5), ..bob() }, Decision::Read),
            ("read further", calling(&[BOB], true), Recipient { read: at(9), ..bob() }, Decision::Read),
            ("online", message(), Recipient { status: Some(PresenceStatus::Online), ..bob() }, Decision::Online),
            ("away", message(), Recipient { status: Some(PresenceStatus::Away), ..bob() }, Decision::Message),
            ("offline", message(), Recipient { status: Some(PresenceStatus::Offline), ..bob() }, Decision::Message),
        ];
        for (what, message, recipient, expected) in cases {
            assert_eq!(decide(&message, &recipient, now()), expected, "{what}");
        }
    }

    #[test]
    fn names_are_all_different() {
        let names: std::collections::HashSet<_> = Decision::ALL.iter().map(|decision| decision.name()).collect();
        assert_eq!(names.len(), Decision::ALL.len());
    }

    fn any_notify() -> impl Strategy<Value = Notify> {
        prop_oneof![Just(Notify::All), Just(Notify::Mentions), Just(Notify::None)]
    }

    fn any_status() -> impl Strategy<Value = Option<PresenceStatus>> {
        let known =
            prop_oneof![Just(PresenceStatus::Online), Just(PresenceStatus::Away), Just(PresenceStatus::Offline)];
        proptest::option::of(known)
    }

    prop_compose! {
        fn any_recipient()(
            own: bool, disabled: bool, blocked: bool, notify in any_notify(), read in 0..10_u64,
            quiet in proptest::option::of(NOW - 5..NOW + 5), status in any_status(),
        ) -> Recipient {
            Recipient {
                user: if own { ADA } else { BOB },
                notify, disabled, blocked, read: at(read), status,
                do_not_disturb_until: quiet.map(Timestamp::from_millis),
            }
        }
    }

    prop_compose! {
        fn any_message()(silent: bool, room: bool, bob: bool, mentions: bool, seq in 1..10_u64) -> NotifyCommand {
            let users = if bob { vec![BOB] } else { Vec::new() };
            NotifyCommand {
                position: at(seq), silent,
                mentions: mentions.then_some(Mentions { users, room }),
                ..message()
            }
        }
    }

    proptest! {
        /// Whatever else holds, nobody is notified who must not be.
        #[test]
        fn who_is_notified_wants_it_and_has_not_seen_it(message in any_message(), recipient in any_recipient()) {
            let decision = decide(&message, &recipient, now());
            if decision.notifies() {
                prop_assert!(recipient.user != message.sender.user && !message.silent);
                prop_assert!(!recipient.disabled && !recipient.blocked && recipient.notify != Notify::None);
                prop_assert!(recipient.read < message.position);
                prop_assert!(recipient.do_not_disturb_until.is_none_or(|until| until <= now()));
                prop_assert!(recipient.status != Some(PresenceStatus::Online));
            }
            prop_assert_eq!(decision == Decision::Mention, decision.notifies() && is_called(&message, recipient.user));
        }

        /// Reading further, or asking for more quiet, never makes a notification out of none.
        #[test]
        fn less_is_never_more(message in any_message(), recipient in any_recipient(), further in 0..5_u64) {
            let before = decide(&message, &recipient, now());
            let mut quieter = vec![
                Recipient { read: at(recipient.read.seq.0 + further), ..recipient },
                Recipient { do_not_disturb_until: Some(Timestamp::from_millis(NOW + 1)), ..recipient },
                Recipient { blocked: true, ..recipient },
                Recipient { notify: Notify::None, ..recipient },
            ];
            if recipient.notify == Notify::All {
                quieter.push(Recipient { notify: Notify::Mentions, ..recipient });
            }
            for recipient in quieter {
                prop_assert!(before.notifies() || !decide(&message, &recipient, now()).notifies());
            }
        }
    }
}
