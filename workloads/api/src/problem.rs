//! Failures of a call, and the problem documents (RFC 9457) they become.

use std::borrow::Cow;

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use klatch_domain::{Code, NameError, Refusal};
use klatch_identity::{PasswordError, SecretError};
use klatch_protocol::http::{FieldProblem, Problem};
use klatch_store::StoreError;

/// Media type of a problem document (RFC 9457 section 3).
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// What a caller waits who was told `busy` or `rate_limited` without a better figure, milliseconds.
pub(crate) const RETRY_AFTER_MS: u64 = 1_000;
/// Bytes of a detail that repeats something of the caller's, serde's words for instance.
const DETAIL_BYTES: usize = 300;

/// Why a call came to nothing. It travels as an extension of the answer; [`crate::answer`] writes the document, as only it
/// knows the trace id.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    pub(crate) detail: Cow<'static, str>,
    pub(crate) fields: Vec<FieldProblem>,
    pub(crate) retry_after_ms: Option<u64>,
    /// For the log alone.
    pub(crate) cause: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_ms = matches!(code, Code::Busy | Code::RateLimited).then_some(RETRY_AFTER_MS);
        Self { code, detail: detail.into(), fields: Vec::new(), retry_after_ms, cause: None }
    }

    /// One field is wrong.
    pub(crate) fn invalid(field: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ValidationFailed, "the request has the wrong shape; see fields").field(field, detail)
    }

    /// Names a field beside the code.
    pub(crate) fn field(mut self, field: &str, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = shortened(detail.into());
        self.fields.push(FieldProblem { field: field.to_owned(), detail: detail.into_owned() });
        self
    }

    /// A fault of ours. The cause goes to the log, never to the caller.
    pub(crate) fn internal(cause: impl Into<String>) -> Self {
        let detail = "a fault of the server; the trace id finds it in the logs";
        Self { cause: Some(cause.into()), ..Self::new(Code::Internal, detail) }
    }

    pub(crate) fn busy(retry_after_ms: u64) -> Self {
        let detail = "the server cannot take it just now; try the same request again";
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(Code::Busy, detail) }
    }

    pub(crate) fn rate_limited(retry_after_ms: u64, detail: &'static str) -> Self {
        Self { retry_after_ms: Some(retry_after_ms), ..Self::new(Code::RateLimited, detail) }
    }

    pub(crate) fn room_not_found() -> Self {
        Refusal::room_not_found().into()
    }

    pub(crate) fn user_not_found() -> Self {
        Self::new(Code::UserNotFound, "there is no such user")
    }

    pub(crate) fn unauthenticated(detail: &'static str) -> Self {
        Self::new(Code::Unauthenticated, detail)
    }

    pub(crate) fn session_revoked() -> Self {
        Self::new(Code::SessionRevoked, "this session has ended; sign in again")
    }

    fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Makes `response` the document; headers it has already (Allow, Set-Cookie) stay.
    pub(crate) fn write(self, response: &mut Response, trace_id: &str) {
        let problem = Problem {
            code: self.code,
            title: title(self.code).to_owned(),
            status: self.code.status(),
            detail: shortened(self.detail.clone()).into_owned(),
            trace_id: trace_id.to_owned(),
            fields: self.fields.clone(),
        };
        *response.status_mut() = self.status();
        // No problem has a map with keys that are no strings, so this does not fail.
        *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
        self.write_headers(response.headers_mut());
    }

    fn write_headers(&self, headers: &mut HeaderMap) {
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(retry_after_ms) = self.retry_after_ms {
            // RFC 9110 section 10.2.3 counts in seconds; rounded up, or a caller comes back too early.
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after_ms.div_ceil(1_000).max(1)));
        }
        if self.status() == StatusCode::UNAUTHORIZED {
            // RFC 9110 section 15.5.2: a 401 names the scheme.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failure = Self::new(refusal.code, refusal.detail);
        Self { retry_after_ms: refusal.retry_after_ms.or(failure.retry_after_ms), ..failure }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let cause = error.to_string();
        match error {
            // A write whose outcome is unknown is repeated by the same request: every write of ours stands that.
            StoreError::Unavailable { .. } | StoreError::Unknown { .. } => {
                Self { cause: Some(cause), ..Self::busy(RETRY_AFTER_MS) }
            }
            StoreError::Unusable { .. } | StoreError::Internal { .. } => Self::internal(cause),
        }
    }
}

impl From<PasswordError> for Failure {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::busy(RETRY_AFTER_MS),
            PasswordError::Failed => Self::internal(error.to_string()),
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::internal(error.to_string())
    }
}

impl From<klatch_identity::KeyError> for Failure {
    fn from(error: klatch_identity::KeyError) -> Self {
        Self::internal(error.to_string())
    }
}

/// A name that is none, as the field it came in.
pub(crate) fn name_of<T>(field: &'static str, parsed: Result<T, NameError>) -> Result<T, Failure> {
    parsed.map_err(|error| Failure::invalid(field, error.to_string()))
}

fn shortened(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.len() <= DETAIL_BYTES {
        return text;
    }
    let end = (0..=DETAIL_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    Cow::Owned(format!("{}...", &text[..end]))
}

/// The same for every problem of a code (RFC 9457 section 3.1.3).
const fn title(code: Code) -> &'static str {
    match code {
        Code::NotAMember => "Not a member",
        Code::NotAllowed => "Not allowed",
        Code::RoomNotFound => "Room not found",
        Code::UserNotFound => "User not found",
        Code::TargetNotFound => "Target not found",
        Code::MessageIdConflict => "Message id conflict",
        Code::ContentTooLarge => "Content too large",
        Code::ContentInvalid => "Content invalid",
        Code::RateLimited => "Too many requests",
        Code::Busy => "Busy",
        Code::Blocked => "Blocked",
        Code::EpochConflict => "Epoch conflict",
        Code::StaleDeviceList => "Stale device list",
        Code::Unauthenticated => "Unauthenticated",
        Code::TokenExpired => "Token expired",
        Code::SessionRevoked => "Session revoked",
        Code::UsernameTaken => "Username taken",
        Code::WeakPassword => "Weak password",
        Code::ValidationFailed => "Validation failed",
        Code::Internal => "Internal error",
        Code::NotFound => "Not found",
        Code::MethodNotAllowed => "Method not allowed",
        Code::UnsupportedMediaType => "Unsupported media type",
        Code::UnknownFrame => "Unknown frame",
        Code::SignUpClosed => "Sign-up closed",
        Code::LastOwner => "Last owner",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn document(failure: Failure) -> (HeaderMap, serde_json::Value) {
        let mut response = failure.clone().into_response();
        assert!(response.extensions_mut().remove::<Failure>().is_some());
        failure.write(&mut response, "trace");
        let headers = response.headers().clone();
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        (headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_code_has_a_document() {
        for code in Code::ALL {
            let (headers, body) = document(Failure::new(*code, "because")).await;
            assert_eq!(headers[header::CONTENT_TYPE], PROBLEM_JSON);
            assert_eq!(body["code"], code.name());
            assert_eq!(body["status"], code.status());
            assert_eq!((&body["detail"], &body["trace_id"]), (&"because".into(), &"trace".into()));
            assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()));
            assert!(body.get("fields").is_none());
            assert_eq!(headers.contains_key(header::RETRY_AFTER), [429, 503].contains(&code.status()), "{code}");
            assert_eq!(headers.contains_key(header::WWW_AUTHENTICATE), code.status() == 401, "{code}");
        }
    }

    #[tokio::test]
    async fn a_cause_stays_inside_and_a_wait_is_rounded_up() {
        let (_, body) = document(Failure::internal("disk /secret is gone")).await;
        assert!(!body.to_string().contains("secret"));
        let (headers, _) = document(Failure::busy(1_001)).await;
        assert_eq!(headers[header::RETRY_AFTER], "2");
        let (_, body) = document(Failure::invalid("name", "ä".repeat(1_000))).await;
        assert!(body["fields"][0]["detail"].as_str().unwrap().len() < 400);
    }
}
