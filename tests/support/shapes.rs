//! One value of every HTTP shape, with fixed ids and times: what the golden files hold.

use klatch_domain::{Code, Notify, Ordinal, Position, Preferences, Role, RoomId, RoomKind, Visibility};
use klatch_protocol::http;
use serde::{Serialize, de::DeserializeOwned};

use crate::frames::{at, full_entry, least_entry, message, position, room, send, session, text, user};

/// One HTTP shape: its text, and a reader that writes again what it understood.
pub struct HttpShape {
    /// Of its golden file: the type's name, and perhaps a variant behind a `.`.
    pub name: &'static str,
    /// As written now, pretty.
    pub text: String,
    /// Reads a text as this shape and writes what it read.
    pub rewrite: fn(&str) -> Result<String, serde_json::Error>,
}

fn shape<T: Serialize + DeserializeOwned>(name: &'static str, value: &T) -> HttpShape {
    HttpShape {
        name,
        text: serde_json::to_string_pretty(value).unwrap_or_default(),
        rewrite: |text| serde_json::to_string_pretty(&serde_json::from_str::<T>(text)?),
    }
}

fn profile() -> http::Profile {
    http::Profile {
        id: user(2),
        username: "grace".to_owned(),
        display_name: "Grace".to_owned(),
        avatar: text("/v1/files/f1"),
        status: Some(status_line()),
    }
}

fn least_profile() -> http::Profile {
    http::Profile {
        id: user(1),
        username: "ada".to_owned(),
        display_name: "Ada".to_owned(),
        avatar: None,
        status: None,
    }
}

fn status_line() -> http::StatusLine {
    http::StatusLine { text: "in a meeting".to_owned(), emoji: "📅".to_owned(), until: Some(at(1_800)) }
}

fn me() -> http::Me {
    http::Me {
        profile: profile(),
        email: text("grace@example.org"),
        read_receipts: true,
        do_not_disturb_until: Some(at(7_200)),
    }
}

fn least_me() -> http::Me {
    http::Me { profile: least_profile(), email: None, read_receipts: false, do_not_disturb_until: None }
}

fn room_out() -> http::RoomOut {
    http::RoomOut {
        id: room(1),
        kind: RoomKind::Group,
        name: text("Bridge"),
        visibility: Some(Visibility::Public),
        peer: None,
        member_count: 3,
        role: Role::Owner,
        head: position(9),
        head_ordinal: Ordinal(7),
        read: position(5),
        read_ordinal: Ordinal(3),
        unread_mentions: 1,
        marked_unread: true,
        preferences: preferences(),
        last_message: Some(least_entry()),
    }
}

fn direct_room_out() -> http::RoomOut {
    http::RoomOut {
        id: RoomId::direct_of(user(1), user(2)),
        kind: RoomKind::Direct,
        name: None,
        visibility: None,
        peer: Some(profile()),
        member_count: 2,
        role: Role::Member,
        unread_mentions: 0,
        marked_unread: false,
        preferences: Preferences::default(),
        last_message: None,
        ..room_out()
    }
}

fn preferences() -> Preferences {
    Preferences { notify: Notify::Mentions, hidden: true, marked_unread: true }
}

fn sync_room_answer() -> http::SyncRoomAnswer {
    http::SyncRoomAnswer {
        room: room(1),
        head: Some(position(9)),
        head_ordinal: Some(Ordinal(7)),
        entries: Some(vec![least_entry()]),
        more: Some(true),
        reset: true,
        error: None,
    }
}

fn refused_sync_room() -> http::SyncRoomAnswer {
    http::SyncRoomAnswer {
        room: room(2),
        head: None,
        head_ordinal: None,
        entries: None,
        more: None,
        reset: false,
        error: Some(Code::RoomNotFound),
    }
}

fn send_body() -> http::SendBody {
    let send = send();
    http::SendBody {
        message_id: send.message_id,
        kind: send.kind,
        content: send.content,
        content_type: send.content_type,
        reply_to: send.reply_to,
        thread: send.thread,
        target: send.target,
        mentions: send.mentions,
        silent: send.silent,
        expires_at: send.expires_at,
        if_epoch: send.if_epoch,
        device_list_version: send.device_list_version,
        traceparent: send.traceparent,
    }
}

fn member_out() -> http::MemberOut {
    http::MemberOut {
        user: profile(),
        role: Role::Admin,
        joined_at: at(0),
        read: Some(position(5)),
        delivered: Some(position(6)),
    }
}

/// Every HTTP shape under the name of its golden file.
#[must_use]
pub fn http_shapes() -> Vec<HttpShape> {
    [http_accounts(), http_rooms(), http_messages()].into_iter().flatten().collect()
}

fn http_accounts() -> Vec<HttpShape> {
    let next = text("Z3JhY2U");
    let signed_in = http::SignedIn {
        session_id: session(1),
        user: least_me(),
        access_token: "eyJ.e30.c2ln".to_owned(),
        expires_in_seconds: 900,
        refresh_token: text("r1.c2VjcmV0"),
    };
    let session_out = |number, kind: &str, current| http::SessionOut {
        id: session(number),
        kind: kind.to_owned(),
        name: "Ada's laptop".to_owned(),
        created_at: at(0),
        last_used_at: at(60),
        current,
    };
    let friend = |status| http::Friend { user: profile(), status, since: at(0) };
    let password = "correct horse battery".to_owned();
    vec![
        shape(
            "SignUp",
            &http::SignUp {
                username: "ada".to_owned(),
                password: password.clone(),
                display_name: text("Ada"),
                email: text("ada@example.org"),
            },
        ),
        shape(
            "SignUp.least",
            &http::SignUp { username: "ada".to_owned(), password: password.clone(), display_name: None, email: None },
        ),
        shape("Profile", &profile()),
        shape("Profile.least", &least_profile()),
        shape("StatusLine", &status_line()),
        shape("StatusLine.least", &http::StatusLine { text: String::new(), emoji: String::new(), until: None }),
        shape("Me", &me()),
        shape("Me.least", &least_me()),
        shape(
            "ChangeProfile",
            &http::ChangeProfile {
                display_name: text("Countess"),
                email: Some(text("ada@example.org")),
                avatar: Some(text("/v1/files/f1")),
                status: Some(Some(status_line())),
                read_receipts: Some(false),
                do_not_disturb_until: Some(Some(at(7_200))),
            },
        ),
        shape(
            "ChangeProfile.removes",
            &http::ChangeProfile {
                email: Some(None),
                avatar: Some(None),
                status: Some(None),
                do_not_disturb_until: Some(None),
                ..http::ChangeProfile::default()
            },
        ),
        shape("ChangeProfile.least", &http::ChangeProfile::default()),
        shape("ChangePassword", &http::ChangePassword { old: password.clone(), new: "staple".repeat(3) }),
        shape("UserAnswer", &http::UserAnswer { user: me() }),
        shape("Users", &http::Users { users: vec![least_profile(), profile()], next: next.clone() }),
        shape("Users.least", &http::Users { users: Vec::new(), next: None }),
        shape(
            "UsersQuery",
            &http::UsersQuery {
                query: text("gra"),
                ids: Some(format!("{},{}", user(1), user(2))),
                after: next.clone(),
                limit: Some(50),
            },
        ),
        shape(
            "FriendStatus",
            &[
                http::FriendStatus::Requested,
                http::FriendStatus::Incoming,
                http::FriendStatus::Accepted,
                http::FriendStatus::Blocked,
            ]
            .to_vec(),
        ),
        shape("Friend", &friend(http::FriendStatus::Incoming)),
        shape("Friends", &http::Friends { friends: vec![friend(http::FriendStatus::Accepted)], next: next.clone() }),
        shape("Friends.least", &http::Friends { friends: Vec::new(), next: None }),
        shape(
            "SignIn",
            &http::SignIn {
                username: "ada".to_owned(),
                password: password.clone(),
                device_name: "Ada's laptop".to_owned(),
                cookie: true,
            },
        ),
        shape(
            "SignIn.least",
            &http::SignIn { username: "ada".to_owned(), password, device_name: "cli".to_owned(), cookie: false },
        ),
        shape("SignedIn", &signed_in),
        shape("SignedIn.cookie", &http::SignedIn { refresh_token: None, ..signed_in }),
        shape("RefreshSession", &http::RefreshSession { refresh_token: text("r1.c2VjcmV0") }),
        shape("RefreshSession.cookie", &http::RefreshSession::default()),
        shape("ExchangeToken", &http::ExchangeToken { bot_token: "b1.c2VjcmV0".to_owned() }),
        shape("CreateBotToken", &http::CreateBotToken { name: "alerts".to_owned() }),
        shape(
            "BotTokenCreated",
            &http::BotTokenCreated {
                session_id: session(2),
                name: "alerts".to_owned(),
                bot_token: "b1.c2VjcmV0".to_owned(),
            },
        ),
        shape("SessionOut", &session_out(1, "device", true)),
        shape(
            "Sessions",
            &http::Sessions {
                sessions: vec![session_out(2, "bot_token", false), session_out(1, "device", true)],
                next,
            },
        ),
        shape("Sessions.least", &http::Sessions { sessions: Vec::new(), next: None }),
    ]
}

fn http_rooms() -> Vec<HttpShape> {
    let next = text("MDE5YQ");
    let public = || http::PublicRoom { id: room(1), name: "Bridge".to_owned(), member_count: 3 };
    vec![
        shape("CreateRoom.direct", &http::CreateRoom::Direct { user: user(2) }),
        shape(
            "CreateRoom.group",
            &http::CreateRoom::Group {
                name: "Bridge".to_owned(),
                members: vec![user(2), user(3)],
                visibility: Visibility::Public,
            },
        ),
        shape("RoomOut", &room_out()),
        shape("RoomOut.direct", &direct_room_out()),
        shape("RoomAnswer", &http::RoomAnswer { room: room_out() }),
        shape("Rooms", &http::Rooms { rooms: vec![room_out(), direct_room_out()], next: next.clone() }),
        shape("Rooms.least", &http::Rooms { rooms: Vec::new(), next: None }),
        shape("PublicRoom", &public()),
        shape("PublicRooms", &http::PublicRooms { rooms: vec![public()], next: next.clone() }),
        shape("PublicRooms.least", &http::PublicRooms { rooms: Vec::new(), next: None }),
        shape("ChangeRoom", &http::ChangeRoom { name: text("Deck"), visibility: Some(Visibility::Private) }),
        shape("ChangeRoom.least", &http::ChangeRoom::default()),
        shape(
            "ChangePreferences",
            &http::ChangePreferences { notify: Some(Notify::None), hidden: Some(true), marked_unread: Some(false) },
        ),
        shape("ChangePreferences.least", &http::ChangePreferences::default()),
        shape("PutMember", &http::PutMember { role: Some(Role::Admin) }),
        shape("PutMember.least", &http::PutMember::default()),
        shape("MemberOut", &member_out()),
        shape("MemberOut.least", &http::MemberOut { read: None, delivered: None, ..member_out() }),
        shape("Members", &http::Members { members: vec![member_out()], next: next.clone() }),
        shape("Members.least", &http::Members { members: Vec::new(), next: None }),
        shape("PageQuery", &http::PageQuery { query: text("br"), after: next, limit: Some(50) }),
    ]
}

fn http_messages() -> Vec<HttpShape> {
    let problem = http::Problem {
        code: Code::ValidationFailed,
        title: "The request has the wrong shape".to_owned(),
        status: 400,
        detail: "username has 1 to 50 characters".to_owned(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
        fields: vec![field_problem()],
    };
    let sync_room = http::SyncRoom { room: room(1), position: position(5) };
    let least_send = http::SendBody {
        content_type: None,
        reply_to: None,
        thread: None,
        target: None,
        mentions: None,
        silent: false,
        expires_at: None,
        if_epoch: None,
        device_list_version: None,
        traceparent: None,
        ..send_body()
    };
    vec![
        shape(
            "HistoryQuery",
            &http::HistoryQuery { before: Some(9), after: Some(1), limit: Some(50), thread: Some(2) },
        ),
        shape("History", &http::History { entries: vec![least_entry(), full_entry()], more: true }),
        shape("SendBody", &send_body()),
        shape("SendBody.least", &least_send),
        shape(
            "SendAnswer",
            &http::SendAnswer { message_id: message(1), position: position(5), ordinal: Ordinal(3), at: at(0) },
        ),
        shape(
            "SyncRequest",
            &http::SyncRequest { rooms: vec![sync_room], inbox: Some(Position::NOTHING), limit: Some(100) },
        ),
        shape("SyncRequest.least", &http::SyncRequest::default()),
        shape("SyncRoom", &sync_room),
        shape("SyncRoomAnswer", &sync_room_answer()),
        shape("SyncRoomAnswer.refused", &refused_sync_room()),
        shape(
            "SyncAnswer",
            &http::SyncAnswer {
                rooms: vec![sync_room_answer(), refused_sync_room()],
                inbox: Some(http::SyncRoomAnswer {
                    room: RoomId::inbox_of(user(1)),
                    reset: false,
                    ..sync_room_answer()
                }),
            },
        ),
        shape("Problem", &problem),
        shape("Problem.least", &http::Problem { fields: Vec::new(), code: Code::Internal, status: 500, ..problem }),
        shape("FieldProblem", &field_problem()),
    ]
}

fn field_problem() -> http::FieldProblem {
    http::FieldProblem { field: "username".to_owned(), detail: "has 1 to 50 characters".to_owned() }
}
