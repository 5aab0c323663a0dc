//! What no workload could keep to is refused before it starts, by the name of its field.

use crate::{
    ApiProcess, BrokerSettings, CacheSettings, DatabaseSettings, GatewayProcess, InternalSettings,
    MessageServiceProcess, MigrateProcess, NotificationServiceProcess, NotificationServiceSettings, PostgresSettings,
    QueriesSettings, TraceSettings,
};

/// A setting that cannot be meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {rule}")]
pub struct WrongSetting {
    /// Which, as it stands in the file: `database.shards[1].primary.port`.
    pub field: String,
    /// What it must be.
    pub rule: String,
}

type Checked = Result<(), WrongSetting>;

fn wrong<T>(field: impl Into<String>, rule: impl Into<String>) -> Result<T, WrongSetting> {
    Err(WrongSetting { field: field.into(), rule: rule.into() })
}

/// Settings of a process that says what is wrong with them.
pub trait Check {
    /// # Errors
    /// The first field that is wrong.
    fn check(&self) -> Result<(), WrongSetting>;
}

impl Check for GatewayProcess {
    fn check(&self) -> Checked {
        has_port("listen", &self.listen)?;
        has_port("adminListen", &self.admin_listen)?;
        at_least_one("gateway.slots", self.gateway.slots.into())?;
        at_least_one("gateway.maxConnections", self.gateway.max_connections as u64)?;
        at_least_one("gateway.heartbeatMs", self.gateway.heartbeat_ms)?;
        at_least_one("gateway.helloTimeoutMs", self.gateway.hello_timeout_ms)?;
        at_least_one("gateway.outputBytes", self.gateway.output_bytes as u64)?;
        broker(&self.broker)?;
        cache(&self.cache)?;
        queries(&self.queries)?;
        trace(&self.trace)
    }
}

impl Check for MessageServiceProcess {
    fn check(&self) -> Checked {
        has_port("adminListen", &self.admin_listen)?;
        at_least_one("messageService.batchCommands", self.message_service.batch_commands as u64)?;
        at_least_one("messageService.heads", self.message_service.heads as u64)?;
        database(&self.database)?;
        broker(&self.broker)?;
        cache(&self.cache)?;
        trace(&self.trace)
    }
}

impl Check for NotificationServiceProcess {
    fn check(&self) -> Checked {
        has_port("adminListen", &self.admin_listen)?;
        notification_service(&self.notification_service)?;
        database(&self.database)?;
        broker(&self.broker)?;
        cache(&self.cache)?;
        trace(&self.trace)
    }
}

impl Check for MigrateProcess {
    fn check(&self) -> Checked {
        database(&self.database)
    }
}

impl Check for ApiProcess {
    fn check(&self) -> Checked {
        has_port("listen", &self.listen)?;
        has_port("adminListen", &self.admin_listen)?;
        internal(&self.internal)?;
        database(&self.database)?;
        broker(&self.broker)?;
        cache(&self.cache)?;
        trace(&self.trace)
    }
}

fn has_port(field: &str, address: &str) -> Checked {
    let shaped = address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if shaped { Ok(()) } else { wrong(field, format!("is HOST:PORT, and {address:?} is not")) }
}

fn at_least_one(field: &str, value: u64) -> Checked {
    if value == 0 { wrong(field, "is at least 1") } else { Ok(()) }
}

fn not_empty(field: &str, empty: bool) -> Checked {
    if empty { wrong(field, "must not be empty") } else { Ok(()) }
}

fn is_url(field: String, url: &str) -> Checked {
    let shaped =
        ["http://", "https://"].iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
    if shaped { Ok(()) } else { wrong(field, format!("begins with http:// or https://, and {url:?} does not")) }
}

fn postgres(field: &str, settings: &PostgresSettings) -> Checked {
    not_empty(&format!("{field}.host"), settings.host.is_empty())?;
    not_empty(&format!("{field}.database"), settings.database.is_empty())?;
    not_empty(&format!("{field}.user"), settings.user.is_empty())?;
    at_least_one(&format!("{field}.port"), settings.port.into())
}

fn database(settings: &DatabaseSettings) -> Checked {
    at_least_one("database.slots", settings.slots.into())?;
    postgres("database.directory.primary", &settings.directory.primary)?;
    for (index, replica) in settings.directory.replicas.iter().enumerate() {
        postgres(&format!("database.directory.replicas[{index}]"), replica)?;
    }
    at_least_one("database.pools.directory", settings.pools.directory.into())?;
    at_least_one("database.pools.replica", settings.pools.replica.into())?;
    at_least_one("database.pools.shardWriters", settings.pools.shard_writers.into())?;
    at_least_one("database.pools.shardReaders", settings.pools.shard_readers.into())?;
    not_empty("database.shards", settings.shards.is_empty())?;
    for (index, shard) in settings.shards.iter().enumerate() {
        postgres(&format!("database.shards[{index}].primary"), &shard.primary)?;
        if settings.shards[..index].iter().any(|other| other.id == shard.id) {
            return wrong(format!("database.shards[{index}].id"), format!("is {} once already", shard.id));
        }
    }
    Ok(())
}

fn broker(settings: &BrokerSettings) -> Checked {
    not_empty("broker.brokers", settings.brokers.is_empty())?;
    for (index, broker) in settings.brokers.iter().enumerate() {
        not_empty(&format!("broker.brokers[{index}].host"), broker.host.is_empty())?;
        at_least_one(&format!("broker.brokers[{index}].port"), broker.port.into())?;
    }
    at_least_one("broker.topology.ingestQueues", settings.topology.ingest_queues.into())?;
    at_least_one("broker.topology.lanes", settings.topology.lanes.into())?;
    at_least_one("broker.topology.ingestMessages", settings.topology.ingest_messages.unwrap_or(1).into())?;
    at_least_one("broker.topology.ingestBytes", settings.topology.ingest_bytes.unwrap_or(1))?;
    at_least_one("broker.topology.notifyMessages", settings.topology.notify_messages.unwrap_or(1).into())?;
    at_least_one("broker.topology.notifyBytes", settings.topology.notify_bytes.unwrap_or(1))?;
    // Handovers raise the count too: a low limit would throw messages away that nothing is wrong with.
    if settings.topology.delivery_limit.is_some_and(|limit| limit < 50) {
        return wrong("broker.topology.deliveryLimit", "is at least 50: handovers count too");
    }
    Ok(())
}

fn cache(settings: &CacheSettings) -> Checked {
    not_empty("cache.endpoints", settings.endpoints.is_empty())?;
    not_empty("cache.prefix", settings.prefix.is_empty())?;
    for (index, endpoint) in settings.endpoints.iter().enumerate() {
        not_empty(&format!("cache.endpoints[{index}].host"), endpoint.host.is_empty())?;
        at_least_one(&format!("cache.endpoints[{index}].port"), endpoint.port.into())?;
    }
    Ok(())
}

fn queries(settings: &QueriesSettings) -> Checked {
    not_empty("queries.addresses", settings.addresses.is_empty())?;
    let mut addresses = settings.addresses.iter().enumerate();
    addresses.try_for_each(|(index, address)| is_url(format!("queries.addresses[{index}]"), address))
}

fn internal(settings: &InternalSettings) -> Checked {
    has_port("internal.listen", &settings.listen)?;
    if settings.certificate_file.is_some() != settings.key_file.is_some() {
        return wrong("internal.certificateFile", "and internal.keyFile go together");
    }
    Ok(())
}

/// Also for `klatch up`.
///
/// # Errors
/// [`WrongSetting`].
pub fn notification_service(settings: &NotificationServiceSettings) -> Checked {
    at_least_one("notificationService.roomsAtOnce", settings.rooms_at_once as u64)?;
    if settings.delay_ms > NotificationServiceSettings::LONGEST_DELAY_MS {
        let most = NotificationServiceSettings::LONGEST_DELAY_MS;
        return wrong("notificationService.delayMs", format!("is at most {most}"));
    }
    Ok(())
}

/// Also for `klatch up`.
///
/// # Errors
/// [`WrongSetting`].
pub fn trace(settings: &TraceSettings) -> Result<(), WrongSetting> {
    if let Some(endpoint) = &settings.endpoint {
        is_url("trace.endpoint".to_owned(), endpoint)?;
    }
    if !(0.0..=1.0).contains(&settings.sample_ratio) {
        return wrong("trace.sampleRatio", "is between 0 and 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ShardSettings, read_text};

    #[test]
    fn the_defaults_are_right() {
        assert_eq!(GatewayProcess::default().check(), Ok(()));
        assert_eq!(MessageServiceProcess::default().check(), Ok(()));
        assert_eq!(NotificationServiceProcess::default().check(), Ok(()));
        assert_eq!(ApiProcess::default().check(), Ok(()));
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let api = |text: &str| read_text::<ApiProcess>(text).unwrap().check().unwrap_err().field;
        for (text, field) in [
            ("listen: here", "listen"),
            ("adminListen: ':80'", "adminListen"),
            ("internal: {listen: x}", "internal.listen"),
            ("internal: {keyFile: /x}", "internal.certificateFile"),
            ("database: {slots: 0}", "database.slots"),
            ("database: {shards: []}", "database.shards"),
            ("database: {shards: [{id: 1}, {id: 1}]}", "database.shards[1].id"),
            ("database: {shards: [{primary: {port: 0}}]}", "database.shards[0].primary.port"),
            ("database: {pools: {shardWriters: 0}}", "database.pools.shardWriters"),
            ("database: {directory: {replicas: [{host: ''}]}}", "database.directory.replicas[0].host"),
            ("broker: {brokers: []}", "broker.brokers"),
            ("broker: {topology: {deliveryLimit: 3}}", "broker.topology.deliveryLimit"),
            ("cache: {endpoints: []}", "cache.endpoints"),
            ("trace: {sampleRatio: 2}", "trace.sampleRatio"),
            ("trace: {endpoint: 'localhost:4317'}", "trace.endpoint"),
        ] {
            assert_eq!(api(text), field, "{text}");
        }
        let gateway = |text: &str| read_text::<GatewayProcess>(text).unwrap().check().unwrap_err().field;
        assert_eq!(gateway("queries: {addresses: []}"), "queries.addresses");
        assert_eq!(gateway("queries: {addresses: [api]}"), "queries.addresses[0]");
        assert_eq!(gateway("gateway: {maxConnections: 0}"), "gateway.maxConnections");
    }

    #[test]
    fn a_field_nobody_knows_is_refused_by_name() {
        for text in
            ["databse: {}", "database: {shard: []}", "broker: {brokers: [{password: x}]}", "cache: {password: x}"]
        {
            let refused = read_text::<ApiProcess>(text).unwrap_err();
            let field = text.rsplit(['{', ' ']).find_map(|part| part.strip_suffix(':')).unwrap_or("databse");
            assert!(refused.contains(field), "{text}: {refused}");
        }
        assert!(read_text::<GatewayProcess>("database: {}").is_err(), "a gateway is given no database");
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let read = read_text::<ApiProcess>("database: {shards: [{id: 3, primary: {host: db}}]}").unwrap();
        let primary = PostgresSettings { host: "db".to_owned(), ..PostgresSettings::default() };
        assert_eq!(read.database.shards, [ShardSettings { id: 3, primary }]);
        assert_eq!(read.broker, BrokerSettings::default());
    }
}
