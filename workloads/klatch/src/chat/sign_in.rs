//! `klatch sign-up`, `sign-in`, `sign-out`.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    time::Duration,
};

use anyhow::Context;
use klatch_client_sdk::{Client, Credentials};
use klatch_protocol::http::SignUp;

use super::{
    ServerArgument,
    connect::{Connected, connect_kept, default_server, keeping, open, roots, server_of},
    refusal::failure,
    session_file::SessionFile,
};
use crate::{
    admin::{PasswordSource, ask},
    failure::Failure,
    output,
};

/// How long the server of a replaced session is waited for: it may be gone for good.
const FAREWELL: Duration = Duration::from_secs(3);

/// `klatch sign-up`
#[derive(Debug, clap::Args)]
pub(crate) struct SignUpArguments {
    /// The username to have: letters, digits, '.', '_' and '-'.
    name: String,
    #[command(flatten)]
    server: ServerArgument,
    #[command(flatten)]
    password: PasswordSource,
    /// What others see; the username when left out.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// E-mail address.
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
}

/// `klatch sign-in`
#[derive(Debug, clap::Args)]
pub(crate) struct SignInArguments {
    /// The username; asked when left out.
    name: Option<String>,
    #[command(flatten)]
    server: ServerArgument,
    #[command(flatten)]
    password: PasswordSource,
}

/// Makes a user and keeps a session of theirs.
pub(super) async fn sign_up(arguments: SignUpArguments) -> anyhow::Result<()> {
    let SignUpArguments { name, server, password, display_name, email } = arguments;
    let server = server_of(&server).unwrap_or_else(default_server);
    let password = ask(password, &format!("Password for {}", output::visible(&name)), true)?;
    let user = SignUp { username: name.clone(), password: password.clone(), display_name, email };
    Client::sign_up_with(&server, user, &roots()?).await.map_err(|error| failure(&server, &error))?;
    keep_new_session(server, name, password).await
}

/// Keeps a new session.
pub(super) async fn sign_in(arguments: SignInArguments) -> anyhow::Result<()> {
    let SignInArguments { name, server, password } = arguments;
    let server = server_of(&server).unwrap_or_else(default_server);
    let name = match name {
        Some(name) => name,
        None => ask_name()?,
    };
    let password = ask(password, &format!("Password of {}", output::visible(&name)), false)?;
    keep_new_session(server, name, password).await
}

async fn keep_new_session(server: String, username: String, password: String) -> anyhow::Result<()> {
    let file = SessionFile::locate()?;
    let replaced = file.read().ok().flatten();
    let lock = file.lock().with_context(|| format!("cannot keep a session in {}", file.path().display()))?;
    let credentials = Credentials::Password { username, password, device_name: device_name() };
    let connected = open(server, credentials, keeping(file.clone())?).await?;
    drop(lock);
    if let Some(replaced) = replaced {
        let server = replaced.server.clone();
        // Nobody could use it any more: it should not stay in the list of sessions. Not for the new one's file to hear of.
        let ending = async {
            let options = klatch_client_sdk::Options { roots: roots().unwrap_or_default(), ..Default::default() };
            let old = Client::connect(&server, Credentials::Session(Box::new(replaced)), options);
            if let Ok(old) = old.await {
                let _ = old.sign_out().await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, ending).await;
    }
    if let Some(session) = connected.client.session().await {
        output::remark(&format!(
            "signed in as {} at {}",
            output::visible(&session.user.profile.username),
            connected.server
        ));
    }
    connected.client.close().await;
    Ok(())
}

/// Ends the kept session at the server and forgets it.
pub(super) async fn sign_out() -> anyhow::Result<()> {
    let file = SessionFile::locate()?;
    if file.read().ok().flatten().is_none() && !file.path().exists() {
        return Err(Failure::local("you are not signed in").into());
    }
    let told = match connect_kept(None).await {
        Ok(Connected { client, server }) => client.sign_out().await.map_err(|error| failure(&server, &error).into()),
        Err(error) => Err(error),
    };
    // Whatever the server says: this machine forgets the session.
    file.remove().with_context(|| format!("cannot remove {}", file.path().display()))?;
    match told {
        Ok(()) => output::remark("signed out"),
        Err(error) if is_over(&error) => output::remark("signed out; the session had ended before"),
        Err(error) => {
            return Err(error.context(
                "the session is forgotten here, but its server could not be told: end it from another device",
            ));
        }
    }
    Ok(())
}

/// The server refused it: there is no session to end.
fn is_over(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Failure>().is_some_and(|failure| failure.cause == crate::failure::Cause::Refused)
}

fn ask_name() -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        return Err(Failure::local("there is no terminal to ask for the username; give it on the command line").into());
    }
    let mut out = io::stderr();
    write!(out, "Username: ").and_then(|()| out.flush()).context("cannot ask for the username")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read the username")?;
    Ok(line.trim().to_owned())
}

/// What the list of sessions shows.
fn device_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host: String = host.trim().chars().filter(|character| !character.is_control()).take(60).collect();
    if host.is_empty() { "klatch on the command line".to_owned() } else { format!("klatch on {host}") }
}
