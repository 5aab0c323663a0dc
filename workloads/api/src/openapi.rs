//! The OpenAPI document, from the handlers' own annotations.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::header;
use klatch_protocol::http::Problem;
use std::sync::Arc;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, HttpMethod, PathItem, Ref, RefOr, ResponseBuilder,
        path::Operation,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::{
    account, blocks, bot_tokens, friends, history, landing, members, preferences, problem::PROBLEM_JSON, refresh,
    rooms, send, sessions, shared::Shared, sync, users,
};

/// Name of the one way to authenticate.
const BEARER: &str = "bearer";
/// Calls that need no token, as the wire contract marks them.
const OPEN: &[(&str, HttpMethod)] = &[
    ("/v1/users", HttpMethod::Post),
    ("/v1/sessions", HttpMethod::Post),
    ("/v1/sessions/refresh", HttpMethod::Post),
    ("/v1/sessions/exchange", HttpMethod::Post),
    ("/v1/openapi.json", HttpMethod::Get),
    ("/.well-known/jwks.json", HttpMethod::Get),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Klatch",
        description = "Chat over HTTP. Errors are problem documents (RFC 9457) with a stable `code`. Lists page by key: \
            `after` takes the `next` of the page before.",
    ),
    paths(
        users::sign_up, users::me, users::change_me, users::profile, users::users, account::change_password,
        account::delete_me, sessions::sign_in, sessions::sessions, sessions::end_session, refresh::refresh,
        bot_tokens::exchange, bot_tokens::create, friends::friends, friends::befriend, friends::unfriend, blocks::block,
        blocks::unblock, rooms::create, rooms::rooms, rooms::public_rooms, rooms::room, rooms::change, rooms::delete,
        preferences::change, members::members, members::put_member, members::remove_member, history::history,
        send::send, sync::sync, document, landing::jwks,
    ),
    components(schemas(Problem)),
    tags(
        (name = "users", description = "People and their profiles"),
        (name = "sessions", description = "Signed-in devices and bot tokens"),
        (name = "friends", description = "Friends and blocks"),
        (name = "rooms", description = "Rooms and their members"),
        (name = "messages", description = "Reading, sending, sync"),
        (name = "server", description = "About this server"),
    ),
    modifiers(&Common),
)]
struct Document;

/// What all calls have in common, said once.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        env!("CARGO_PKG_VERSION").clone_into(&mut document.info.version);
        let components = document.components.get_or_insert_default();
        let scheme = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in operations(item) {
                complete(operation, OPEN.iter().any(|(open, by)| open == path && *by == method));
                // Handlers of different resources share names; paths do not.
                operation.operation_id = Some(operation_id(&method, path));
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    [
        (HttpMethod::Get, item.get.as_mut()),
        (HttpMethod::Put, item.put.as_mut()),
        (HttpMethod::Post, item.post.as_mut()),
        (HttpMethod::Patch, item.patch.as_mut()),
        (HttpMethod::Delete, item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}

fn complete(operation: &mut Operation, open: bool) {
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new().description("A problem document").content(PROBLEM_JSON, problem).build();
    operation.responses.responses.insert("default".to_owned(), RefOr::T(response));
    let none: [&str; 0] = [];
    operation.security = Some(if open { Vec::new() } else { vec![SecurityRequirement::new(BEARER, none)] });
}

/// `put_v1_friends_user`
fn operation_id(method: &HttpMethod, path: &str) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Put => "put",
        HttpMethod::Post => "post",
        HttpMethod::Patch => "patch",
        _ => "delete",
    };
    let words = path.split(['/', '{', '}', '.', '-']).filter(|word| !word.is_empty());
    words.fold(method.to_owned(), |id, word| format!("{id}_{word}"))
}

/// The OpenAPI 3.1 document of the HTTP API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "server", responses((status = 200, body = Object)))]
pub(crate) async fn document(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=300")], shared.openapi.clone())
        .into_response()
}
