//! A layer of the client that asks before a call is made, and once it has been answered.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tower::{BoxError, Layer, Service};

use super::Call;

/// How long a write may take. Below the fence's margin, so that one that was let through is over before the lease is.
const WRITE_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a read may take: a list of a thousand objects is made in less than a second.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A call that was not made, or whose answer is not to be known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Somebody who has a say in every call.
pub trait Guard: Send + Sync + 'static {
    /// Before it is made: an error, and it is not made.
    ///
    /// # Errors
    /// Why not.
    fn before(&self, call: &Call) -> Result<(), Refused>;

    /// Once it was answered: an error, and the caller does not learn of the answer, as when a connection breaks.
    ///
    /// # Errors
    /// Why not.
    fn after(&self, _call: &Call) -> Result<(), Refused> {
        Ok(())
    }
}

/// Asks all of them before a call, in this order.
///
/// # Errors
/// The first that refuses it.
pub fn before(guards: &[Arc<dyn Guard>], call: &Call) -> Result<(), Refused> {
    guards.iter().try_for_each(|guard| guard.before(call))
}

/// Tells all of them that it was answered.
///
/// # Errors
/// The first that keeps the answer back.
pub fn after(guards: &[Arc<dyn Guard>], call: &Call) -> Result<(), Refused> {
    guards.iter().try_for_each(|guard| guard.after(call))
}

/// Puts guards around a service.
#[derive(Clone)]
pub struct GuardLayer {
    guards: Arc<[Arc<dyn Guard>]>,
}

impl GuardLayer {
    /// All of these, in this order.
    #[must_use]
    pub fn new(guards: Vec<Arc<dyn Guard>>) -> Self {
        Self { guards: guards.into() }
    }
}

impl<S> Layer<S> for GuardLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded { inner, guards: Arc::clone(&self.guards) }
    }
}

/// A service with guards around it.
#[derive(Clone)]
pub struct Guarded<S> {
    inner: S,
    guards: Arc<[Arc<dyn Guard>]>,
}

impl<S, B, C> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<C>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
    C: Send + 'static,
{
    type Response = Response<C>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let call = Call::of(request.method(), request.uri());
        if let Err(refused) = before(&self.guards, &call) {
            return Box::pin(async move { Err(refused.into()) });
        }
        let (answer, guards) = (self.inner.call(request), Arc::clone(&self.guards));
        Box::pin(async move {
            let limit = if call.is_write() { WRITE_TIMEOUT } else { READ_TIMEOUT };
            let answer = if call.watch {
                answer.await.map_err(Into::into)?
            } else {
                let late = |_| Refused(format!("{call}: no answer within {} s", limit.as_secs()));
                tokio::time::timeout(limit, answer).await.map_err(late)?.map_err(Into::into)?
            };
            after(&guards, &call)?;
            Ok(answer)
        })
    }
}
