//! Which path leads where.

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{delete, get, patch, post, put},
};
use tower_http::catch_panic::CatchPanicLayer;

use crate::{
    account, answer, blocks, bot_tokens, friends, history, landing, members, openapi, preferences, refresh, rooms,
    send, sessions, shared::Shared, sync, users,
};

/// The whole API.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .merge(people())
        .merge(sign_ins())
        .merge(talk())
        .route("/", get(landing::page))
        .route("/v1/openapi.json", get(openapi::document))
        .route("/.well-known/jwks.json", get(landing::jwks))
        .fallback(answer::not_found)
        .method_not_allowed_fallback(answer::method_not_allowed)
        .layer(CatchPanicLayer::custom(answer::panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), answer::answer))
        .with_state(shared)
}

fn people() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/users", post(users::sign_up).get(users::users))
        .route("/v1/users/me", get(users::me).patch(users::change_me).delete(account::delete_me))
        .route("/v1/users/me/password", put(account::change_password))
        .route("/v1/users/{id}", get(users::profile))
        .route("/v1/friends", get(friends::friends))
        .route("/v1/friends/{user}", put(friends::befriend).delete(friends::unfriend))
        .route("/v1/blocks/{user}", put(blocks::block).delete(blocks::unblock))
}

fn sign_ins() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/sessions", post(sessions::sign_in).get(sessions::sessions))
        .route("/v1/sessions/refresh", post(refresh::refresh))
        .route("/v1/sessions/exchange", post(bot_tokens::exchange))
        .route("/v1/sessions/{id}", delete(sessions::end_session))
        .route("/v1/bot-tokens", post(bot_tokens::create))
}

fn talk() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/rooms", post(rooms::create).get(rooms::rooms))
        .route("/v1/rooms/public", get(rooms::public_rooms))
        .route("/v1/rooms/{id}", get(rooms::room).patch(rooms::change).delete(rooms::delete))
        .route("/v1/rooms/{id}/preferences", patch(preferences::change))
        .route("/v1/rooms/{id}/members", get(members::members))
        .route("/v1/rooms/{id}/members/{user}", put(members::put_member).delete(members::remove_member))
        .route("/v1/rooms/{id}/messages", get(history::history).post(send::send))
        .route("/v1/sync", post(sync::sync))
}
