//! Which Secrets there must be, and with which keys. What is in them is made by the controller, once, and never seen here.

use std::collections::BTreeMap;

use klatch_crd::Provider;

use crate::{Context, Login, Names, Role, name::login_key};

/// What a key of a Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// 32 random bytes, in hexadecimal digits.
    Password,
    /// The private key and certificate of these names, and the authority that signed it: `tls.key`, `tls.crt`, `ca.crt`.
    Certificate(Vec<String>),
    /// The keys that sign access tokens, a file each, as `klatch-identity` writes them.
    SigningKeys,
}

/// A Secret that is created when it is not there, and never overwritten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretShape {
    /// Its name.
    pub name: String,
    /// What its keys hold.
    pub keys: BTreeMap<String, Content>,
    /// Whether it stays when the ChatCluster goes: what opens retained data.
    pub retained: bool,
    /// Whether its keys are passwords of both logins, of which those of one are made new when somebody asks for it.
    pub logins: bool,
}

impl SecretShape {
    /// The keys of a login.
    pub fn keys_of(&self, login: Login) -> impl Iterator<Item = &str> {
        let is_of = move |key: &&String| key.rsplit('-').next() == Some(login.letter());
        self.keys.keys().filter(move |key| self.logins && is_of(key)).map(String::as_str)
    }
}

/// Key of the superuser of databases, and of brokers.
pub(crate) const ADMIN: &str = "admin";
/// Key of the brokers' cookie.
pub(crate) const COOKIE: &str = "cookie";
/// Key of the service token.
pub(crate) const TOKEN: &str = "token";

pub(crate) fn postgres(context: &Context<'_>) -> String {
    context.names.of("postgres")
}
pub(crate) fn database_logins(context: &Context<'_>) -> String {
    context.names.of("database-logins")
}
pub(crate) fn rabbitmq(context: &Context<'_>) -> String {
    context.names.of("rabbitmq")
}
pub(crate) fn broker_logins(context: &Context<'_>) -> String {
    rotation_secret(&context.names)
}

/// Annotation of the Secret that [`rotation_secret`] names: a JSON object with `login` and `rotations`, as
/// [`Observed`](crate::Observed) has them, and how far a rotation has come.
pub const ROTATION: &str = "klatch.dev/rotation";

/// The Secret that says how far a rotation has come, in an annotation: one that every ChatCluster has, and that outlives it.
#[must_use]
pub fn rotation_secret(names: &Names) -> String {
    names.of("broker-logins")
}
pub(crate) fn redis(context: &Context<'_>) -> String {
    context.names.of("redis")
}
pub(crate) fn service_token(context: &Context<'_>) -> String {
    context.names.of("service-token")
}
pub(crate) fn internal_tls(context: &Context<'_>) -> String {
    context.names.of("internal-tls")
}
pub(crate) fn signing_keys(context: &Context<'_>) -> String {
    context.names.of("signing-keys")
}

fn passwords(name: String, keys: impl IntoIterator<Item = String>, retained: bool) -> SecretShape {
    let keys = keys.into_iter().map(|key| (key, Content::Password)).collect();
    SecretShape { name, keys, retained, logins: false }
}

fn both_logins(name: String, keys: impl IntoIterator<Item = String>, retained: bool) -> SecretShape {
    SecretShape { logins: true, ..passwords(name, keys, retained) }
}

fn logins(roles: &[Role]) -> Vec<String> {
    roles.iter().flat_map(|role| Login::BOTH.map(|login| login_key(*role, login))).collect()
}

/// Every Secret of the cluster that the operator makes.
pub(crate) fn secrets(context: &Context<'_>) -> Vec<SecretShape> {
    let mut secrets = vec![
        both_logins(broker_logins(context), logins(&Role::WORKLOADS), true),
        passwords(service_token(context), [TOKEN.to_owned()], false),
        SecretShape {
            name: internal_tls(context),
            keys: [("tls.crt".to_owned(), Content::Certificate(vec![internal_service(context)]))].into(),
            retained: false,
            logins: false,
        },
        SecretShape {
            name: signing_keys(context),
            keys: [("signing".to_owned(), Content::SigningKeys)].into(),
            retained: true,
            logins: false,
        },
    ];
    if context.shards.iter().any(|shard| shard.managed().is_some()) || managed_directory(context) {
        secrets.push(passwords(postgres(context), [ADMIN.to_owned()], true));
        secrets.push(both_logins(database_logins(context), logins(&Role::DATABASE_USERS), true));
    }
    if context.spec().broker.provider == Provider::Managed {
        secrets.push(passwords(rabbitmq(context), [ADMIN, COOKIE].map(str::to_owned), true));
    }
    if context.spec().cache.provider == Provider::Managed {
        secrets.push(both_logins(redis(context), Login::BOTH.map(|login| login.letter().to_owned()), false));
    }
    secrets.sort_by(|one, other| one.name.cmp(&other.name));
    secrets
}

pub(crate) fn managed_directory(context: &Context<'_>) -> bool {
    context.spec().directory.provider == Provider::Managed
}

/// The Service that gateways ask api by.
pub(crate) fn internal_service(context: &Context<'_>) -> String {
    context.names.of("api-internal")
}
