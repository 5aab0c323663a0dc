//! What each workload reads when it runs as a process of its own: `klatch gateway --settings FILE` and its like.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    ApiSettings, BrokerSettings, CacheSettings, DatabaseSettings, GatewaySettings, InternalSettings, KeysSettings,
    MessageServiceSettings, NotificationServiceSettings, QueriesSettings, TraceSettings, WebSettings, port,
};

/// What the stop of a workload may take beside a gateway's drain, seconds: the last publishes, the last batch, the links. A process
/// leaves what is not done by then as it is, which repeats work and loses nothing.
pub const STOP_SECONDS: u16 = 10;
/// A gateway's drain when nothing is said, seconds: the 20,000 connections that one holds on average close at 600 a second.
pub const DRAIN_SECONDS: u16 = 45;

/// `klatch gateway`. It is given no database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatewayProcess {
    /// Address and port of `/v1/connect`.
    pub listen: String,
    /// Address and port of `/healthz`, `/readyz` and `/metrics`.
    pub admin_listen: String,
    /// The chat server.
    pub gateway: GatewaySettings,
    /// RabbitMQ.
    pub broker: BrokerSettings,
    /// Redis.
    pub cache: CacheSettings,
    /// Where api replicas answer its questions.
    pub queries: QueriesSettings,
    /// Traces.
    pub trace: TraceSettings,
}

impl Default for GatewayProcess {
    fn default() -> Self {
        // A process of its own has the time that `klatch up` has not: the operator's drain period.
        let gateway = GatewaySettings { drain_ms: u64::from(DRAIN_SECONDS) * 1_000, ..GatewaySettings::default() };
        Self {
            listen: port::loopback(port::GATEWAY),
            admin_listen: port::loopback(port::GATEWAY_ADMIN),
            gateway,
            broker: BrokerSettings::default(),
            cache: CacheSettings::default(),
            queries: QueriesSettings::default(),
            trace: TraceSettings::default(),
        }
    }
}

/// `klatch message-service`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MessageServiceProcess {
    /// Address and port of `/healthz`, `/readyz` and `/metrics`.
    pub admin_listen: String,
    /// The writer.
    pub message_service: MessageServiceSettings,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// RabbitMQ.
    pub broker: BrokerSettings,
    /// Redis.
    pub cache: CacheSettings,
    /// Traces.
    pub trace: TraceSettings,
}

impl Default for MessageServiceProcess {
    fn default() -> Self {
        Self {
            admin_listen: port::loopback(port::MESSAGE_SERVICE_ADMIN),
            message_service: MessageServiceSettings::default(),
            database: DatabaseSettings::default(),
            broker: BrokerSettings::default(),
            cache: CacheSettings::default(),
            trace: TraceSettings::default(),
        }
    }
}

/// `klatch notification-service`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NotificationServiceProcess {
    /// Address and port of `/healthz`, `/readyz` and `/metrics`.
    pub admin_listen: String,
    /// What it does.
    pub notification_service: NotificationServiceSettings,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// RabbitMQ.
    pub broker: BrokerSettings,
    /// Redis.
    pub cache: CacheSettings,
    /// Traces.
    pub trace: TraceSettings,
}

impl Default for NotificationServiceProcess {
    fn default() -> Self {
        Self {
            admin_listen: port::loopback(port::NOTIFICATION_SERVICE_ADMIN),
            notification_service: NotificationServiceSettings::default(),
            database: DatabaseSettings::default(),
            broker: BrokerSettings::default(),
            cache: CacheSettings::default(),
            trace: TraceSettings::default(),
        }
    }
}

/// `klatch api`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ApiProcess {
    /// Address and port of `/v1` and `/`.
    pub listen: String,
    /// Address and port of `/healthz`, `/readyz` and `/metrics`.
    pub admin_listen: String,
    /// Folder of the built web client, served at `/`; without it a small page says what runs here.
    pub web_folder: Option<PathBuf>,
    /// The web client.
    pub web: WebSettings,
    /// The HTTP API.
    pub api: ApiSettings,
    /// Where gateways ask.
    pub internal: InternalSettings,
    /// What signs access tokens.
    pub keys: KeysSettings,
    /// PostgreSQL.
    pub database: DatabaseSettings,
    /// RabbitMQ.
    pub broker: BrokerSettings,
    /// Redis.
    pub cache: CacheSettings,
    /// Traces.
    pub trace: TraceSettings,
}

impl Default for ApiProcess {
    fn default() -> Self {
        Self {
            listen: port::loopback(port::API),
            admin_listen: port::loopback(port::API_ADMIN),
            web_folder: None,
            web: WebSettings::default(),
            api: ApiSettings::default(),
            internal: InternalSettings::default(),
            keys: KeysSettings::default(),
            database: DatabaseSettings::default(),
            broker: BrokerSettings::default(),
            cache: CacheSettings::default(),
            trace: TraceSettings::default(),
        }
    }
}

/// A role that may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RoleSettings {
    /// Its name.
    pub name: String,
    /// File that holds its password.
    pub password_file: PathBuf,
}

/// Roles that `klatch migrate` makes, or gives the passwords that stand in their files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RolesSettings {
    /// The role that owns the schema, and signs in nowhere; the others act as it.
    pub owner: String,
    /// Roles that may do everything, of which one signs in for this.
    pub superusers: Vec<RoleSettings>,
    /// Roles of workloads: two each, so that one's password can be changed while the other is in use.
    pub logins: Vec<RoleSettings>,
    /// Whether the directory gets them.
    pub directory: bool,
    /// Numbers of the shards that get them.
    pub shards: Vec<u16>,
}

/// `klatch migrate`
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MigrateProcess {
    /// PostgreSQL, as an owner of the schema.
    pub database: DatabaseSettings,
    /// Roles to make, which takes a user who may.
    pub roles: Option<RolesSettings>,
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;
    use crate::read_file;

    /// The documented settings are the defaults, and name every field, if only behind a `#`.
    fn documented<T: DeserializeOwned + Serialize + Default + PartialEq + std::fmt::Debug>(
        name: &str,
        more_than: usize,
    ) {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/settings/{name}.yaml"));
        assert_eq!(read_file::<T>(&file).unwrap(), T::default(), "{name}");
        let text = std::fs::read_to_string(file).unwrap();
        let mut fields = Vec::new();
        collect(&serde_json::to_value(T::default()).unwrap(), &mut fields);
        assert!(fields.len() > more_than, "this test looks at nothing");
        for field in fields {
            assert!(text.contains(&format!("{field}:")), "{name} does not tell of {field}");
        }
    }

    fn collect(value: &Value, fields: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    fields.push(name.clone());
                    collect(value, fields);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, fields)),
            _ => {}
        }
    }

    #[test]
    fn the_documented_settings_are_the_defaults() {
        documented::<GatewayProcess>("gateway", 20);
        documented::<MessageServiceProcess>("message-service", 20);
        documented::<NotificationServiceProcess>("notification-service", 20);
        documented::<ApiProcess>("api", 20);
        documented::<MigrateProcess>("migrate", 19);
    }
}
