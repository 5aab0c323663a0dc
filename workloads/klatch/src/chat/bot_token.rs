//! `klatch bot-token create|list|revoke`.

use klatch_domain::SessionId;
use klatch_protocol::http::SessionOut;

use super::{
    JsonArgument, ServerArgument,
    connect::{Connected, connect},
};
use crate::{
    failure::Failure,
    output::{self, BOLD, DIM, Form, visible},
};

/// What to do with the tokens of one's programs.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BotTokenCommand {
    /// Make a token and print it, this once. It is good until it is revoked.
    Create {
        /// What you will know it by.
        name: String,
        #[command(flatten)]
        server: ServerArgument,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// List your tokens: names and ids, not the tokens.
    List {
        #[command(flatten)]
        server: ServerArgument,
        #[command(flatten)]
        json: JsonArgument,
    },
    /// End a token at once.
    Revoke {
        /// Its id, or its name when only one has it.
        token: String,
        #[command(flatten)]
        server: ServerArgument,
    },
}

/// Runs it.
pub(super) async fn run(command: BotTokenCommand) -> anyhow::Result<()> {
    match command {
        BotTokenCommand::Create { name, server, json } => create(&name, &server, json).await,
        BotTokenCommand::List { server, json } => list(&server, json).await,
        BotTokenCommand::Revoke { token, server } => revoke(&token, &server).await,
    }
}

async fn create(name: &str, server: &ServerArgument, json: JsonArgument) -> anyhow::Result<()> {
    let connected = connect(server).await?;
    let made = connected.client.create_bot_token(name).await.map_err(|error| connected.failure(&error))?;
    match Form::choose_text(json.json) {
        Form::Json => output::json_line(&made)?,
        Form::Text { .. } => {
            output::remark("keep it where only the program reads it; it is not shown again");
            output::line(&made.bot_token)?;
        }
    }
    connected.client.close().await;
    Ok(())
}

async fn list(server: &ServerArgument, json: JsonArgument) -> anyhow::Result<()> {
    let connected = connect(server).await?;
    let form = Form::choose(json.json);
    for token in tokens(&connected).await? {
        match form {
            Form::Json => output::json_line(&token)?,
            Form::Text { .. } => {
                let used = form.paint(DIM, &format!("{}  last used {}", token.id, token.last_used_at));
                output::line(&format!("{used}  {}", form.paint(BOLD, &visible(&token.name))))?;
            }
        }
    }
    connected.client.close().await;
    Ok(())
}

async fn revoke(token: &str, server: &ServerArgument) -> anyhow::Result<()> {
    let connected = connect(server).await?;
    let found: Vec<SessionId> = tokens(&connected)
        .await?
        .into_iter()
        .filter(|known| known.id.to_string() == token || known.name == token)
        .map(|known| known.id)
        .collect();
    let session = match found.as_slice() {
        [session] => *session,
        [] => return Err(Failure::refused(format!("you have no bot token called {}", visible(token))).into()),
        _ => return Err(Failure::refused("several bot tokens have that name; name one by its id").into()),
    };
    connected.client.end_session(session).await.map_err(|error| connected.failure(&error))?;
    output::remark("revoked");
    connected.client.close().await;
    Ok(())
}

/// Every bot token of the caller, page by page.
async fn tokens(connected: &Connected) -> anyhow::Result<Vec<SessionOut>> {
    let (mut tokens, mut after) = (Vec::new(), None);
    loop {
        let page = connected.client.sessions(after).await.map_err(|error| connected.failure(&error))?;
        tokens.extend(page.sessions.into_iter().filter(|session| session.kind == "bot_token"));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(tokens),
        }
    }
}
