//! One settings struct per workload. The operator writes it, the workload reads it; a port, a file name or an environment
//! name exists once, here.
//!
//! A settings file is YAML; what it leaves out has its default; a field nobody knows is refused by name, as a typing
//! mistake must not pass for a setting. Secrets never stand in it: they come by files it names, or by the environment.

mod limits;
mod read;
mod workload;

pub use limits::Limits;
pub use read::{SettingsError, read_file};
pub use workload::{
    ApiSettings, BusSettings, GatewaySettings, MessageServiceSettings, SignUp, StoreSettings, UpSettings, WebSettings,
};

/// Where `klatch up` listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8480";
/// Where `klatch up` keeps its data unless told otherwise.
pub const DEFAULT_DATA: &str = "./klatch-data";
/// Environment: the bot token scripts post with.
pub const ENV_BOT_TOKEN: &str = "KLATCH_BOT_TOKEN";
/// Environment: a PEM file with authorities the command line believes beside the system's.
pub const ENV_CA_FILE: &str = "KLATCH_CA_FILE";
/// Environment: the server the command line speaks to.
pub const ENV_SERVER: &str = "KLATCH_SERVER";
/// Environment: the file that keeps the command line's session.
pub const ENV_SESSION_FILE: &str = "KLATCH_SESSION_FILE";
/// Environment: what is logged, in the syntax of tracing's EnvFilter.
pub const ENV_LOG: &str = "KLATCH_LOG";
/// Environment: the password a command needs, so that it never stands on a command line.
pub const ENV_PASSWORD: &str = "KLATCH_PASSWORD";
