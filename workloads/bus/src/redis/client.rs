//! From options to a connection.

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, Pipeline,
    ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, RedisResult, ServerErrorKind, TlsCertificates, TlsMode,
    Value,
    aio::{ConnectionLike, MultiplexedConnection},
    cluster::{ClusterClient, ClusterConfig},
    cluster_async::ClusterConnection,
};

use super::{Mode, Options};

/// Takes what Redis pushes; must not wait.
pub(super) type OnPush = std::sync::Arc<dyn Fn(PushInfo) + Send + Sync>;

/// A connection to one server, or one to each of a cluster. Clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Opens a new connection. The endpoints of a standalone Redis are tried in order.
pub(super) async fn connect(options: &Options, on_push: Option<OnPush>) -> RedisResult<Connection> {
    match options.mode {
        Mode::Standalone => single(options, on_push).await.map(Connection::Single),
        Mode::Cluster => cluster(options, on_push).await.map(Connection::Cluster),
    }
}

async fn single(options: &Options, on_push: Option<OnPush>) -> RedisResult<MultiplexedConnection> {
    let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "no endpoint is named"));
    for info in infos(options)? {
        let client = match &options.tls {
            Some(_) => Client::build_with_tls(info, certificates(options))?,
            None => Client::open(info)?,
        };
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(Some(options.response_timeout));
        if let Some(on_push) = on_push.clone() {
            config = config.set_push_sender(move |push: PushInfo| {
                on_push(push);
                Ok::<(), ()>(())
            });
        }
        let connected = async {
            let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
            if options.endpoints.len() > 1 {
                check_primary(&mut connection).await?;
            }
            Ok(connection)
        };
        match connected.await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Of several endpoints, only the primary is of use: presence is read where it is written.
async fn check_primary(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let role = connection.req_packed_command(&redis::cmd("ROLE")).await?;
    let name = role.as_sequence().and_then(|role| role.first());
    if name == Some(&Value::BulkString(b"master".to_vec())) {
        Ok(())
    } else {
        Err(RedisError::from((ErrorKind::Client, "this endpoint is a replica")))
    }
}

async fn cluster(options: &Options, on_push: Option<OnPush>) -> RedisResult<ClusterConnection> {
    let mut builder = ClusterClient::builder(infos(options)?)
        .use_protocol(ProtocolVersion::RESP3)
        .connection_timeout(options.connect_timeout)
        .response_timeout(options.response_timeout);
    if options.tls.is_some() {
        builder = builder.tls(TlsMode::Secure).certs(certificates(options));
    }
    if let Some(password) = &options.password {
        builder = builder.password(password);
    }
    if let Some(user) = &options.user {
        builder = builder.username(user);
    }
    if let Some(on_push) = on_push {
        builder = builder.push_sender(move |push: PushInfo| {
            on_push(push);
            Ok::<(), ()>(())
        });
    }
    let config = ClusterConfig::new().set_connection_timeout(options.connect_timeout);
    builder.build()?.get_async_connection_with_config(config).await
}

fn infos(options: &Options) -> RedisResult<Vec<ConnectionInfo>> {
    let mut settings =
        RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3).set_db(i64::from(options.database));
    if let Some(password) = &options.password {
        settings = settings.set_password(password);
    }
    if let Some(user) = &options.user {
        settings = settings.set_username(user);
    }
    let address = |host: String, port| match options.tls {
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        None => ConnectionAddr::Tcp(host, port),
    };
    let infos = options.endpoints.iter().map(|endpoint| {
        let info = address(endpoint.host.clone(), endpoint.port).into_connection_info()?;
        Ok(info.set_redis_settings(settings.clone()))
    });
    infos.collect()
}

fn certificates(options: &Options) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: options.tls.as_ref().and_then(|tls| tls.ca.clone()) }
}

/// Whether the server does not know a script any more: it was restarted, or its scripts were flushed.
pub(super) fn lacks_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

impl Connection {
    /// Sends one command.
    pub(super) async fn one(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => connection.req_packed_command(command).await,
            Self::Cluster(connection) => connection.req_packed_command(command).await,
        }
    }

    /// Sends commands together: one round trip. They are carried out in this order on a single server; on a cluster, those
    /// of one slot are.
    pub(super) async fn all(&mut self, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        match self {
            Self::Single(connection) => {
                let (count, mut pipeline) = (commands.len(), Pipeline::with_capacity(commands.len()));
                for command in commands {
                    pipeline.add_command(command);
                }
                let answers = connection.req_packed_commands(&pipeline, 0, count).await?;
                answers.into_iter().map(Value::extract_error).collect()
            }
            Self::Cluster(connection) => {
                // The library pipelines within one slot only; sent at once they share each node's connection all the same.
                let answers = commands.into_iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { connection.req_packed_command(&command).await }
                });
                futures_util::future::try_join_all(answers).await
            }
        }
    }

    /// Ends subscriptions, and waits until the server has said so.
    pub(super) async fn unsubscribe(&mut self, channels: &[String]) -> RedisResult<()> {
        match self {
            Self::Single(connection) => connection.unsubscribe(channels).await,
            Self::Cluster(connection) => {
                for channel in channels {
                    connection.sunsubscribe(channel).await?;
                }
                Ok(())
            }
        }
    }

    /// Subscribes, and waits until the server has said so.
    pub(super) async fn subscribe(&mut self, channels: &[String]) -> RedisResult<()> {
        match self {
            Self::Single(connection) => connection.subscribe(channels).await,
            Self::Cluster(connection) => {
                // One at a time: channels of one call must be of one slot.
                for channel in channels {
                    connection.ssubscribe(channel).await?;
                }
                Ok(())
            }
        }
    }
}
