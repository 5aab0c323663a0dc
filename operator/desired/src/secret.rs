//! Which Secrets there must be, and with which keys. What is in them is made by the controller, once, and never seen here.

use std::collections::{BTreeMap, BTreeSet};

use klatch_crd::Provider;

use crate::{Context, Login, Names, Role, name::login_key};

/// What a key of a Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// 32 random bytes, in hexadecimal digits.
    Password,
    /// The private key and certificate of these names, and the authorities it is believed by: `tls.key`, `tls.crt`, `ca.crt`. While it is
    /// renewed, `next.key` and `next.crt` as well, which no pod mounts.
    Certificate(Vec<String>),
    /// The keys that sign access tokens, a file each, as `klatch-identity` writes them.
    SigningKeys,
}

/// A Secret that is created when it is not there. A key that it lacks is added; what is there is never overwritten but by a rotation or a renewal.
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
    /// The keys of a login: those of the second end with its letter. What is of no login is made new with those of the first.
    pub fn keys_of(&self, login: Login) -> impl Iterator<Item = &str> {
        let is_of = move |key: &&String| Login::of(key.rsplit('-').next().unwrap_or_default()) == login;
        self.keys.keys().filter(move |key| self.logins && is_of(key)).map(String::as_str)
    }

    /// What of it a Secret with these keys lacks: a shape of its own, of the same name.
    #[must_use]
    pub fn lacking(&self, there: &BTreeSet<String>) -> Self {
        let lacks = |(key, content): &(&String, &Content)| match content {
            // Their files are called by their keys' own names.
            Content::SigningKeys => there.is_empty(),
            Content::Password | Content::Certificate(_) => !there.contains(*key),
        };
        let keys = self.keys.iter().filter(lacks).map(|(key, content)| (key.clone(), content.clone())).collect();
        Self { name: self.name.clone(), keys, ..*self }
    }

    /// The names of its keys, as a Secret that has all of them says.
    #[must_use]
    pub fn note(&self) -> String {
        self.keys.keys().map(String::as_str).collect::<Vec<_>>().join(",")
    }
}

/// Key of the brokers' cookie.
pub(crate) const COOKIE: &str = "cookie";
/// Key of the service token of the first login. The second's ends with its letter.
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

/// The key of a login, where the first login's is called as if there were no other: it was there first.
pub(crate) fn key_of(key: &str, login: Login) -> String {
    match login {
        Login::A => key.to_owned(),
        Login::B => format!("{key}-{}", login.letter()),
    }
}

fn both_logins(name: String, keys: impl IntoIterator<Item = String>, retained: bool) -> SecretShape {
    let keys = keys.into_iter().map(|key| (key, Content::Password)).collect();
    SecretShape { name, keys, retained, logins: true }
}

/// The key of one of the two who may do everything, at databases and at brokers.
pub(crate) fn admin(login: Login) -> String {
    key_of("admin", login)
}

fn logins(roles: &[Role]) -> Vec<String> {
    roles.iter().flat_map(|role| Login::BOTH.map(|login| login_key(*role, login))).collect()
}

/// Every Secret of the cluster that the operator makes.
pub(crate) fn secrets(context: &Context<'_>) -> Vec<SecretShape> {
    let mut secrets = vec![
        both_logins(broker_logins(context), logins(&Role::WORKLOADS), true),
        both_logins(service_token(context), Login::BOTH.map(|login| key_of(TOKEN, login)), false),
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
        secrets.push(both_logins(postgres(context), Login::BOTH.map(admin), true));
        secrets.push(both_logins(database_logins(context), logins(&Role::DATABASE_USERS), true));
    }
    if context.spec().broker.provider == Provider::Managed {
        secrets.push(both_logins(
            rabbitmq(context),
            Login::BOTH.map(admin).into_iter().chain([COOKIE.to_owned()]),
            true,
        ));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_made_again_and_each_key_is_of_one_login() {
        let shape = both_logins("x".to_owned(), Login::BOTH.map(|login| key_of(TOKEN, login)), false);
        let there = BTreeSet::from(["token".to_owned()]);
        assert_eq!(shape.lacking(&there).note(), "token-b");
        assert_eq!(shape.keys_of(Login::A).collect::<Vec<_>>(), ["token"]);
        assert_eq!(shape.keys_of(Login::B).collect::<Vec<_>>(), ["token-b"]);
        let keys = [("signing".to_owned(), Content::SigningKeys)].into();
        let keys = SecretShape { name: "y".to_owned(), keys, retained: true, logins: false };
        assert_eq!(keys.lacking(&["abc.key.json".to_owned()].into()).note(), "");
        assert_eq!(keys.lacking(&BTreeSet::new()).note(), "signing");
    }
}
