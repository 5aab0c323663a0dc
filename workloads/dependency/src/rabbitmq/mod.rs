//! `klatch dependency rabbitmq`

mod cookie;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use cookie::Cookie;
use klatch_settings::{RabbitmqDependency, dependency::ENV_NODE_NAME};
use rustix::process::Signal;
use tokio::process::Command;

use crate::{DependencyError, error::file, files, find, supervise, volume};

/// Runs RabbitMQ until it ends, and tells it of a new cookie.
///
/// # Errors
/// Why it cannot be started.
pub fn run(settings: &RabbitmqDependency) -> Result<ExitCode, DependencyError> {
    let programs = find::rabbitmq()?;
    let node = env::var(ENV_NODE_NAME)
        .map_err(|_| DependencyError::Wrong(format!("{ENV_NODE_NAME} must say what this broker is called")))?;
    volume::claim(&settings.data)?;
    let command = prepared(settings, &node, &programs)?;
    let cookie = Cookie::new(settings, &node, &programs);
    supervise::in_runtime(|stop| async move {
        tokio::select! {
            // Erlang stops in order on SIGTERM.
            ended = supervise::run(command, Signal::TERM, &stop) => ended,
            never = cookie.follow(&stop) => match never {},
        }
    })
}

/// What RabbitMQ's programs of this broker go by.
fn environment(settings: &RabbitmqDependency, node: &str) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![
        ("HOME", settings.data.join("home").into_os_string()),
        ("RABBITMQ_NODENAME", node.into()),
        // Nothing of the image's own is read.
        ("RABBITMQ_CONF_ENV_FILE", settings.run.join("no-environment").into_os_string()),
    ];
    // A host with dots is a long name to Erlang.
    if node.split_once('@').is_some_and(|(_, host)| host.contains('.')) {
        variables.push(("RABBITMQ_USE_LONGNAME", "true".into()));
    }
    variables
}

/// The command that is the broker, with the files it reads.
fn prepared(settings: &RabbitmqDependency, node: &str, programs: &Path) -> Result<Command, DependencyError> {
    let (home, logs) = (settings.data.join("home"), settings.data.join("log"));
    for folder in [&settings.run, &settings.data, &home, &logs] {
        files::own_folder(folder)?;
    }
    // Erlang refuses a cookie that anyone else may read, and the volume's group bits let the group.
    files::write_own(&home.join(cookie::FILE), &files::password(&settings.cookie_file)?)?;
    let plugins = settings.run.join("enabled_plugins");
    files::write_own(&plugins, &format!("[{}].\n", settings.plugins.join(",")))?;
    let configuration = settings.run.join("rabbitmq.conf");
    let (said, password) = (files::read(&settings.configuration_file)?, files::password(&settings.password_file)?);
    let administrator = &settings.administrator;
    files::write_own(
        &configuration,
        &format!(
            "{said}\ndefault_user = {administrator}\ndefault_pass = {password}\ndefault_user_tags.administrator = true\n"
        ),
    )?;
    files::write_own(&settings.run.join("no-environment"), "")?;
    let mut command = Command::new(programs.join("rabbitmq-server"));
    command
        .current_dir(&settings.data)
        .envs(environment(settings, node))
        .env("RABBITMQ_MNESIA_BASE", settings.data.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", &logs)
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_CONFIG_FILE", &configuration)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
        // The script becomes the broker, so that signals reach it.
        .env("RABBITMQ_ALLOW_INPUT", "1")
        .env("RABBITMQ_SERVER_START_ARGS", "-noinput");
    std::fs::create_dir_all(settings.data.join("mnesia")).map_err(file("make", &settings.data))?;
    Ok(command)
}
