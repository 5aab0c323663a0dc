//! What a person at the terminal sees: that something happens, and what to do then. Programs read the one line on standard
//! output.

use std::io::{self, IsTerminal, Write};

use crate::output::{BOLD, DIM, Form};

/// Speaks when standard error is a terminal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Banner {
    form: Option<Form>,
}

impl Banner {
    pub(super) fn new() -> Self {
        let form = io::stderr().is_terminal().then(|| Form::Text { colour: std::env::var_os("NO_COLOR").is_none() });
        Self { form }
    }

    /// A sign of life.
    pub(super) fn step(self, text: &str) {
        self.say(|form| form.paint(DIM, text));
    }

    /// How to go on, with commands to copy.
    pub(super) fn welcome(self, url: &str, sign_up_open: bool) {
        self.say(|form| {
            let program = program();
            let server = if url == format!("http://{}", klatch_settings::DEFAULT_LISTEN) {
                String::new()
            } else {
                format!(" --server {url}")
            };
            let first = if sign_up_open {
                format!("{program} sign-up ada{server}")
            } else {
                format!("{program} user add ada && {program} sign-in ada{server}")
            };
            format!(
                "\n{}\n\n  In a second terminal:\n\n    {first}\n    {program} new-room kitchen\n    {program} say kitchen \
                 'hello'\n    {program} tail kitchen --from 1\n\n  The API describes itself at {url}/v1/openapi.json; Ctrl-C \
                 stops this server, and the data stays.\n",
                form.paint(BOLD, &format!("Klatch serves at {url}"))
            )
        });
    }

    fn say(self, text: impl FnOnce(Form) -> String) {
        if let Some(form) = self.form {
            // A terminal that went away misses nothing.
            let _ = writeln!(io::stderr().lock(), "{}", text(form));
        }
    }
}

/// The line programs wait for.
///
/// # Errors
/// When standard output is closed; the server serves all the same.
pub(crate) fn ready(url: &str) -> io::Result<()> {
    crate::output::line(&format!("ready {url}"))
}

/// The program as it was called, so that a copied line works.
fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "klatch".to_owned())
}
