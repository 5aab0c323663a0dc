//! Who we are: a bot token of the environment, or the kept session.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use klatch_client_sdk::{Client, Credentials, Options, Roots, core};
use klatch_protocol::ClientInfo;
use klatch_settings::{DEFAULT_LISTEN, ENV_BOT_TOKEN, ENV_CA_FILE};

use super::{ServerArgument, refusal::failure, session_file::SessionFile};
use crate::failure::Failure;

/// A client and the address it speaks to.
pub(super) struct Connected {
    pub(super) client: Client,
    pub(super) server: String,
}

impl Connected {
    /// An error of the client, with what to do.
    pub(super) fn failure(&self, error: &klatch_client_sdk::ClientError) -> anyhow::Error {
        failure(&self.server, error).into()
    }
}

/// The address as it was given: a scheme is added, a slash at the end goes.
pub(super) fn server_of(argument: &ServerArgument) -> Option<String> {
    let given = argument.server.as_deref()?.trim().trim_end_matches('/');
    Some(if given.contains("://") { given.to_owned() } else { format!("http://{given}") })
}

/// The address where a server listens unless told otherwise.
pub(super) fn default_server() -> String {
    format!("http://{DEFAULT_LISTEN}")
}

/// Connects as the bot whose token stands in the environment, else with the kept session.
///
/// # Errors
/// When there is neither, or the server does not take it.
pub(super) async fn connect(argument: &ServerArgument) -> anyhow::Result<Connected> {
    let given = server_of(argument);
    if let Some(token) = std::env::var(ENV_BOT_TOKEN).ok().filter(|token| !token.trim().is_empty()) {
        let server = given.unwrap_or_else(default_server);
        let credentials = Credentials::BotToken(token.trim().to_owned());
        return open(server, credentials, options()?).await;
    }
    connect_kept(given).await
}

/// Connects with the kept session.
///
/// # Errors
/// When there is none, or it is not one of the server that was asked for.
pub(super) async fn connect_kept(given: Option<String>) -> anyhow::Result<Connected> {
    let file = SessionFile::locate()?;
    let session = file.read().context("cannot read the kept session")?;
    let Some(session) = session else {
        return Err(Failure::local(format!(
            "you are not signed in; 'klatch sign-in NAME' does that, 'klatch sign-up NAME' makes a user, and {ENV_BOT_TOKEN} \
             is for programs"
        ))
        .into());
    };
    if let Some(given) = given
        && given != session.server
    {
        return Err(Failure::local(format!(
            "the kept session is one of {}, not of {given}; sign in there, or leave --server and KLATCH_SERVER out",
            session.server
        ))
        .into());
    }
    let server = session.server.clone();
    open(server, Credentials::Session(Box::new(session)), keeping(file)?).await
}

/// The authorities named by the environment beside the system's.
///
/// # Errors
/// When the file cannot be read, or holds none.
pub(crate) fn roots() -> anyhow::Result<Roots> {
    match std::env::var_os(ENV_CA_FILE).filter(|path| !path.is_empty()) {
        Some(path) => Roots::read(Path::new(&path)).with_context(|| format!("{ENV_CA_FILE} cannot be used")),
        None => Ok(Roots::default()),
    }
}

/// Options of a client that does not keep its session.
fn options() -> anyhow::Result<Options> {
    let client = ClientInfo { name: "klatch".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    let settings = core::Settings { client, ..core::Settings::default() };
    Ok(Options { settings, roots: roots()?, ..Options::default() })
}

/// Options of a client whose session stands in a file that other commands use too.
///
/// # Errors
/// As [`roots`].
pub(super) fn keeping(file: SessionFile) -> anyhow::Result<Options> {
    let file = Arc::new(file);
    let kept = Arc::clone(&file);
    Ok(Options {
        keep_session: Some(Arc::new(move |session| kept.write(session))),
        shared_session: Some(file),
        ..options()?
    })
}

/// Connects with these credentials.
pub(super) async fn open(server: String, credentials: Credentials, options: Options) -> anyhow::Result<Connected> {
    match Client::connect(&server, credentials, options).await {
        Ok(client) => Ok(Connected { client, server }),
        Err(error) => Err(failure(&server, &error).into()),
    }
}
