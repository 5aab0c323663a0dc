//! `klatch dependency rabbitmq`

use std::{convert::Infallible, env, os::unix::process::CommandExt, path::PathBuf, process::Command};

use klatch_settings::{RabbitmqDependency, dependency::ENV_NODE_NAME};

use crate::{DependencyError, error::file, files, find, volume};

/// Becomes RabbitMQ.
///
/// # Errors
/// Why it cannot be started.
pub fn run(settings: &RabbitmqDependency) -> Result<Infallible, DependencyError> {
    let program = find::rabbitmq()?;
    let node = env::var(ENV_NODE_NAME)
        .map_err(|_| DependencyError::Wrong(format!("{ENV_NODE_NAME} must say what this broker is called")))?;
    volume::claim(&settings.data)?;
    let source = prepared(settings, &node, &program)?.exec();
    Err(DependencyError::Start { program, source })
}

/// The command that becomes the broker, with the files it reads.
fn prepared(settings: &RabbitmqDependency, node: &str, program: &PathBuf) -> Result<Command, DependencyError> {
    let (home, logs) = (settings.data.join("home"), settings.data.join("log"));
    for folder in [&settings.run, &settings.data, &home, &logs] {
        files::own_folder(folder)?;
    }
    // Erlang refuses a cookie that anyone else may read, and the volume's group bits let the group.
    files::write_own(&home.join(".erlang.cookie"), &files::password(&settings.cookie_file)?)?;
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
    let none = settings.run.join("no-environment");
    files::write_own(&none, "")?;
    let mut command = Command::new(program);
    command
        .current_dir(&settings.data)
        .env("HOME", &home)
        .env("RABBITMQ_NODENAME", node)
        .env("RABBITMQ_MNESIA_BASE", settings.data.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", &logs)
        .env("RABBITMQ_LOGS", "-")
        .env("RABBITMQ_CONFIG_FILE", &configuration)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
        // Nothing of the image's own is read.
        .env("RABBITMQ_CONF_ENV_FILE", &none)
        // The script becomes the broker, so that signals reach it: Erlang stops in order on SIGTERM.
        .env("RABBITMQ_ALLOW_INPUT", "1")
        .env("RABBITMQ_SERVER_START_ARGS", "-noinput");
    // A host with dots is a long name to Erlang.
    if node.split_once('@').is_some_and(|(_, host)| host.contains('.')) {
        command.env("RABBITMQ_USE_LONGNAME", "true");
    }
    std::fs::create_dir_all(settings.data.join("mnesia")).map_err(file("make", &settings.data))?;
    Ok(command)
}
