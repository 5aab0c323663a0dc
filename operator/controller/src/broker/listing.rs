//! What stands on a broker.

use std::collections::BTreeMap;

use klatch_desired::BrokerPlan;
use serde_json::Value;

use super::{Broker, BrokerError, BrokerLogin, Request, part};

/// All of it, as far as it is ours to look at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Whether the virtual host is there.
    pub vhost: bool,
    /// Users by name, with the hash of their password.
    pub users: BTreeMap<String, String>,
    /// Permissions in the virtual host by user: configure, write, read.
    pub permissions: BTreeMap<String, [String; 3]>,
    /// Exchanges by name: type, and whether they are durable.
    pub exchanges: BTreeMap<String, (String, bool)>,
    /// Queues by name: arguments, and whether they are durable.
    pub queues: BTreeMap<String, (Value, bool)>,
    /// Bindings: exchange, queue, key.
    pub bindings: Vec<[String; 3]>,
}

/// Lists a broker by the first of these whom it lets in.
///
/// # Errors
/// What the broker said to the last of them.
pub(super) async fn enter<'a>(
    broker: &dyn Broker,
    plan: &BrokerPlan,
    base: &str,
    logins: &'a [BrokerLogin],
) -> Result<(&'a BrokerLogin, Listing), BrokerError> {
    let mut refused = BrokerError::Unauthorised("nobody".to_owned());
    for login in logins {
        match list(broker, plan, base, login).await {
            Ok(listing) => return Ok((login, listing)),
            Err(error @ BrokerError::Unauthorised(_)) => refused = error,
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

/// Lists a broker.
///
/// # Errors
/// What the broker said.
pub async fn list(
    broker: &dyn Broker,
    plan: &BrokerPlan,
    base: &str,
    login: &BrokerLogin,
) -> Result<Listing, BrokerError> {
    let vhost = part(&plan.vhost);
    let get = |path: String| broker.call(Request { base, verb: "GET", path, body: None, login });
    let mut listing = Listing { vhost: get(format!("vhosts/{vhost}")).await?.is_some(), ..Listing::default() };
    // Only ours by name: a broker may have thousands of users of others.
    for user in &plan.users {
        if let Some(found) = get(format!("users/{}", part(&user.name))).await? {
            listing.users.insert(user.name.clone(), text(&found, "password_hash"));
        }
    }
    if !listing.vhost {
        return Ok(listing);
    }
    for one in items(get(format!("vhosts/{vhost}/permissions")).await?) {
        let permissions = ["configure", "write", "read"].map(|field| text(&one, field));
        listing.permissions.insert(text(&one, "user"), permissions);
    }
    for one in items(get(format!("exchanges/{vhost}")).await?) {
        listing.exchanges.insert(text(&one, "name"), (text(&one, "type"), one["durable"] == true));
    }
    for one in items(get(format!("queues/{vhost}")).await?) {
        listing.queues.insert(text(&one, "name"), (one["arguments"].clone(), one["durable"] == true));
    }
    for one in items(get(format!("bindings/{vhost}")).await?) {
        if one["destination_type"] == "queue" {
            listing.bindings.push(["source", "destination", "routing_key"].map(|field| text(&one, field)));
        }
    }
    Ok(listing)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn items(answer: Option<Value>) -> Vec<Value> {
    match answer {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}
