//! The main job on real input: a real text of some thousand lines, played by twenty users through the SDK into rooms of both
//! kinds while the process is killed and started again, then read back by each and compared byte for byte.

use std::{collections::HashMap, fs, net::TcpListener, time::Duration};

use klatch_client_sdk::{Client, core::Part};
use klatch_domain::{RoomId, Seq, UserId, Visibility};
use klatch_protocol::http::SignUp;
use klatch_tests::{
    klatch_process::{Start, Up},
    person::{PASSWORD, text_of},
};

const USERS: usize = 20;
/// Lines of the text that are played.
const LINES: usize = 3_000;
/// Times the process dies meanwhile.
const KILLS: usize = 8;
/// Lines of one speaker on their way at once.
const IN_FLIGHT: usize = 32;

/// The licences a Debian brings along, or our own: real text, with indents, empty lines and odd characters.
fn text() -> Vec<String> {
    let mut all = String::new();
    for name in ["GPL-3", "GPL-2", "LGPL-2.1", "Artistic", "Apache-2.0", "MPL-2.0", "GFDL-1.3"] {
        all += &fs::read_to_string(format!("/usr/share/common-licenses/{name}")).unwrap_or_default();
    }
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    for file in ["LICENSE", "Cargo.lock", "ARCHITECTURE.md", "README.md"] {
        all += &fs::read_to_string(format!("{own}{file}")).expect("a file of ours");
    }
    let lines: Vec<_> = all.lines().filter(|line| !line.is_empty()).take(LINES).map(str::to_owned).collect();
    assert_eq!(lines.len(), LINES, "a text of some thousand lines");
    lines
}

struct Speaker {
    client: Client,
    user: UserId,
}

async fn sign_up(url: &str, name: &str) -> Speaker {
    let user = SignUp { username: name.to_owned(), password: PASSWORD.to_owned(), display_name: None, email: None };
    let me = Client::sign_up(url, user).await.expect("sign up");
    let client = Client::sign_in(url, name, PASSWORD, "test").await.expect("sign in");
    client.ready().await.expect("ready");
    Speaker { client, user: me.profile.id }
}

/// Who says which line where: the whole text in the group, and each pair its share in their direct room.
struct Share {
    room: RoomId,
    lines: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_comes_back_byte_for_byte() {
    // A port that is free now; the process takes it again after every kill.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let start = || Start::default().with(&["--no-limits"]).listen(&format!("127.0.0.1:{port}"));
    let mut process = start().ready();
    let mut speakers = Vec::new();
    for number in 0..USERS {
        speakers.push(sign_up(&process.url, &format!("speaker{number}")).await);
    }
    let everyone = speakers[1..].iter().map(|speaker| speaker.user).collect();
    let group = speakers[0].client.create_group("reading", everyone, Visibility::Private).await.expect("a group").id;
    let mut direct = Vec::new();
    for pair in speakers.chunks(2) {
        direct.push(pair[0].client.open_direct(pair[1].user).await.expect("a room").id);
    }

    let text = text();
    let mut plays = Vec::new();
    for (number, speaker) in speakers.iter().enumerate() {
        let share: Vec<_> = text.iter().skip(number).step_by(USERS).cloned().collect();
        for room in [group, direct[number / 2]] {
            let part = Share { room, lines: share.clone() };
            plays.push((number, tokio::spawn(play(speaker.client.clone(), part))));
        }
    }
    kill_while(&mut process, &start(), || plays.iter().all(|(_, play)| play.is_finished())).await;
    let mut said: HashMap<(RoomId, UserId), Vec<String>> = HashMap::new();
    for (number, play) in plays {
        let part = play.await.expect("a play");
        said.insert((part.room, speakers[number].user), part.lines);
    }
    for (number, speaker) in speakers.iter().enumerate() {
        for room in [group, direct[number / 2]] {
            read_back(&speaker.client, room, &said).await;
        }
    }
}

/// Says the lines, each once, in order; answers them when all are stored.
async fn play(client: Client, part: Share) -> Share {
    let mut on_the_way = std::collections::VecDeque::new();
    let mut last = Seq::ZERO;
    for line in &part.lines {
        on_the_way.push_back(client.say(part.room, line).await.expect("said"));
        if on_the_way.len() >= IN_FLIGHT {
            let oldest = on_the_way.pop_front().expect("some");
            let stored = oldest.await.expect("stored");
            assert!(stored.position.seq > last, "the order of saying");
            last = stored.position.seq;
        }
    }
    for handle in on_the_way {
        let stored = handle.await.expect("stored");
        assert!(stored.position.seq > last, "the order of saying");
        last = stored.position.seq;
    }
    part
}

/// Kills the process now and then until all is said.
async fn kill_while(process: &mut Up, start: &Start, done: impl Fn() -> bool) {
    for _ in 0..KILLS {
        // Long enough that something is said between two deaths; how long does not matter.
        tokio::time::sleep(Duration::from_millis(700)).await;
        if done() {
            return;
        }
        process.kill();
        process.start_again(start);
    }
}

/// What one client's timeline and the server's history hold is what was said, to the byte.
async fn read_back(client: &Client, room: RoomId, said: &HashMap<(RoomId, UserId), Vec<String>>) {
    client.ready().await.expect("ready");
    let (mut entries, mut after) = (Vec::new(), Seq::ZERO);
    loop {
        let page = client.history(room, Some(Part::After(after)), Some(200)).await.expect("history");
        entries.extend(page.entries);
        after = entries.last().map_or(after, |entry| entry.position.seq);
        if !page.more {
            break;
        }
    }
    let mut heard: HashMap<UserId, Vec<String>> = HashMap::new();
    for (index, entry) in entries.iter().enumerate() {
        assert_eq!(entry.position.seq.0, index as u64 + 1, "a gap in {room}");
        if entry.kind.name() == "text" {
            heard.entry(entry.sender.user).or_default().push(text_of(entry.content.as_str()));
        }
    }
    for ((where_said, user), lines) in said {
        if *where_said == room {
            assert_eq!(heard.get(user), Some(lines), "{user} in {room}");
        }
    }
    let mut follow = client.follow(room, Some(Seq::ZERO)).await.expect("a log");
    for entry in &entries {
        let live = follow.next().await.expect("an entry");
        assert_eq!((live.position, live.content.as_str()), (entry.position, entry.content.as_str()));
    }
}
