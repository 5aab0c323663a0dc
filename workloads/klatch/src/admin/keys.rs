//! `klatch keys rotate`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use klatch_settings::DEFAULT_DATA;

use super::{Answer, Request, call::request};
use crate::{failure::Failure, output};

/// What to do with the signing keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Sign with a new key from now on ('klatch up' does so by itself every 30 days).
    Rotate(RotateArguments),
}

/// Of which installation, and why.
#[derive(Debug, Args)]
pub(crate) struct RotateArguments {
    /// Refuse all access tokens made so far at once, as an old key may be in other hands. Clients get new ones by themselves;
    /// connections stay until 'klatch up' is started again.
    #[arg(long)]
    compromised: bool,
    /// The data folder of the 'klatch up' in question, running or stopped.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
}

/// Runs it.
///
/// # Errors
/// What was refused, in words.
pub(crate) fn run(command: KeysCommand) -> anyhow::Result<()> {
    let KeysCommand::Rotate(RotateArguments { compromised, data }) = command;
    match request(&data, Request::RotateKeys { compromised })? {
        Answer::Done { detail, .. } => {
            output::remark(&output::visible(&detail));
            Ok(())
        }
        Answer::Refused { detail } => Err(Failure::refused(detail).into()),
        Answer::Unfinished { .. } | Answer::Copied { .. } => {
            Err(Failure::local("the running klatch gave an answer that does not fit").into())
        }
    }
}
