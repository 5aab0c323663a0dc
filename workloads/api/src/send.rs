//! Sending by HTTP.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{FromRequest, Request, State},
};
use http::StatusCode;
use klatch_domain::{Action, Code, RoomId, check_draft, limits::CONTENT_BYTES};
use klatch_protocol::http::{SendAnswer, SendBody};

use crate::{
    body::{Ids, JsonBody},
    outcomes::Ask,
    problem::Failure,
    shared::{Caller, Shared},
    trace::{Trace, trace_id},
};

/// Appends an entry; answers once it is stored.
#[utoipa::path(post, path = "/v1/rooms/{id}/messages", tag = "messages", params(("id" = RoomId, Path)),
    request_body = SendBody,
    responses((status = 201, body = SendAnswer), (status = 200, body = SendAnswer, description = "It was stored before")))]
pub(crate) async fn send(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    Extension(trace): Extension<Trace>,
    ids: Ids,
    request: Request,
) -> Result<(StatusCode, Json<SendAnswer>), Failure> {
    let room = ids.room()?;
    let JsonBody(body) = JsonBody::<SendBody>::from_request(request, &()).await.map_err(content_failure)?;
    let message_id = body.message_id;
    let trace = match body.traceparent.as_deref() {
        Some(parent) if trace_id(parent).is_some() => trace.with_parent(parent),
        _ => trace,
    };
    let draft = body.into_send(room).into_draft();
    check_draft(&draft)?;
    let ask = Ask { room, message_id, sender: caller.0, action: Action::Append(draft) };
    let stored = shared.outcomes.done(ask, &trace).await?;
    let stored = stored.ok_or_else(|| Failure::internal("an append was neither stored nor refused"))?;
    let status = if stored.repeat { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(SendAnswer { message_id, position: stored.position, ordinal: stored.ordinal, at: stored.at })))
}

/// A content that is none has codes of its own.
fn content_failure(failure: Failure) -> Failure {
    let Some(field) = failure.fields.first().filter(|field| field.field == "content") else { return failure };
    let detail = field.detail.clone();
    if detail.contains("bytes, at most") {
        Failure::new(Code::ContentTooLarge, format!("content has at most {CONTENT_BYTES} bytes"))
            .field("content", detail)
    } else if detail.contains("missing field") {
        failure
    } else {
        Failure::new(Code::ContentInvalid, "the content is not one").field("content", detail)
    }
}
