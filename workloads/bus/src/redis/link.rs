//! A connection that is kept: its calls answer at once, with an error while there is none.
//!
//! One task owns connecting. A call that fails for want of a connection, or gets no answer in time, closes the link; until it
//! is open again calls fail without waiting. So a Redis that hangs costs the calls under way one timeout, and nobody after
//! them anything.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::RwLock;
use prometheus::IntGauge;
use redis::{Cmd, ErrorKind, PushKind, RedisError, ServerErrorKind, Value};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    Mode, Options,
    client::{self, Connection, OnPush},
};

/// Before the first try to connect again.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Between further tries, at most: a Redis that is back is used a second later.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A link that was open for this long was a good one: after it, trying again begins with the first pause. One that answers
/// nobody right after it was opened is tried less and less often.
const STEADY: Duration = Duration::from_secs(10);

/// Why a call got no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum CallError {
    /// There is no connection just now.
    #[error("no connection to Redis")]
    Closed,
    /// Redis, or the way to it.
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
}

/// What a connection needs before it is used.
#[async_trait]
pub(super) trait Prepare: Send + Sync + 'static {
    async fn prepare(&self, connection: &mut Connection) -> Result<(), RedisError>;
}

/// See the module. Dropping it ends the connection.
pub(super) struct Link {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

struct Shared {
    name: &'static str,
    options: Options,
    open: RwLock<Option<Open>>,
    lost: Notify,
    up: IntGauge,
}

struct Open {
    /// Which connection it is, counted from 1.
    number: u64,
    connection: Connection,
}

impl Link {
    /// Starts keeping a connection. Returns when the first try has come to an end, either way.
    pub(super) async fn open(
        name: &'static str,
        options: &Options,
        prepare: impl Prepare,
        on_push: Option<OnPush>,
        up: IntGauge,
    ) -> Self {
        let shared =
            Arc::new(Shared { name, options: options.clone(), open: RwLock::default(), lost: Notify::new(), up });
        let (tried, mut first_try) = watch::channel(false);
        let keeper = tokio::spawn(keep(Arc::clone(&shared), prepare, on_push, tried)).abort_handle();
        // An error: the runtime shuts down.
        let _ = first_try.wait_for(|tried| *tried).await;
        Self { shared, keeper }
    }

    /// Sends commands together: see [`Connection::all`].
    pub(super) async fn all(&self, commands: Vec<Cmd>) -> Result<Vec<Value>, CallError> {
        let (number, mut connection) = self.shared.connection()?;
        connection.all(commands).await.map_err(|error| self.shared.failed(number, error))
    }

    /// Sends one command.
    pub(super) async fn one(&self, command: &Cmd) -> Result<Value, CallError> {
        let (number, mut connection) = self.shared.connection()?;
        connection.one(command).await.map_err(|error| self.shared.failed(number, error))
    }

    /// Does something on the connection that is open.
    pub(super) async fn prepare(&self, prepare: &impl Prepare) -> Result<(), CallError> {
        let (number, mut connection) = self.shared.connection()?;
        prepare.prepare(&mut connection).await.map_err(|error| self.shared.failed(number, error))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
        *self.shared.open.write() = None;
        self.shared.up.set(0);
    }
}

impl Shared {
    fn connection(&self) -> Result<(u64, Connection), CallError> {
        let open = self.open.read();
        open.as_ref().map(|open| (open.number, open.connection.clone())).ok_or(CallError::Closed)
    }

    fn failed(&self, number: u64, error: RedisError) -> CallError {
        if ends_link(&error) {
            self.lose(number);
        }
        CallError::Redis(error)
    }

    /// This connection is of no use any more.
    fn lose(&self, number: u64) {
        let mut open = self.open.write();
        if open.as_ref().is_some_and(|open| open.number == number) {
            *open = None;
            self.up.set(0);
            self.lost.notify_one();
        }
    }
}

/// Whether a new connection may be better than this one. What a server says of a single command is no such error.
fn ends_link(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => matches!(
            kind,
            ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
        ),
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

async fn keep(shared: Arc<Shared>, prepare: impl Prepare, on_push: Option<OnPush>, tried: watch::Sender<bool>) {
    let mut pause = FIRST_PAUSE;
    for number in 1.. {
        match connect(&shared, number, &prepare, on_push.clone()).await {
            Ok(connection) => {
                let opened = Instant::now();
                *shared.open.write() = Some(Open { number, connection });
                shared.up.set(1);
                tracing::info!(link = shared.name, "connected to Redis");
                tried.send_replace(true);
                shared.lost.notified().await;
                tracing::warn!(link = shared.name, "the connection to Redis is lost; connecting again");
                if opened.elapsed() >= STEADY {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => {
                if number == 1 {
                    tracing::warn!(link = shared.name, %error, "cannot connect to Redis; trying again");
                } else {
                    tracing::debug!(link = shared.name, %error, "still cannot connect to Redis");
                }
                tried.send_replace(true);
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn connect(
    shared: &Arc<Shared>,
    number: u64,
    prepare: &impl Prepare,
    on_push: Option<OnPush>,
) -> Result<Connection, RedisError> {
    let (listener, standalone) = (Arc::downgrade(shared), shared.options.mode == Mode::Standalone);
    let pushed: OnPush = Arc::new(move |push| {
        // A cluster's connection mends its nodes by itself.
        if push.kind == PushKind::Disconnection && standalone {
            if let Some(shared) = listener.upgrade() {
                shared.lose(number);
            }
        } else if let Some(on_push) = &on_push {
            on_push(push);
        }
    });
    let whole = async {
        let mut connection = client::connect(&shared.options, Some(pushed)).await?;
        prepare.prepare(&mut connection).await?;
        Ok(connection)
    };
    // A cluster is asked for its map, then connected to, then prepared.
    let patience = shared.options.connect_timeout * 2;
    timeout(patience, whole).await.unwrap_or_else(|_| Err((ErrorKind::Io, "connecting took too long").into()))
}
