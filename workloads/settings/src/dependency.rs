//! What `klatch dependency` reads: a service that the operator runs, started in any image that holds it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{place, port};

/// Environment: the cluster id that a service's volume belongs to.
pub const ENV_CLUSTER_ID: &str = "KLATCH_CLUSTER_ID";
/// Environment: the name of an Erlang node, `rabbit@HOST`.
pub const ENV_NODE_NAME: &str = "KLATCH_NODE_NAME";

/// `klatch dependency postgres`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PostgresDependency {
    /// Folder of the database cluster, below the volume. It is made when it is not there.
    pub data: PathBuf,
    /// `postgresql.conf`.
    pub configuration_file: PathBuf,
    /// `pg_hba.conf`.
    pub hba_file: PathBuf,
    /// Port of this machine by which it is asked whether it answers.
    pub port: u16,
    /// The role that may do everything, made with the folder.
    pub superuser: String,
    /// File of its password.
    pub password_file: PathBuf,
    /// A second such role, so that one's password can be changed while the other is in use.
    pub other_superuser: String,
    /// File of its password. Where there is none, the role is not made.
    pub other_password_file: PathBuf,
    /// The database that is made with the folder.
    pub database: String,
    /// Folder for its socket.
    pub run: PathBuf,
}

impl Default for PostgresDependency {
    fn default() -> Self {
        Self {
            data: PathBuf::from(place::DATA).join("postgres"),
            configuration_file: PathBuf::from(place::FOLDER).join("postgresql.conf"),
            hba_file: PathBuf::from(place::FOLDER).join("pg_hba.conf"),
            port: port::POSTGRES,
            superuser: "klatch_admin".to_owned(),
            password_file: PathBuf::from(place::secret("admin")),
            other_superuser: "klatch_admin_b".to_owned(),
            other_password_file: PathBuf::from(place::secret("admin-b")),
            database: "klatch".to_owned(),
            run: PathBuf::from(place::RUN),
        }
    }
}

/// `klatch dependency rabbitmq`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RabbitmqDependency {
    /// Folder of the broker, below the volume.
    pub data: PathBuf,
    /// `rabbitmq.conf`, without secrets.
    pub configuration_file: PathBuf,
    /// Plugins that are on.
    pub plugins: Vec<String>,
    /// The user who may do everything: the one whom a broker with nothing on its volume knows.
    pub administrator: String,
    /// File of their password.
    pub password_file: PathBuf,
    /// File of the cookie that the brokers of a cluster know each other by. Read again and again: it may change.
    pub cookie_file: PathBuf,
    /// Folder for what is written at each start.
    pub run: PathBuf,
}

impl Default for RabbitmqDependency {
    fn default() -> Self {
        Self {
            data: PathBuf::from(place::DATA).join("rabbitmq"),
            configuration_file: PathBuf::from(place::FOLDER).join("rabbitmq.conf"),
            plugins: vec!["rabbitmq_management".to_owned()],
            administrator: "klatch_admin".to_owned(),
            password_file: PathBuf::from(place::secret("admin")),
            cookie_file: PathBuf::from(place::secret("cookie")),
            run: PathBuf::from(place::RUN),
        }
    }
}

/// `klatch dependency redis`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RedisDependency {
    /// `redis.conf`, without secrets.
    pub configuration_file: PathBuf,
    /// The one user.
    pub user: String,
    /// Files of the passwords the user may show: two, so that one can be changed while the other is in use.
    pub password_files: Vec<PathBuf>,
    /// Keys and channels of the user begin with this.
    pub prefix: String,
    /// Folder for what is written at each start.
    pub run: PathBuf,
}

impl Default for RedisDependency {
    fn default() -> Self {
        Self {
            configuration_file: PathBuf::from(place::FOLDER).join("redis.conf"),
            user: "klatch".to_owned(),
            password_files: vec![PathBuf::from(place::secret("a")), PathBuf::from(place::secret("b"))],
            prefix: "klatch".to_owned(),
            run: PathBuf::from(place::RUN),
        }
    }
}
