//! `klatch say ROOM TEXT`.

use std::{
    io::{self, IsTerminal, Read},
    time::Duration,
};

use anyhow::Context;
use klatch_domain::{MessageId, Ordinal, Position, RoomId, Timestamp, limits::CONTENT_BYTES};
use serde::Serialize;

use super::{JsonArgument, ServerArgument, connect::connect, room_argument};
use crate::{
    failure::Failure,
    output::{self, DIM, Form},
};

/// How long a message may take to be stored. The server answers within a second or says that it is busy; the rest is for a
/// restart of it.
const STORED_WITHIN: Duration = Duration::from_secs(60);

/// `klatch say`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A room's id, @username, or the name of a group you are in.
    room: String,
    /// The text; '-', or nothing in a pipe, reads standard input. Put '--' before one that begins with '-'.
    text: Vec<String>,
    #[command(flatten)]
    server: ServerArgument,
    #[command(flatten)]
    json: JsonArgument,
}

#[derive(Serialize)]
struct Said {
    message_id: MessageId,
    room: RoomId,
    position: Position,
    ordinal: Ordinal,
    at: Timestamp,
}

/// Says it, and waits until it is stored.
pub(super) async fn say(arguments: &Arguments) -> anyhow::Result<()> {
    let text = text_of(&arguments.text)?;
    let connected = connect(&arguments.server).await?;
    let room = room_argument::find(&connected, &arguments.room).await?;
    let sent = connected.client.say(room, &text).await.map_err(|error| connected.failure(&error))?;
    let message_id = sent.message_id();
    let stored = tokio::time::timeout(STORED_WITHIN, sent).await.map_err(|_| {
        Failure::unreachable(format!(
            "no answer within {} s; the message may have been stored or not: look before you say it again",
            STORED_WITHIN.as_secs()
        ))
    })?;
    let stored = stored.map_err(|error| connected.failure(&error))?;
    let form = Form::choose(arguments.json.json);
    match form {
        Form::Json => output::json_line(&Said {
            message_id,
            room,
            position: stored.position,
            ordinal: stored.ordinal,
            at: stored.at,
        })?,
        Form::Text { .. } => output::line(&form.paint(DIM, &format!("stored as {}", stored.position.seq.0)))?,
    }
    connected.client.close().await;
    Ok(())
}

fn text_of(words: &[String]) -> anyhow::Result<String> {
    match words {
        [] if io::stdin().is_terminal() => {
            Err(Failure::local("there is nothing to say; give a text, or pipe one in").into())
        }
        [] => read_text(io::stdin().lock()),
        [dash] if dash == "-" => read_text(io::stdin().lock()),
        words => Ok(words.join(" ")),
    }
}

/// The whole input as one message, without the line break at its end.
fn read_text(input: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    input
        .take(CONTENT_BYTES as u64 + 1)
        .read_to_string(&mut text)
        .context("cannot read standard input as UTF-8 text")?;
    if text.len() > CONTENT_BYTES {
        return Err(Failure::local(format!("a message has at most {CONTENT_BYTES} bytes; say it in parts")).into());
    }
    let text = text.strip_suffix('\n').unwrap_or(&text);
    if text.is_empty() {
        return Err(Failure::local("there is nothing to say: standard input is empty").into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_words_or_the_input() {
        assert_eq!(text_of(&["build".to_owned(), "failed".to_owned()]).unwrap(), "build failed");
        assert_eq!(read_text("two\nlines\n".as_bytes()).unwrap(), "two\nlines");
        assert!(read_text("\n".as_bytes()).is_err());
        assert!(read_text([0xff].as_slice()).is_err());
        assert!(read_text("x".repeat(CONTENT_BYTES + 1).as_bytes()).unwrap_err().to_string().contains("in parts"));
    }
}
