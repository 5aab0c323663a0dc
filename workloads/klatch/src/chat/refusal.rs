//! What the SDK says went wrong, with the exit code and what to do next.

use klatch_client_sdk::{ClientError, core::Stop};
use klatch_domain::Code;

use crate::failure::Failure;

/// The innermost cause: "connection refused" rather than "error sending request".
pub(crate) fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// For the user of this server.
pub(super) fn failure(server: &str, error: &ClientError) -> Failure {
    match error {
        ClientError::Unreachable { source, .. } => Failure::unreachable(format!(
            "{server} cannot be reached: {}; 'klatch doctor --server {server}' looks closer",
            reason(source)
        )),
        ClientError::Unexpected { status, reason, .. } => Failure::unreachable(format!(
            "what answers at {server} (status {status}) is no Klatch server: {reason}; is the address right?"
        )),
        ClientError::Refused { problem, .. } => {
            let advice = advice(problem.code).map_or_else(String::new, |advice| format!("; {advice}"));
            let detail = problem.detail.trim_end_matches('.');
            Failure::refused(format!("{detail} ({}){advice}", problem.code))
        }
        ClientError::MessageRefused(refusal) => {
            let advice = advice(refusal.code).map_or_else(String::new, |advice| format!("; {advice}"));
            Failure::refused(format!("{} ({}){advice}", refusal.detail, refusal.code))
        }
        ClientError::Stopped(Stop::SignedOut | Stop::OtherUser) => {
            Failure::refused("the session is over; sign in again with 'klatch sign-in NAME'".to_owned())
        }
        ClientError::Stopped(Stop::Closed(code)) => {
            Failure::refused(format!("{server} has closed the connection for good (code {code})"))
        }
        ClientError::Address { .. }
        | ClientError::SessionNotKept(_)
        | ClientError::State(_)
        | ClientError::Stopped(Stop::Asked)
        | ClientError::Certificates { .. }
        | ClientError::Closed => Failure::local(error.to_string()),
    }
}

fn advice(code: Code) -> Option<&'static str> {
    match code {
        Code::Unauthenticated | Code::SessionRevoked | Code::TokenExpired => {
            Some("sign in again with 'klatch sign-in NAME', or set another KLATCH_BOT_TOKEN")
        }
        Code::RoomNotFound | Code::NotAMember => Some("'klatch rooms' lists the rooms you are in"),
        Code::SignUpClosed => Some("ask the owner of the server for an account"),
        Code::RateLimited | Code::Busy => Some("wait a little and try again"),
        _ => None,
    }
}
