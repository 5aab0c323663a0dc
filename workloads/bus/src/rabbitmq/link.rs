//! One connection to one broker, made again when it is lost. lapin's own recovery is not used: after it a consumer goes on
//! as if nothing had happened, and whoever owns a queue must hear that it lost it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lapin::{Channel, Connection, ConnectionProperties, tcp::OwnedTLSConfig, uri::AMQPUri};
use tokio::{sync::Mutex, time::timeout};

use super::{metrics::Metrics, options::BrokerAddress};

/// For how long a failure answers everyone who asks: else each of many would wait for its own timeout, one after the other.
const FAILURE_HOLDS: Duration = Duration::from_millis(100);

/// There is no connection, or it does not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LinkError {
    /// It was not made, or a channel on it was not.
    #[error("{step} {address}: {reason}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// Where; without the password.
        address: String,
        /// What came instead.
        reason: String,
    },
    /// No answer in time.
    #[error("{step} {address}: no answer within {within:?}")]
    Silent {
        /// What was tried.
        step: &'static str,
        /// Where; without the password.
        address: String,
        /// How long was waited.
        within: Duration,
    },
}

/// Connects when it must, and is one connection for everyone who asks.
pub(super) struct Link {
    uri: AMQPUri,
    address: String,
    name: String,
    tls: Option<String>,
    timeout: Duration,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    failure: Option<(Instant, LinkError)>,
    connected_before: bool,
}

impl Link {
    /// `tls` holds authorities in PEM form.
    pub(super) fn new(
        address: &BrokerAddress,
        name: String,
        tls: Option<String>,
        timeout: Duration,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (uri, address) = (address.uri(), address.to_string());
        Self { uri, address, name, tls, timeout, metrics, state: Mutex::default() }
    }

    /// A new channel, over a new connection if there is none. Cancel safe.
    pub(super) async fn channel(&self) -> Result<Channel, LinkError> {
        let mut state = self.state.lock().await;
        if let Some((since, failure)) = &state.failure
            && since.elapsed() < FAILURE_HOLDS
        {
            return Err(failure.clone());
        }
        let opened = self.open(&mut state).await;
        state.failure = opened.as_ref().err().map(|error| (Instant::now(), error.clone()));
        opened
    }

    async fn open(&self, state: &mut State) -> Result<Channel, LinkError> {
        let held = state.connection.take().filter(|held| held.status().connected());
        let connection = match held {
            Some(connection) => connection,
            None => {
                let connection = self.connect().await?;
                if state.connected_before {
                    self.metrics.reconnects.inc();
                }
                state.connected_before = true;
                connection
            }
        };
        // A connection that opens no channel is not kept: it may be frozen.
        let channel = self.answer("open a channel at", connection.create_channel()).await?;
        state.connection = Some(connection);
        Ok(channel)
    }

    async fn connect(&self) -> Result<Connection, LinkError> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let tls = OwnedTLSConfig { identity: None, cert_chain: self.tls.clone() };
        let runtime = lapin::runtime::default_runtime().map_err(|error| self.refused("find a runtime for", &error))?;
        let connecting = Connection::connect_uri_with_config(self.uri.clone(), properties, tls, runtime);
        // Boxed: the handshake's state is large.
        self.answer("connect to", Box::pin(connecting)).await
    }

    /// Waits for a step, a bounded time.
    pub(super) async fn answer<T>(
        &self,
        step: &'static str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, LinkError> {
        match timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.refused(step, &error)),
            Err(_) => Err(LinkError::Silent { step, address: self.address.clone(), within: self.timeout }),
        }
    }

    fn refused(&self, step: &'static str, error: &lapin::Error) -> LinkError {
        LinkError::Refused { step, address: self.address.clone(), reason: error.to_string() }
    }
}
