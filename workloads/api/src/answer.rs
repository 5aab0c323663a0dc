//! Around every call: trace id, bounds, limits, time, problem documents, headers, figures.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, header};
use klatch_domain::Code;
use prometheus::IntGauge;
use tracing::Instrument;

use crate::{
    auth, body,
    problem::{Failure, RETRY_AFTER_MS},
    shared::Shared,
    trace::{TRACE_ID, Trace},
};

/// How long a call may take, its body's arrival included: above the patience for an outcome, below any proxy's.
const CALL: Duration = Duration::from_secs(30);

/// Runs a call.
pub(crate) async fn answer(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let trace = Trace::of(request.headers());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("call", %method, route, trace_id = &*trace.id);
    let ran = {
        let _counted = InFlight::begin(&shared.metrics.in_flight);
        run(&shared, request, next, trace.clone()).instrument(span.clone()).await
    };
    let mut response = ran.unwrap_or_else(Failure::into_response);
    span.in_scope(|| finish(&mut response, &trace));
    shared.metrics.answered(&route, &method, response.status(), began.elapsed().as_secs_f64());
    response
}

/// One call under way, until it is answered or its caller hangs up.
struct InFlight(IntGauge);

impl InFlight {
    fn begin(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

async fn run(shared: &Arc<Shared>, mut request: Request, next: Next, trace: Trace) -> Result<Response, Failure> {
    if shared.is_stopping() {
        return Err(Failure::busy(RETRY_AFTER_MS));
    }
    let permit = Arc::clone(&shared.calls).try_acquire_owned().map_err(|_| Failure::busy(RETRY_AFTER_MS))?;
    let address = shared.proxies.client_of(request.extensions(), request.headers());
    let place = shared.under_way.begin(address).ok_or_else(|| {
        shared.metrics.limited("address");
        Failure::rate_limited(RETRY_AFTER_MS, "too many calls of this address are under way")
    })?;
    let mut authenticated = auth::admit(shared, request.headers(), address).await?;
    let only_reads = body::only_reads(request.method());
    if !only_reads {
        request = body::arrived(request).await;
        // While that came the session may have ended.
        authenticated = authenticated.still(shared).await?;
    }
    request.extensions_mut().insert(authenticated);
    request.extensions_mut().insert(address);
    request.extensions_mut().insert(trace);
    let call = async move {
        let response = next.run(request).await;
        drop((permit, place));
        response
    };
    let response = if only_reads {
        tokio::time::timeout(CALL, call).await.ok()
    } else {
        // A task of its own: a caller who hangs up must not stop a write between the directory and the news of it.
        let task = tokio::spawn(call.in_current_span());
        match tokio::time::timeout(CALL, task).await {
            Ok(done) => Some(done.map_err(|error| Failure::internal(format!("the call's task ended: {error}")))?),
            Err(_) => None,
        }
    };
    response.ok_or_else(|| Failure::busy(RETRY_AFTER_MS))
}

fn finish(response: &mut Response, trace: &Trace) {
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        log(&failure);
        failure.write(response, &trace.id);
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // What is said here is said to one user, now.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(&trace.id) {
        headers.insert(TRACE_ID, id);
    }
}

fn log(failure: &Failure) {
    match (&failure.cause, failure.code) {
        (Some(cause), Code::Internal) => tracing::error!(cause, "a call failed"),
        (Some(cause), code) => tracing::warn!(cause, %code, "a call was refused"),
        (None, code) => tracing::debug!(%code, "a call was refused"),
    }
}

/// A handler panicked: a fault of ours, which costs this one call.
pub(crate) fn panicked(panic: Box<dyn Any + Send + 'static>) -> http::Response<Body> {
    let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Failure::internal(format!("a handler panicked: {}", said.unwrap_or("without words"))).into_response()
}

/// No such path.
pub(crate) async fn not_found() -> Failure {
    Failure::new(Code::NotFound, "there is nothing at this path; /v1/openapi.json lists what there is")
}

/// The path is there, the method is not; the router adds `Allow`.
pub(crate) async fn method_not_allowed() -> Failure {
    Failure::new(Code::MethodNotAllowed, "this path does not take this method; Allow names those it takes")
}
