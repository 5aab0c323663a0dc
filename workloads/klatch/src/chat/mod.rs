//! Chatting from a shell or a script.

mod bot_token;
mod connect;
mod names;
mod reader;
mod refusal;
mod room_argument;
mod rooms;
mod say;
mod session_file;
mod sign_in;
mod tail;
mod transcript;

use clap::{Args, Subcommand};
use klatch_settings::ENV_SERVER;

use crate::up::single_threaded;
pub(crate) use connect::roots;
pub(crate) use refusal::reason;

/// What a person or a script does.
#[derive(Debug, Subcommand)]
pub(crate) enum ChatCommand {
    /// Make a user and sign in.
    SignUp(sign_in::SignUpArguments),
    /// Sign in; the session is kept in $XDG_CONFIG_HOME/klatch/session.json, or where KLATCH_SESSION_FILE says.
    SignIn(sign_in::SignInArguments),
    /// End the kept session.
    SignOut,
    /// List the rooms you are in.
    Rooms(rooms::RoomsArguments),
    /// Make a group.
    NewRoom(rooms::NewRoomArguments),
    /// Say something in a room; ends when it is stored.
    Say(say::Arguments),
    /// Follow a room live, over lost connections and restarts of the server.
    Tail(tail::Arguments),
    /// Tokens for programs of yours: KLATCH_BOT_TOKEN in the environment takes the place of a kept session.
    #[command(subcommand)]
    BotToken(bot_token::BotTokenCommand),
}

/// Which server.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServerArgument {
    /// The server, as http://HOST:PORT [default: the kept session's, or http://127.0.0.1:8480].
    #[arg(long, value_name = "URL", env = ENV_SERVER)]
    server: Option<String>,
}

/// How to print.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArgument {
    /// Print JSON lines on a terminal too.
    #[arg(long)]
    json: bool,
}

/// Runs a command to its end.
///
/// # Errors
/// In words, with the exit code in a [`Failure`](crate::failure::Failure).
pub(crate) fn run(command: ChatCommand) -> anyhow::Result<()> {
    let runtime = single_threaded()?;
    let done = runtime.block_on(async {
        match command {
            ChatCommand::SignUp(arguments) => sign_in::sign_up(arguments).await,
            ChatCommand::SignIn(arguments) => sign_in::sign_in(arguments).await,
            ChatCommand::SignOut => sign_in::sign_out().await,
            ChatCommand::Rooms(arguments) => rooms::list(&arguments).await,
            ChatCommand::NewRoom(arguments) => rooms::make(&arguments).await,
            ChatCommand::Say(arguments) => say::say(&arguments).await,
            ChatCommand::Tail(arguments) => tail::tail(&arguments).await,
            ChatCommand::BotToken(command) => bot_token::run(command).await,
        }
    });
    runtime.shutdown_background();
    done
}
