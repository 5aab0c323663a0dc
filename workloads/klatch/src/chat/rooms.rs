//! `klatch rooms` and `klatch new-room`.

use klatch_domain::Visibility;
use klatch_protocol::http::RoomOut;

use super::{JsonArgument, ServerArgument, connect::connect, room_argument};
use crate::output::{self, BOLD, DIM, Form, YELLOW, visible};

/// `klatch rooms`
#[derive(Debug, clap::Args)]
pub(crate) struct RoomsArguments {
    #[command(flatten)]
    server: ServerArgument,
    #[command(flatten)]
    json: JsonArgument,
}

/// `klatch new-room`
#[derive(Debug, clap::Args)]
pub(crate) struct NewRoomArguments {
    /// What the group is called.
    name: String,
    /// Usernames of its first members beside you.
    members: Vec<String>,
    /// Anyone may find it and join.
    #[arg(long)]
    public: bool,
    #[command(flatten)]
    server: ServerArgument,
    #[command(flatten)]
    json: JsonArgument,
}

/// Prints every room, the one with the newest message first.
pub(super) async fn list(arguments: &RoomsArguments) -> anyhow::Result<()> {
    let connected = connect(&arguments.server).await?;
    let mut rooms = connected.client.rooms().await.map_err(|error| connected.failure(&error))?;
    rooms.sort_by_key(|room| std::cmp::Reverse(room.last_message.as_ref().map(|entry| entry.at)));
    let form = Form::choose(arguments.json.json);
    if rooms.is_empty() && form != Form::Json {
        output::remark(
            "you are in no room; 'klatch say @NAME hello' opens a direct room, 'klatch new-room NAME' a group",
        );
    }
    for room in &rooms {
        print(room, form)?;
    }
    connected.client.close().await;
    Ok(())
}

/// Makes a group and prints it.
pub(super) async fn make(arguments: &NewRoomArguments) -> anyhow::Result<()> {
    let connected = connect(&arguments.server).await?;
    let mut members = Vec::with_capacity(arguments.members.len());
    for name in &arguments.members {
        members.push(room_argument::user(&connected, name).await?);
    }
    let visibility = if arguments.public { Visibility::Public } else { Visibility::Private };
    let made = connected.client.create_group(&arguments.name, members, visibility).await;
    let room = made.map_err(|error| connected.failure(&error))?;
    print(&room, Form::choose(arguments.json.json))?;
    connected.client.close().await;
    Ok(())
}

fn print(room: &RoomOut, form: Form) -> std::io::Result<()> {
    match form {
        Form::Json => output::json_line(room),
        Form::Text { .. } => output::line(&text(room, form)),
    }
}

fn text(room: &RoomOut, form: Form) -> String {
    let name = match (&room.name, &room.peer) {
        (Some(name), _) => name.clone(),
        (None, Some(peer)) => format!("@{}", peer.username),
        (None, None) => "(nobody else)".to_owned(),
    };
    let unread = room.head_ordinal.0.saturating_sub(room.read_ordinal.0);
    let unread = match unread {
        0 => String::new(),
        many => form.paint(YELLOW, &format!("  {many} unread")),
    };
    let id = form.paint(DIM, &room.id.to_string());
    format!("{id}  {}{unread}", form.paint(BOLD, &visible(&name).replace('\n', " ")))
}
