//! Reading what a caller sent: JSON bodies, queries, ids in paths. Whatever is wrong is `validation_failed` with its field,
//! but for size (`content_too_large`) and media type.

use std::{collections::HashMap, error::Error, str::FromStr, time::Duration};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request, rejection::QueryRejection},
};
use bytes::Bytes;
use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::LengthLimitError;
use klatch_domain::{Code, RoomId, SessionId, UserId};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::Failure;

/// Bytes of an HTTP body: the wire contract's 256 KiB.
pub(crate) const BODY_BYTES: usize = 256 * 1024;
/// Bytes of a sync body: the wire contract's 128 KiB, twice what 500 rooms need.
pub(crate) const SYNC_BODY_BYTES: usize = 128 * 1024;

/// How long a body may take to arrive: 256 KiB over the worst mobile line that still works, 20 KB/s.
const ARRIVAL: Duration = Duration::from_secs(15);

/// A body that did not arrive: whoever reads it hears why, behind what else there may be to refuse.
#[derive(Clone)]
struct NotArrived(Failure);

/// The call with its whole body, or with what kept it from arriving. Whoever sends it slowly, or never, has nothing of a handler.
pub(crate) async fn arrived(request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    let read = timeout(ARRIVAL, read(&parts.headers, body, BODY_BYTES)).await;
    let bytes = read.unwrap_or_else(|_| {
        Err(Failure::new(Code::ValidationFailed, format!("the body did not arrive within {ARRIVAL:?}")))
    });
    let bytes = bytes.unwrap_or_else(|failure| {
        parts.extensions.insert(NotArrived(failure));
        Bytes::new()
    });
    Request::from_parts(parts, Body::from(bytes))
}

/// A JSON body of at most `LIMIT` bytes. serde_json reads at most 128 levels deep.
pub(crate) struct JsonBody<T, const LIMIT: usize = BODY_BYTES>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync, const LIMIT: usize> FromRequest<S> for JsonBody<T, LIMIT> {
    type Rejection = Failure;
    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = bytes(&parts, body, LIMIT).await?;
        check_media_type(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out.
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Failure;
    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let bytes = bytes(&parts, body, BODY_BYTES).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        check_media_type(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

/// What has arrived.
async fn bytes(parts: &Parts, body: Body, limit: usize) -> Result<Bytes, Failure> {
    match parts.extensions.get() {
        Some(NotArrived(failure)) => Err(failure.clone()),
        None => read(&parts.headers, body, limit).await,
    }
}

async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Failure> {
    let too_large = || Failure::new(Code::ContentTooLarge, format!("a body here has at most {limit} bytes"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    to_bytes(body, limit).await.map_err(|error| match error.source() {
        Some(source) if source.is::<LengthLimitError>() => too_large(),
        _ => Failure::new(Code::ValidationFailed, "the body did not arrive whole"),
    })
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Failure> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    if json { Ok(()) } else { Err(Failure::new(Code::UnsupportedMediaType, "a body is application/json")) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Failure::new(Code::ValidationFailed, "the body is not UTF-8"));
    }
    match Json::<T>::from_bytes(bytes) {
        Ok(Json(value)) => Ok(value),
        Err(rejection) => Err(wrong_field(&source_text(&rejection), "the body is not the JSON expected here")),
    }
}

fn source_text(rejection: &(dyn Error + 'static)) -> String {
    // The innermost error names the path; those around it repeat it with words of their own.
    let mut deepest = rejection;
    while let Some(source) = deepest.source() {
        let named = source.to_string();
        if !deepest.to_string().contains(&named) {
            break;
        }
        deepest = source;
        if named.contains(": ") {
            break;
        }
    }
    deepest.to_string()
}

/// serde says `path: what` or just `what`, and names a missing field in the text.
fn wrong_field(text: &str, general: &'static str) -> Failure {
    let is_path = |path: &str| {
        !path.is_empty()
            && path != "."
            && path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]-?".contains(&byte))
    };
    let (path, what) = match text.split_once(": ") {
        Some((path, what)) if is_path(path) => (path, what),
        _ => ("", text),
    };
    let missing = what.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let field = match (path, missing) {
        ("", Some(missing)) => missing.to_owned(),
        (path, Some(missing)) => format!("{path}.{missing}"),
        (path, None) => path.to_owned(),
    };
    if field.is_empty() {
        Failure::new(Code::ValidationFailed, format!("{general}: {what}"))
    } else {
        Failure::new(Code::ValidationFailed, general).field(&field, what.to_owned())
    }
}

/// The query of a call.
pub(crate) struct Queried<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Queried<T> {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(query_failure(&rejection)),
        }
    }
}

fn query_failure(rejection: &QueryRejection) -> Failure {
    wrong_field(&source_text(rejection), "the query is not the one expected here")
}

/// The ids in a path, by their names.
pub(crate) struct Ids(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Ids {
    type Rejection = Failure;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<HashMap<String, String>>::from_request_parts(parts, state).await {
            Ok(Path(ids)) => Ok(Self(ids)),
            Err(_) => Err(Failure::new(Code::ValidationFailed, "the path is not UTF-8")),
        }
    }
}

impl Ids {
    fn id<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let text = self.0.get(name).map(String::as_str).unwrap_or_default();
        text.parse().map_err(|_| Failure::invalid(name, "an id is a UUID"))
    }

    pub(crate) fn room(&self) -> Result<RoomId, Failure> {
        self.id("id")
    }

    pub(crate) fn session(&self) -> Result<SessionId, Failure> {
        self.id("id")
    }

    /// The user of a profile.
    pub(crate) fn profile(&self) -> Result<UserId, Failure> {
        self.id("id")
    }

    /// The other user of a call.
    pub(crate) fn user(&self) -> Result<UserId, Failure> {
        self.id("user")
    }

    /// The other user of a call, where `me` is the caller.
    pub(crate) fn user_or(&self, me: UserId) -> Result<UserId, Failure> {
        if self.0.get("user").is_some_and(|user| user == "me") { Ok(me) } else { self.user() }
    }
}

/// Whether a method only reads.
pub(crate) fn only_reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

#[cfg(test)]
mod tests {
    use klatch_protocol::http::{CreateRoom, PageQuery, SendBody, SignUp, SyncRequest};

    use super::*;

    async fn read_as<T: DeserializeOwned>(media_type: &str, body: impl Into<Body>) -> Result<T, Failure> {
        let request = Request::builder().header("content-type", media_type).body(body.into()).unwrap();
        JsonBody::<T>::from_request(request, &()).await.map(|body| body.0)
    }

    async fn failure<T: DeserializeOwned>(body: &str) -> (Code, String) {
        let failure = read_as::<T>("application/json", body.to_owned()).await.err().unwrap();
        (failure.code, failure.fields.first().map(|field| field.field.clone()).unwrap_or_default())
    }

    #[tokio::test]
    async fn the_wrong_field_is_named() {
        let wrong = Code::ValidationFailed;
        assert_eq!(failure::<SignUp>("{}").await, (wrong, "username".to_owned()));
        assert_eq!(failure::<SignUp>(r#"{"username":1}"#).await, (wrong, "username".to_owned()));
        assert_eq!(failure::<SignUp>(r#"{"username":"a: b","password":7}"#).await, (wrong, "password".to_owned()));
        assert_eq!(failure::<SyncRequest>(r#"{"rooms":[{"room":"x"}]}"#).await, (wrong, "rooms[0].room".to_owned()));
        let missing = r#"{"rooms":[{"room":"9241cbcc-9e65-8721-81d6-8afdcd407341"}]}"#;
        assert_eq!(failure::<SyncRequest>(missing).await, (wrong, "rooms[0].position".to_owned()));
        assert_eq!(failure::<CreateRoom>(r#"{"kind":"group"}"#).await, (wrong, "name".to_owned()));
        let content = r#"{"message_id":"9241cbcc-9e65-8721-81d6-8afdcd407341","kind":"text","content":[]}"#;
        assert_eq!(failure::<SendBody>(content).await, (wrong, "content".to_owned()));
    }

    #[tokio::test]
    async fn what_is_no_json_is_refused() {
        for bad in ["", "{", "[]", "nul", "{}x", &"[".repeat(100_000), &format!("{}1", r#"{"a":"#.repeat(1_000))] {
            assert_eq!(failure::<SignUp>(bad).await.0, Code::ValidationFailed, "{bad:.20}");
        }
        let failure = read_as::<SignUp>("application/json", vec![b'{', 0xff, b'}']).await.err().unwrap();
        assert_eq!(failure.code, Code::ValidationFailed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_waited_for_no_longer_than_a_while() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let begun = tokio::time::Instant::now();
        let late = arrived(Request::new(never)).await;
        assert_eq!(begun.elapsed(), ARRIVAL);
        assert_eq!(JsonBody::<SignUp>::from_request(late, &()).await.err().unwrap().code, Code::ValidationFailed);
        let whole = arrived(Request::new(Body::from("{}"))).await;
        assert_eq!(to_bytes(whole.into_body(), 2).await.unwrap(), "{}");
    }

    #[tokio::test]
    async fn size_and_media_type_are_bounded() {
        let large = "x".repeat(BODY_BYTES + 1);
        let code = |failure: Option<Failure>| failure.unwrap().code;
        assert_eq!(code(read_as::<SignUp>("application/json", large.clone()).await.err()), Code::ContentTooLarge);
        let request = Request::builder().header("content-length", "999999999").body(Body::empty()).unwrap();
        assert_eq!(code(JsonBody::<SignUp>::from_request(request, &()).await.err()), Code::ContentTooLarge);
        for media_type in ["text/plain", "", "application/x-www-form-urlencoded", "json"] {
            assert_eq!(code(read_as::<SignUp>(media_type, "{}").await.err()), Code::UnsupportedMediaType);
        }
        let good = r#"{"username":"a","password":"b","unknown":null}"#;
        assert!(read_as::<SignUp>("application/json; charset=utf-8", good).await.is_ok());
    }

    #[tokio::test]
    async fn queries_name_their_field() {
        let request = Request::builder().uri("/x?limit=many").body(Body::empty()).unwrap();
        let (mut parts, _) = request.into_parts();
        let failure = Queried::<PageQuery>::from_request_parts(&mut parts, &()).await.err().unwrap();
        assert_eq!((failure.code, failure.fields[0].field.as_str()), (Code::ValidationFailed, "limit"));
    }
}
