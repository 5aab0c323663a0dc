//! The bus on the real parts: RabbitMQ and Redis.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use klatch_bus::{
    Bus,
    http::{self, HttpQueries, Replicas, ServiceToken},
    rabbitmq::{self, BrokerAddress, Topology},
    redis,
};
use klatch_domain::Event;
use klatch_service_kit::panic::spawn_critical;
use klatch_settings::{
    BrokerEndpoint, BrokerSettings, CacheMode, CacheSettings, ENV_BROKER_PASSWORD, ENV_CACHE_PASSWORD,
    ENV_SERVICE_TOKEN, QueriesSettings, TlsMode, TlsSettings, secret,
};
use tokio_util::sync::CancellationToken;

use super::{authorities::Authorities, needed};
use crate::workload::Base;

/// Connects. A broker that is away or lacks something is an error; a Redis that is away is none: delivery goes on without.
pub(super) async fn connect(
    base: &Base,
    name: &str,
    broker: &BrokerSettings,
    cache: &CacheSettings,
) -> anyhow::Result<Bus> {
    let brokers = rabbitmq::connect(broker_options(name, broker)?, &base.registry).await?;
    let redis = redis::connect(cache_options(cache)?, &base.registry).await?;
    Ok(Bus {
        commands: Arc::clone(&brokers.commands),
        events: Arc::clone(&brokers.events),
        watermarks: Arc::clone(&brokers.watermarks),
        notifications: Arc::clone(&brokers.notifications),
        signals: redis.signals,
        presence: redis.presence,
        rate_limits: redis.rate_limits,
        recent: redis.recent,
    })
}

/// Tells every gateway and api, from a process that ends right after.
///
/// # Errors
/// Why they may not have heard it.
pub(crate) async fn announce(broker: &BrokerSettings, said: Vec<Event>) -> anyhow::Result<()> {
    Ok(rabbitmq::announce(broker_options("klatch-user", broker)?, said).await?)
}

/// What a gateway asks api replicas, believing whom it is told to believe.
pub(super) fn queries(
    base: &Base,
    settings: &QueriesSettings,
    mut authorities: Authorities,
) -> anyhow::Result<Arc<HttpQueries>> {
    let secret = needed(settings.token_file.as_deref(), ENV_SERVICE_TOKEN, "the service token")?;
    let token = ServiceToken::parse(secret.reveal()).context("the service token cannot be used")?;
    let addresses = settings
        .addresses
        .iter()
        .map(|address| address.parse().with_context(|| format!("{address} in queries.addresses is no address")));
    let mut options = http::Options::new(Replicas::Addresses(addresses.collect::<anyhow::Result<_>>()?), token);
    options.ca.clone_from(&authorities.borrow_and_update());
    let queries = http::queries(options)?;
    let stop = base.stop.clone();
    let believing = believe(Arc::clone(&queries), authorities, stop.clone());
    spawn_critical("believed authorities", stop, believing);
    Ok(queries)
}

async fn believe(queries: Arc<HttpQueries>, mut authorities: Authorities, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = authorities.changed() => if changed.is_err() {
                // They stand in no file.
                return stop.cancelled().await;
            },
        }
        let Some(ca) = authorities.borrow_and_update().clone() else { continue };
        if let Err(error) = queries.believe(ca) {
            tracing::error!(%error, "those believed so far are believed still");
        }
    }
}

fn broker_options(name: &str, settings: &BrokerSettings) -> anyhow::Result<rabbitmq::Options> {
    let brokers = settings.brokers.iter().map(address).collect::<anyhow::Result<_>>()?;
    let mut options = rabbitmq::Options::new(name, brokers);
    let topology = &settings.topology;
    options.ca_file.clone_from(&settings.ca_file);
    options.topology = if settings.declare_topology { Topology::Declare } else { Topology::Check };
    options.prefix.clone_from(&topology.prefix);
    options.ingest_queues = topology.ingest_queues;
    options.lanes = topology.lanes;
    set(&mut options.ingest_messages, topology.ingest_messages);
    set(&mut options.ingest_bytes, topology.ingest_bytes);
    set(&mut options.delivery_limit, topology.delivery_limit);
    set(&mut options.notify_messages, topology.notify_messages);
    set(&mut options.notify_bytes, topology.notify_bytes);
    Ok(options)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// As a URI (RabbitMQ URI specification): what it is made of may hold any character.
fn address(endpoint: &BrokerEndpoint) -> anyhow::Result<BrokerAddress> {
    let BrokerEndpoint { host, port, vhost, user, password_file, tls } = endpoint;
    let password = needed(password_file.as_deref(), ENV_BROKER_PASSWORD, "the brokers' password")?;
    let scheme = if *tls == TlsMode::Off { "amqp" } else { "amqps" };
    let (user, password, vhost) = (escaped(user), escaped(password.reveal()), escaped(vhost));
    let address = format!("{scheme}://{user}:{password}@{host}:{port}/{vhost}");
    BrokerAddress::parse(&address).with_context(|| format!("the settings of the broker at {host}:{port}"))
}

/// Percent-encoded, but for what never needs it (RFC 3986 section 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn cache_options(settings: &CacheSettings) -> anyhow::Result<redis::Options> {
    let mode = match settings.mode {
        CacheMode::Standalone => redis::Mode::Standalone,
        CacheMode::Cluster => redis::Mode::Cluster,
    };
    let endpoints = settings.endpoints.iter();
    let endpoints = endpoints.map(|one| redis::Endpoint { host: one.host.clone(), port: one.port }).collect();
    let mut options = redis::Options::new(mode, endpoints);
    options.user.clone_from(&settings.user);
    let password = secret(settings.password_file.as_deref(), ENV_CACHE_PASSWORD)?;
    options.password = password.map(|password| password.reveal().to_owned());
    options.prefix.clone_from(&settings.prefix);
    options.tls = cache_tls(&settings.tls)?;
    Ok(options)
}

fn cache_tls(settings: &TlsSettings) -> anyhow::Result<Option<redis::Tls>> {
    match settings.mode {
        TlsMode::Off => Ok(None),
        TlsMode::Verify => Ok(Some(redis::Tls { ca: read_authorities(settings.ca_file.as_deref())? })),
    }
}

fn read_authorities(file: Option<&Path>) -> anyhow::Result<Option<Vec<u8>>> {
    let read = |path: &Path| std::fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    file.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_and_password_make_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "p@ss:w/rd#ü").unwrap();
        let endpoint = BrokerEndpoint {
            host: "broker".to_owned(),
            vhost: "/".to_owned(),
            user: "a@b".to_owned(),
            password_file: Some(file),
            tls: TlsMode::Verify,
            ..BrokerEndpoint::default()
        };
        let address = address(&endpoint).unwrap();
        assert!(address.is_encrypted());
        assert_eq!(address.to_string(), "amqps://broker:5672 vhost \"/\"");
        assert_eq!(escaped("p@ss:w/rd#ü"), "p%40ss%3Aw%2Frd%23%C3%BC");
    }
}
