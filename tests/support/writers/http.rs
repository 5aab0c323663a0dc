//! Writing by HTTP: one call after the other in each room, the same id again until somebody says it is stored.

use std::time::Duration;

use klatch_domain::Position;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{Author, Order, Said};

/// A call that takes longer is made again, elsewhere: above the time an api waits for an outcome.
const CALL: Duration = Duration::from_secs(20);
/// After an answer that says "later".
const LATER: Duration = Duration::from_millis(300);

/// Each room by itself: one that takes nothing must not hold up the others.
pub(super) async fn write(author: Author) {
    let mut rooms = JoinSet::new();
    for room in author.rooms.clone() {
        rooms.spawn(write_into(Author { rooms: vec![room], ..author.clone() }));
    }
    while let Some(ended) = rooms.join_next().await {
        ended.expect("writing into a room");
    }
}

async fn write_into(mut author: Author) {
    loop {
        let Some(said) = next(&mut author).await else { return };
        while !post(&mut author, &said).await {
            author.rest().await;
        }
    }
}

/// The next thing to say, when it is time; none when all is said.
async fn next(author: &mut Author) -> Option<Said> {
    loop {
        if let Some(said) = author.draw(|_| true) {
            return Some(said);
        }
        if author.order() == Order::End {
            return None;
        }
        let (may_say, due) = (author.writes(), author.due);
        tokio::select! {
            () = tokio::time::sleep_until(due), if may_say => {}
            _ = author.order.changed() => {}
        }
    }
}

/// Whether it is stored now.
async fn post(author: &mut Author, said: &Said) -> bool {
    author.server();
    let path = format!("/v1/rooms/{}/messages", said.room);
    let body = json!({"message_id": said.id, "kind": "text", "content": {"text": said.text}});
    match author.person.try_call(Method::POST, &path, Some(body), CALL).await {
        Ok((200 | 201, answer)) => {
            let position: Position = serde_json::from_value(answer["position"].clone()).expect("a position");
            author.settle(said.id, position);
            true
        }
        Ok((401, _)) => {
            author.sign_in_again().await;
            false
        }
        Ok((429 | 500..=599, answer)) => {
            author.desk.refused(code(&answer));
            tokio::time::sleep(LATER).await;
            false
        }
        Ok((status, answer)) => panic!("{} for {}: {status} {answer}", said.id, author.person.name),
        Err(_) => {
            author.desk.refused("no answer");
            false
        }
    }
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or("no code")
}
