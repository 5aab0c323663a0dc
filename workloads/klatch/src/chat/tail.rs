//! `klatch tail ROOM`: a room's log, live.

use std::time::Duration;

use klatch_client_sdk::{
    ClientError, Event, Follow,
    core::{Change, Connection},
};
use klatch_domain::{Code, Entry, RoomId, Seq};
use serde::Serialize;

use super::{
    JsonArgument, ServerArgument,
    connect::{Connected, connect},
    names::Names,
    reader, room_argument, transcript,
};
use crate::output::{self, Form};

/// Entries shown before the live ones on a terminal: enough to see what the talk is about.
const CONTEXT: u64 = 10;
/// Between two tries to read on when the server did not answer a page.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// `klatch tail`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A room's id, @username, or the name of a group you are in.
    room: String,
    /// Begin with the entry of this seq (1 is the first); without it, with what comes from now on, on a terminal after the
    /// last ten.
    #[arg(long, value_name = "SEQ")]
    from: Option<u64>,
    #[command(flatten)]
    server: ServerArgument,
    #[command(flatten)]
    json: JsonArgument,
}

#[derive(Serialize)]
struct Line<'a> {
    room: RoomId,
    entry: &'a Entry,
}

/// Prints until it is interrupted, or the room or the session is gone.
pub(super) async fn tail(arguments: &Arguments) -> anyhow::Result<()> {
    let form = Form::choose(arguments.json.json);
    let connected = connect(&arguments.server).await?;
    let room = room_argument::find(&connected, &arguments.room).await?;
    let head = connected.client.room(room).await.map_err(|error| connected.failure(&error))?.head.seq.0;
    let after = match (arguments.from, form) {
        (Some(from), _) => from.saturating_sub(1),
        (None, Form::Text { .. }) => head.saturating_sub(CONTEXT),
        (None, Form::Json) => head,
    };
    let mut events = connected.client.events();
    let mut follow = loop {
        match connected.client.follow(room, Some(Seq(after))).await {
            Ok(follow) => break follow,
            Err(error) => again(&connected, &error).await?,
        }
    };
    let mut names = Names::default();
    let mut gone = std::pin::pin!(reader::gone());
    loop {
        tokio::select! {
            () = &mut gone => return Ok(()),
            entry = next(&mut follow, &connected) => print(&connected, room, &entry?, &mut names, form).await?,
            event = events.next() => if let Some(Event::Changed(Change::Connection(stands))) = event {
                remark(stands);
            },
        }
    }
}

/// The next entry, however long the server is away. Cancel safe.
async fn next(follow: &mut Follow, connected: &Connected) -> anyhow::Result<Entry> {
    loop {
        match follow.next().await {
            Ok(entry) => return Ok(entry),
            Err(error) => again(connected, &error).await?,
        }
    }
}

/// Waits before another try; an error that another try would meet again is handed on.
async fn again(connected: &Connected, error: &ClientError) -> anyhow::Result<()> {
    let passing = match error {
        ClientError::Unreachable { .. } => true,
        ClientError::Unexpected { status, .. } => *status >= 500,
        other => matches!(other.code(), Some(Code::Busy | Code::RateLimited | Code::Internal)),
    };
    if !passing {
        return Err(connected.failure(error));
    }
    tokio::time::sleep(AGAIN_AFTER).await;
    Ok(())
}

async fn print(
    connected: &Connected,
    room: RoomId,
    entry: &Entry,
    names: &mut Names,
    form: Form,
) -> anyhow::Result<()> {
    match form {
        Form::Json => output::json_line(&Line { room, entry })?,
        Form::Text { .. } => {
            names.learn(&connected.client, &transcript::users_of(entry)).await;
            output::line(&transcript::line(entry, names, form))?;
        }
    }
    Ok(())
}

fn remark(stands: Connection) {
    if let Connection::Offline { retry_in_ms, .. } = stands {
        output::remark(&format!("no connection; the next try is in {} s", retry_in_ms.div_ceil(1_000)));
    }
}
