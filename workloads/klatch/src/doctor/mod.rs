//! `klatch doctor`: explains what is wrong with an environment. It changes nothing.

mod finding;
mod folder;
mod machine;
mod server;

use std::{path::PathBuf, process::ExitCode};

use klatch_settings::{DEFAULT_DATA, ENV_SERVER, UpSettings};

use crate::{
    output::{self, Form},
    up::{
        lock::{Holder, holder},
        single_threaded,
    },
};
use finding::{Finding, State};

/// `klatch doctor`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The data folder to look at.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// The settings file that 'klatch up' would read.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Option<PathBuf>,
    /// A server to look at too, as http://HOST:PORT.
    #[arg(long, value_name = "URL", env = ENV_SERVER)]
    server: Option<String>,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
}

/// Looks, and prints a line for each finding. The exit code is 1 when something will not work.
///
/// # Errors
/// When nothing can be printed.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let findings = single_threaded()?.block_on(examine(arguments));
    let form = Form::choose_text(arguments.json);
    for finding in &findings {
        match form {
            Form::Json => output::json_line(finding)?,
            Form::Text { .. } => output::line(&finding.text(form))?,
        }
    }
    let failed = findings.iter().any(|finding| finding.state == State::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn examine(arguments: &Arguments) -> Vec<Finding> {
    let mut findings = vec![Finding::ok("version", crate::version::describe())];
    let settings = settings(arguments, &mut findings);
    let held = holder(&arguments.data).unwrap_or(Holder::Nobody);
    findings.extend(folder::look(&arguments.data, held).await);
    findings.extend(machine::look(&settings, held));
    if let Some(url) = &arguments.server {
        match crate::chat::roots() {
            Ok(roots) => findings.extend(server::look(url, &roots).await),
            Err(error) => {
                let advice = "name a file with PEM certificates, or leave it out";
                findings.push(Finding::fail("authorities", format!("{error:#}"), advice));
            }
        }
    }
    findings
}

fn settings(arguments: &Arguments, findings: &mut Vec<Finding>) -> UpSettings {
    let Some(file) = &arguments.file else { return UpSettings::default() };
    match crate::up::settings::read(Some(file)) {
        Ok(settings) => {
            findings.push(Finding::ok("settings", format!("{} is right", file.display())));
            settings
        }
        Err(error) => {
            findings.push(Finding::fail("settings", format!("{error:#}"), "correct the file; docs/ has a sample"));
            UpSettings::default()
        }
    }
}
