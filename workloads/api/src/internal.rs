//! The internal listener: queries of gateways, answered as in process. See `klatch_bus::http` for their shapes.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{FromRequest, MatchedPath, Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use klatch_bus::{
    Queries, QueryError,
    http::{
        PATH, ServiceToken,
        shapes::{
            ASKED_AT_ONCE, Head, HeadsAnswer, HeadsQuery, Members, MembersAnswer, MembersQuery, QUESTION_BYTES,
            Refusal, Revoked, RevokedSinceAnswer, RevokedSinceQuery, RoomOfUser, RoomsAboveAnswer, RoomsAboveQuery,
            VisiblePresenceAnswer, VisiblePresenceQuery,
        },
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::shared::Shared;

/// Questions under way at a time: beyond, gateways hear so at once and ask another replica.
const CALLS: usize = 256;
/// How long a question may take here; gateways have given up before.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Things of a list that are written at a time: 40 to 100 KB.
const CHUNK: usize = 1_000;

struct Internal {
    shared: Arc<Shared>,
    queries: Arc<dyn Queries>,
    tokens: Vec<ServiceToken>,
    calls: Semaphore,
}

pub(crate) fn router(shared: Arc<Shared>, queries: Arc<dyn Queries>, tokens: Vec<ServiceToken>) -> Router {
    let internal = Arc::new(Internal { shared, queries, tokens, calls: Semaphore::new(CALLS) });
    let path = |name: &str| format!("{PATH}/{name}");
    Router::new()
        .route(&path("members"), post(members))
        .route(&path("heads"), post(heads))
        .route(&path("rooms-above"), post(rooms_above))
        .route(&path("revoked-since"), post(revoked_since))
        .route(&path("visible-presence"), post(visible_presence))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "there is no such query in this version"))
        .method_not_allowed_fallback(async || refuse(StatusCode::METHOD_NOT_ALLOWED, "queries are asked by POST"))
        .layer(CatchPanicLayer::custom(|_| {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "the query broke").into_response()
        }))
        .layer(middleware::from_fn_with_state(Arc::clone(&internal), admit))
        .with_state(internal)
}

/// Why there is no answer.
struct Refused(StatusCode, String);

fn refuse(status: StatusCode, error: impl Into<String>) -> Refused {
    Refused(status, error.into())
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        let mut response = (status, Json(Refusal { error })).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Asks for the token before anything is read, counts the call, and bounds how many there are and how long each takes.
async fn admit(State(internal): State<Arc<Internal>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().into());
    let method: Method = request.method().clone();
    let response = match internal.enter(request.headers()) {
        Err(refused) => refused.into_response(),
        Ok(_place) => timeout(ANSWER_WITHIN, next.run(request))
            .await
            .unwrap_or_else(|_| refuse(StatusCode::GATEWAY_TIMEOUT, "the answer took too long").into_response()),
    };
    internal.shared.metrics.answered(&route, &method, response.status(), began.elapsed().as_secs_f64());
    response
}

impl Internal {
    fn enter(&self, headers: &HeaderMap) -> Result<SemaphorePermit<'_>, Refused> {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        // Every token is compared: how long that takes does not tell which one it was.
        let known = self.tokens.iter().filter(|token| shown.is_some_and(|shown| token.is(shown))).count() > 0;
        if !known {
            return Err(refuse(StatusCode::UNAUTHORIZED, "this listener wants a service token"));
        }
        let stopping = self.shared.is_stopping();
        let place = self.calls.try_acquire().ok().filter(|_| !stopping);
        place.ok_or_else(|| refuse(StatusCode::SERVICE_UNAVAILABLE, "this replica takes no more queries just now"))
    }
}

/// The JSON of a question.
struct Question<T>(T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Question<T> {
    type Rejection = Refused;
    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let too_large =
            || refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("a question has at most {QUESTION_BYTES} bytes"));
        let body = to_bytes(request.into_body(), QUESTION_BYTES).await.map_err(|_| too_large())?;
        let question = serde_json::from_slice(&body);
        question.map(Self).map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("not the question: {error}")))
    }
}

fn check_count(count: usize) -> Result<(), Refused> {
    if count <= ASKED_AT_ONCE {
        Ok(())
    } else {
        Err(refuse(StatusCode::BAD_REQUEST, format!("at most {ASKED_AT_ONCE} are asked about at once")))
    }
}

fn unanswered(error: QueryError) -> Refused {
    tracing::warn!(%error, "a query has no answer");
    refuse(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn members(
    State(internal): State<Arc<Internal>>,
    Question(MembersQuery { room }): Question<MembersQuery>,
) -> Result<Response, Refused> {
    let Some(found) = internal.queries.members(room).await.map_err(unanswered)? else {
        return Ok(Json(MembersAnswer { members: None }).into_response());
    };
    let members = Members { version: found.version, kind: found.kind, users: Vec::new() };
    streamed(&MembersAnswer { members: Some(members) }, found.members)
}

async fn heads(
    State(internal): State<Arc<Internal>>,
    Question(HeadsQuery { rooms }): Question<HeadsQuery>,
) -> Result<Json<HeadsAnswer>, Refused> {
    check_count(rooms.len())?;
    let heads = internal.queries.heads(&rooms).await.map_err(unanswered)?.into_iter();
    let heads = heads.map(|(room, (position, ordinal))| Head { room, position, ordinal }).collect();
    Ok(Json(HeadsAnswer { heads }))
}

async fn rooms_above(
    State(internal): State<Arc<Internal>>,
    Question(RoomsAboveQuery { members, users }): Question<RoomsAboveQuery>,
) -> Result<Response, Refused> {
    check_count(users.len())?;
    let rooms = internal.queries.rooms_above(&users, members).await.map_err(unanswered)?.into_iter();
    let rooms: Vec<_> = rooms.map(|(user, room)| RoomOfUser { user, room }).collect();
    streamed(&RoomsAboveAnswer { rooms: Vec::new() }, rooms.into())
}

async fn revoked_since(
    State(internal): State<Arc<Internal>>,
    Question(RevokedSinceQuery { since }): Question<RevokedSinceQuery>,
) -> Result<Response, Refused> {
    let sessions = internal.queries.revoked_since(since).await.map_err(unanswered)?.into_iter();
    let sessions: Vec<_> = sessions.map(|(session, user)| Revoked { session, user }).collect();
    streamed(&RevokedSinceAnswer { sessions: Vec::new() }, sessions.into())
}

async fn visible_presence(
    State(internal): State<Arc<Internal>>,
    Question(VisiblePresenceQuery { viewer, users }): Question<VisiblePresenceQuery>,
) -> Result<Json<VisiblePresenceAnswer>, Refused> {
    check_count(users.len())?;
    let users = internal.queries.visible_presence(viewer, &users).await.map_err(unanswered)?;
    Ok(Json(VisiblePresenceAnswer { users }))
}

/// An answer whose list may be long: `empty` is the answer with an empty list at its end, and the list is written bit by bit
/// as the gateway takes it, never as a whole.
fn streamed<T>(empty: &impl Serialize, list: Arc<[T]>) -> Result<Response, Refused>
where
    T: Serialize + Send + Sync + 'static,
{
    let broken = |error: &dyn std::fmt::Display| refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let whole = serde_json::to_string(empty).map_err(|error| broken(&error))?;
    let middle = whole.rfind("[]").ok_or_else(|| broken(&"an answer without its list"))? + 1;
    let (start, end) = whole.split_at(middle);
    let (start, end) = (Bytes::from(start.to_owned()), Bytes::from(end.to_owned()));
    let chunks = (0..list.len()).step_by(CHUNK).map(move |from| chunk(&list, from));
    let parts = std::iter::once(Ok(start)).chain(chunks).chain(std::iter::once(Ok(end)));
    let body = Body::from_stream(futures_util::stream::iter(parts));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn chunk<T: Serialize>(list: &[T], from: usize) -> Result<Bytes, serde_json::Error> {
    let to = (from + CHUNK).min(list.len());
    let mut text = serde_json::to_vec(&list[from..to])?;
    // Without its brackets, and with a comma before it unless it is the first.
    text.pop();
    if from > 0 {
        text[0] = b',';
        return Ok(text.into());
    }
    Ok(Bytes::from(text).slice(1..))
}

#[cfg(test)]
mod tests {
    use klatch_domain::{RoomKind, Seq, UserId};

    use super::*;

    fn answer(users: Vec<UserId>) -> MembersAnswer {
        MembersAnswer { members: Some(Members { version: Seq(7), kind: RoomKind::Group, users }) }
    }

    #[tokio::test]
    async fn a_list_written_bit_by_bit_reads_as_one() {
        for count in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let users: Vec<_> = (0..count).map(|_| UserId::now()).collect();
            let streamed = streamed(&answer(Vec::new()), users.clone().into());
            let response = streamed.unwrap_or_else(IntoResponse::into_response);
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(body, serde_json::to_vec(&answer(users)).unwrap(), "{count}");
        }
    }
}
