//! What the doctor found.

use serde::Serialize;

use crate::output::{BOLD, DIM, Form, GREEN, RED, YELLOW, visible};

/// How it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and something is worth knowing.
    Warn,
    /// It will not work.
    Fail,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at: stable, for programs.
    pub(super) check: &'static str,
    /// How it stands.
    pub(super) state: State,
    /// What was seen.
    pub(super) detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, state: State::Ok, detail: detail.into(), advice: None }
    }

    pub(super) fn warn(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Warn, detail: detail.into(), advice: Some(advice.into()) }
    }

    pub(super) fn fail(check: &'static str, detail: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, state: State::Fail, detail: detail.into(), advice: Some(advice.into()) }
    }

    /// The finding as lines for a person.
    pub(super) fn text(&self, form: Form) -> String {
        let (style, word) = match self.state {
            State::Ok => (GREEN, "ok  "),
            State::Warn => (YELLOW, "warn"),
            State::Fail => (RED, "fail"),
        };
        let head = format!("{} {}: {}", form.paint(style, word), form.paint(BOLD, self.check), visible(&self.detail));
        match &self.advice {
            None => head,
            Some(advice) => format!("{head}\n     {}", form.paint(DIM, &visible(advice))),
        }
    }
}
