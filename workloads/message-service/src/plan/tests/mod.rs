//! Whatever is asked, however it is cut into batches: the same log, the same rows, the same answers as a naive model gives
//! one command at a time.

mod instructions;
mod naive;
mod rig;

use klatch_domain::{
    Action, Command, Content, Draft, Kind, MessageId, NewRoom, Role, RoomId, RoomKind, RoomName, Sender, Seq,
    SessionId, Timestamp, UserId, Visibility,
};
use proptest::{prelude::*, test_runner::TestRunner};

use self::{
    naive::Naive,
    rig::{Answer, Rig},
};

const USERS: u8 = 4;

/// What somebody does; ids and seqs are drawn from what there may be.
#[derive(Debug, Clone)]
struct Step {
    who: u8,
    room: u8,
    what: What,
    /// Under an id that was used before: so many commands ago.
    old_id: Option<u8>,
    met_before: bool,
    /// Of the clock, since the last step, milliseconds.
    passes: i64,
}

#[derive(Debug, Clone)]
enum What {
    Text {
        silent: bool,
        reply: Option<u8>,
        thread: Option<u8>,
    },
    Change {
        kind: Kind,
        target: u8,
        emoji: u8,
        on: bool,
    },
    Create {
        others: Vec<u8>,
    },
    Put {
        user: u8,
        role: Option<Role>,
    },
    Remove {
        user: u8,
    },
    Rename {
        name: u8,
        public: Option<bool>,
    },
    Delete,
    Block {
        on: bool,
    },
    Notice {
        owner: u8,
    },
    /// The command of so many steps ago, once more.
    Again {
        ago: u8,
    },
}

fn what() -> impl Strategy<Value = What> {
    let seq = 0..14u8;
    let role = prop_oneof![Just(Role::Member), Just(Role::Admin), Just(Role::Owner)];
    let kind = prop_oneof![Just(Kind::Edit), Just(Kind::Delete), Just(Kind::Reaction)];
    prop_oneof![
        6 => (prop::bool::weighted(0.2), prop::option::weighted(0.2, seq.clone()), prop::option::weighted(0.2, seq.clone()))
            .prop_map(|(silent, reply, thread)| What::Text { silent, reply, thread }),
        5 => (kind, seq, 0..3u8, any::<bool>())
            .prop_map(|(kind, target, emoji, on)| What::Change { kind, target, emoji, on }),
        2 => prop::collection::vec(0..USERS, 0..3).prop_map(|others| What::Create { others }),
        3 => (0..USERS, prop::option::of(role)).prop_map(|(user, role)| What::Put { user, role }),
        2 => (0..USERS).prop_map(|user| What::Remove { user }),
        1 => (0..2u8, prop::option::of(any::<bool>())).prop_map(|(name, public)| What::Rename { name, public }),
        1 => prop::bool::weighted(0.2).prop_map(|delete| if delete { What::Delete } else { What::Block { on: true } }),
        1 => any::<bool>().prop_map(|on| What::Block { on }),
        1 => (0..USERS).prop_map(|owner| What::Notice { owner }),
        4 => (1..12u8).prop_map(|ago| What::Again { ago }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (0..USERS, 0..3u8, what(), prop::option::weighted(0.05, 1..12u8), prop::bool::weighted(0.3), -5..20i64)
        .prop_map(|(who, room, what, old_id, met_before, passes)| Step { who, room, what, old_id, met_before, passes })
}

fn user(number: u8) -> UserId {
    UserId::from_bytes([number + 1; 16])
}

/// Two groups and the direct room of the first two users.
fn room_id(number: u8) -> RoomId {
    if number == 2 { RoomId::direct_of(user(0), user(1)) } else { RoomId::from_bytes([0x40 + number; 16]) }
}

fn action(step: &Step, what: &What, number: usize) -> Action {
    let seq = |seq: &u8| Seq(u64::from(*seq) + 1);
    match what {
        What::Text { silent, reply, thread } => {
            let mut draft = Draft::new(Kind::Text, Content::text(&number.to_string()).unwrap());
            (draft.silent, draft.reply_to, draft.thread) = (*silent, reply.as_ref().map(seq), thread.as_ref().map(seq));
            Action::Append(draft)
        }
        What::Change { kind, target, emoji, on } => {
            let content = match kind {
                Kind::Reaction => format!(r#"{{"emoji":"e{emoji}","on":{on}}}"#),
                Kind::Edit => format!(r#"{{"text":"edit {number}"}}"#),
                _ => "{}".to_owned(),
            };
            let mut draft = Draft::new(kind.clone(), Content::parse(&content).unwrap());
            draft.target = Some(seq(target));
            Action::Append(draft)
        }
        What::Create { others } => {
            let (kind, name, others) = if step.room == 2 {
                (RoomKind::Direct, None, vec![user(u8::from(step.who == 0))])
            } else {
                let name = RoomName::parse("harbour").unwrap();
                (RoomKind::Group, Some(name), others.iter().copied().map(user).collect())
            };
            Action::CreateRoom(NewRoom { kind, name, visibility: Visibility::Private, others })
        }
        What::Put { user: whom, role } => Action::PutMember { user: user(*whom), role: *role },
        What::Remove { user: whom } => Action::RemoveMember { user: user(*whom) },
        What::Rename { name, public } => Action::ChangeRoom {
            name: Some(RoomName::parse(&format!("name {name}")).unwrap()),
            visibility: public.map(|public| if public { Visibility::Public } else { Visibility::Private }),
        },
        What::Delete => Action::DeleteRoom,
        What::Block { on } => Action::SetBlock { on: *on },
        What::Notice { owner } => {
            Action::Notice { owner: user(*owner), draft: Draft::new(Kind::FriendChanged, Content::default()) }
        }
        What::Again { .. } => unreachable!("it is looked up"),
    }
}

/// One command, when it is planned, and whether its first try may have ended anywhere.
#[derive(Debug, Clone)]
struct Asked {
    command: Command,
    now: Timestamp,
    met_before: bool,
}

fn asked(steps: &[Step]) -> Vec<Asked> {
    let mut asked: Vec<Asked> = Vec::new();
    let mut now = 1_800_000_000_000;
    for (number, step) in steps.iter().enumerate() {
        now += step.passes;
        let before = |ago: u8| asked.len().checked_sub(usize::from(ago)).map(|place| asked[place].command.clone());
        let command = match &step.what {
            What::Again { ago } => match before(*ago) {
                Some(command) => command,
                None => continue,
            },
            what => {
                let room = match what {
                    What::Notice { owner } => RoomId::inbox_of(user(*owner)),
                    _ => room_id(step.room),
                };
                let fresh = MessageId::from_bytes((number as u128 + 1).to_be_bytes());
                // Only among clients' entries: what may stand for what else under one id is a matter of `repeat`.
                let is_append = |old: &Command| matches!(old.action, Action::Append(_));
                let old = step.old_id.filter(|_| matches!(what, What::Text { .. })).and_then(before).filter(is_append);
                Command {
                    room,
                    message_id: old.map_or(fresh, |old| old.message_id),
                    sender: Sender { user: user(step.who), session: SessionId::from_bytes([9; 16]) },
                    action: action(step, what, number),
                    reply: None,
                    after: None,
                    accepted_micros: 0,
                    trace: None,
                }
            }
        };
        asked.push(Asked { command, now: Timestamp::from_millis(now), met_before: step.met_before });
    }
    asked
}

/// A group and a direct room to begin with, so that little is refused for want of a room.
fn beginning() -> Vec<Step> {
    let make = |who, room| {
        let what = What::Create { others: vec![1, 2] };
        Step { who, room, what, old_id: None, met_before: false, passes: 1 }
    };
    vec![make(0, 0), make(1, 2)]
}

/// A refused command whose id is stored later in the same round may hear of that one instead: it looks up what became of
/// its id when all is written.
fn forgive(batch: &[Asked], answers: &[Answer], expected: &mut [Answer]) {
    let key = |place: usize| (batch[place].command.room, batch[place].command.message_id);
    for place in 0..batch.len() {
        let stored = (place + 1..batch.len()).find(|later| {
            key(*later) == key(place) && matches!(expected[*later], Answer::Stored { repeat: false, .. })
        });
        let Some(stored) = stored.filter(|_| matches!(expected[place], Answer::Refused(_))) else { continue };
        let is_that = match (&answers[place], &expected[stored]) {
            (Answer::Stored { seq, repeat: true, .. }, Answer::Stored { seq: later, .. }) => seq == later,
            (answer, _) => *answer == Answer::Refused("message_id_conflict"),
        };
        if is_that {
            expected[place] = answers[place].clone();
        }
    }
}

#[test]
fn batches_cut_anywhere_come_to_what_a_naive_model_says() {
    /// Each of up to 80 steps, in batches of up to 12.
    const CASES: u32 = 400;
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let input =
        (prop::collection::vec(step(), 1..80), prop::collection::vec((1..12usize, prop::bool::weighted(0.2)), 80));
    TestRunner::new(config)
        .run(&input, |(steps, cuts)| {
            let asked = asked(&[beginning(), steps].concat());
            let mut naive = Naive::default();
            let mut rig = Rig::new();
            let mut rest = &asked[..];
            for (size, forget) in cuts {
                let (batch, later) = rest.split_at(size.min(rest.len()));
                rest = later;
                // One clock a batch: what is planned together happens at the same time.
                let now = batch.first().map_or(Timestamp::default(), |first| first.now);
                let mut expected: Vec<_> = batch.iter().map(|one| naive.ask(&one.command, now)).collect();
                let answers = rig.round(batch, now);
                forgive(batch, &answers, &mut expected);
                prop_assert_eq!(answers, expected);
                if forget {
                    rig.forget_heads();
                }
            }
            naive.compare(&rig);
            Ok(())
        })
        .unwrap();
}

#[test]
fn the_emoji_of_one_round_count_together() {
    use klatch_domain::limits::REACTIONS_PER_ENTRY;

    let beginning = asked(&beginning());
    let sender = beginning[0].command.sender;
    let now = beginning[0].now;
    let command = |number: u128, kind: Kind, content: &str, target: Option<Seq>| {
        let mut draft = Draft::new(kind, Content::parse(content).unwrap());
        draft.target = target;
        let message_id = MessageId::from_bytes((1_000 + number).to_be_bytes());
        let command = Command { message_id, sender, action: Action::Append(draft), ..beginning[0].command.clone() };
        Asked { command, now, met_before: false }
    };
    let mut rig = Rig::new();
    rig.round(&beginning, now);
    let target = match rig.round(&[command(0, Kind::Text, r#"{"text":"look"}"#, None)], now)[..] {
        [Answer::Stored { seq, .. }] => Some(Seq(seq)),
        ref other => panic!("{other:?}"),
    };
    let all: Vec<Asked> = (0..=REACTIONS_PER_ENTRY)
        .map(|number| {
            command(1 + number as u128, Kind::Reaction, &format!(r#"{{"emoji":"e{number}","on":true}}"#), target)
        })
        .collect();
    let answers = rig.round(&all, now);
    let (last, others) = answers.split_last().unwrap();
    assert!(others.iter().all(|answer| matches!(answer, Answer::Stored { .. })));
    assert_eq!(*last, Answer::Refused("content_invalid"));
}
