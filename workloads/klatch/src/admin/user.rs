//! `klatch user add|disable|enable|reset-password|make-admin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use klatch_settings::DEFAULT_DATA;

use super::{
    Answer, Request, call, cluster,
    password_entry::{PasswordSource, ask, generate},
    request::{Password, UserRequest},
};
use crate::{failure::Failure, output};

/// What to do with a user.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a new user, also while sign-up is closed.
    Add {
        #[command(flatten)]
        user: UserArguments,
        #[command(flatten)]
        password: NewPassword,
        /// What others see; the username when left out.
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// E-mail address.
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
    },
    /// End all sessions and bot tokens of a user, and let them sign in no more.
    Disable(UserArguments),
    /// Let a user sign in again.
    Enable(UserArguments),
    /// Give a user a new password; all their sessions and bot tokens end.
    ResetPassword {
        #[command(flatten)]
        user: UserArguments,
        #[command(flatten)]
        password: NewPassword,
    },
    /// Let a user administer this installation.
    MakeAdmin(UserArguments),
}

/// Which user of which installation.
#[derive(Debug, Clone, Args)]
pub(crate) struct UserArguments {
    /// The username.
    name: String,
    /// The data folder of the 'klatch up' in question, running or stopped.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Of a cluster instead: the settings file of its api, whose databases and brokers must be reached from here. In a pod of api
    /// it is /etc/klatch/settings.yaml.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    settings: Option<PathBuf>,
}

/// Where the new password comes from; asked at the terminal when neither is given.
#[derive(Debug, Args)]
pub(crate) struct NewPassword {
    #[command(flatten)]
    source: PasswordSource,
    /// Make a password by chance and print it on standard output.
    #[arg(long, conflicts_with = "password_stdin")]
    generate: bool,
}

impl NewPassword {
    /// The password, and whether it is to be printed.
    fn obtain(&self, username: &str) -> anyhow::Result<(Password, bool)> {
        if self.generate {
            return Ok((Password(generate()), true));
        }
        let question = format!("New password of {}", output::visible(username));
        Ok((Password(ask(self.source, &question, true)?), false))
    }
}

/// Runs it.
///
/// # Errors
/// What was refused, in words.
pub(crate) fn run(command: UserCommand) -> anyhow::Result<()> {
    let mut generated = None;
    let mut password_of = |name: &str, new: &NewPassword| -> anyhow::Result<Password> {
        let (password, show) = new.obtain(name)?;
        generated = show.then(|| password.0.clone());
        Ok(password)
    };
    let (user, request) = match command {
        UserCommand::Add { user, password, display_name, email } => {
            let (username, password) = (user.name.clone(), password_of(&user.name, &password)?);
            (user, UserRequest::Add { username, password, display_name, email })
        }
        UserCommand::Disable(user) => (user.clone(), UserRequest::Disable { username: user.name }),
        UserCommand::Enable(user) => (user.clone(), UserRequest::Enable { username: user.name }),
        UserCommand::ResetPassword { user, password } => {
            let (username, password) = (user.name.clone(), password_of(&user.name, &password)?);
            (user, UserRequest::ResetPassword { username, password })
        }
        UserCommand::MakeAdmin(user) => (user.clone(), UserRequest::MakeAdmin { username: user.name }),
    };
    let answer = match user.settings {
        Some(file) => cluster::request(&file, request)?,
        None => call::request(&user.data, Request::User { request })?,
    };
    match answer {
        Answer::Done { detail, ended_sessions } => {
            let ended = match ended_sessions {
                0 => String::new(),
                1 => "; 1 session ended".to_owned(),
                many => format!("; {many} sessions ended"),
            };
            output::remark(&output::visible(&format!("{detail}{ended}")));
            if let Some(password) = generated {
                output::line(&password)?;
            }
            Ok(())
        }
        Answer::Unfinished { detail } => {
            // It may be the one by now.
            if let Some(password) = generated {
                output::line(&password)?;
            }
            Err(Failure::unreachable(format!("{detail}; do it again")).into())
        }
        Answer::Refused { detail } => Err(Failure::refused(detail).into()),
        Answer::Copied { .. } => Err(Failure::local("the running klatch gave an answer that does not fit").into()),
    }
}
