//! What a broker lacks.

use std::collections::BTreeMap;

use klatch_desired::{BrokerPlan, Queue};
use serde_json::{Value, json};

use super::{Listing, part, password};

/// Something to write, in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// `PUT`, `POST`.
    pub verb: &'static str,
    /// Below `/api/`.
    pub path: String,
    /// What is sent. It may hold the hash of a password.
    pub body: Value,
}

/// What stands there with properties that cannot be changed without deleting it, and what is in it.
pub(super) type Stuck = Vec<String>;

fn put(path: String, body: Value) -> Edit {
    Edit { verb: "PUT", path, body }
}

/// What to write, and what is in the way. Passwords are by user; of those whose password is not given it is not compared.
#[must_use]
pub fn edits(
    plan: &BrokerPlan,
    administrator: &str,
    passwords: &BTreeMap<String, String>,
    there: &Listing,
) -> (Vec<Edit>, Stuck) {
    let vhost = part(&plan.vhost);
    let (mut edits, mut stuck) = (Vec::new(), Vec::new());
    if !there.vhost {
        let body = json!({"description": "Klatch", "default_queue_type": "classic"});
        edits.push(put(format!("vhosts/{vhost}"), body));
    }
    // Who declares something in a virtual host needs permissions there, administrator or not. Those of ours are among the users.
    let all = [".*", ".*", ".*"].map(str::to_owned);
    let ours = plan.users.iter().any(|user| user.name == administrator);
    if !ours && there.permissions.get(administrator) != Some(&all) {
        let body = json!({"configure": ".*", "write": ".*", "read": ".*"});
        edits.push(put(format!("permissions/{vhost}/{}", part(administrator)), body));
    }
    for user in &plan.users {
        let (hash, secret) = (there.users.get(&user.name), passwords.get(&user.name));
        let right = hash.is_some_and(|hash| secret.is_none_or(|secret| password::is_of(hash, secret)));
        if !right {
            let hash = secret.map(|secret| password::hash(secret, rand::random()));
            // A broker that is given the password hashes it as it likes, and then nobody can tell whose hash it is.
            let body = json!({"password_hash": hash, "hashing_algorithm": password::ALGORITHM, "tags": user.tags});
            edits.push(put(format!("users/{}", part(&user.name)), body));
        }
        let wanted = &user.permissions;
        let wanted = [&wanted.configure, &wanted.write, &wanted.read].map(Clone::clone);
        if there.permissions.get(&user.name) != Some(&wanted) {
            let [configure, write, read] = wanted;
            let body = json!({"configure": configure, "write": write, "read": read});
            edits.push(put(format!("permissions/{vhost}/{}", part(&user.name)), body));
        }
    }
    for exchange in &plan.exchanges {
        match there.exchanges.get(&exchange.name) {
            None => edits.push(put(
                format!("exchanges/{vhost}/{}", part(&exchange.name)),
                json!({"type": exchange.kind, "durable": true}),
            )),
            Some((kind, durable)) if kind == exchange.kind && *durable => {}
            Some(_) => stuck.push(format!("exchange {} of {}", exchange.name, plan.vhost)),
        }
    }
    for queue in &plan.queues {
        match there.queues.get(&queue.name) {
            None => edits.push(put(
                format!("queues/{vhost}/{}", part(&queue.name)),
                json!({"durable": true, "arguments": queue.arguments}),
            )),
            Some((arguments, true)) if same_arguments(queue, arguments) => {}
            Some(_) => stuck.push(format!("queue {} of {}", queue.name, plan.vhost)),
        }
    }
    for binding in &plan.bindings {
        let wanted = [&binding.exchange, &binding.queue, &binding.key].map(Clone::clone);
        if !there.bindings.contains(&wanted) {
            edits.push(Edit {
                verb: "POST",
                path: format!("bindings/{vhost}/e/{}/q/{}", part(&binding.exchange), part(&binding.queue)),
                body: json!({"routing_key": binding.key}),
            });
        }
    }
    (edits, stuck)
}

/// The broker adds the type to those that leave it out.
fn same_arguments(queue: &Queue, there: &Value) -> bool {
    let Some(there) = there.as_object() else { return queue.arguments.is_empty() };
    let wanted = |name: &str| queue.arguments.get(name);
    queue.arguments.iter().all(|(name, value)| there.get(*name) == Some(value))
        && there.iter().all(|(name, value)| {
            wanted(name) == Some(value) || (name == "x-queue-type" && wanted(name).is_none() && value == "classic")
        })
}

#[cfg(test)]
mod tests {
    use klatch_desired::{Observed, desired};

    use super::*;

    /// A broker may hash what it is given in another way, and then nobody could tell whether a user has their password.
    #[test]
    fn a_password_is_sent_as_the_hash_that_is_looked_for() {
        let manifest = "{apiVersion: klatch.dev/v1alpha1, kind: ChatCluster, metadata: {name: chat, namespace: talk}, \
                        spec: {version: 0.1.0, endpoint: {type: None}, \
                        messages: {shardSets: [{name: main, shards: 1}]}}}";
        let cluster = klatch_crd::read_manifest(manifest).unwrap();
        let plan = desired(&cluster, &Observed::offline()).topology.brokers.remove(0);
        let passwords: BTreeMap<_, _> =
            plan.users.iter().map(|user| (user.name.clone(), "test12".to_owned())).collect();
        let mut there = Listing { vhost: true, ..Listing::default() };
        let of_users = |edits: &[Edit]| -> Vec<Value> {
            edits.iter().filter(|edit| edit.path.starts_with("users/")).map(|edit| edit.body.clone()).collect()
        };
        let bodies = of_users(&edits(&plan, "guest", &passwords, &there).0);
        assert_eq!(bodies.len(), plan.users.len());
        for (body, user) in bodies.iter().zip(&plan.users) {
            assert!(body["password"].is_null(), "{body}");
            assert_eq!(body["hashing_algorithm"], "rabbit_password_hashing_sha256");
            assert_eq!(body["tags"], user.tags);
            let hash = body["password_hash"].as_str().unwrap();
            assert!(password::is_of(hash, "test12") && !password::is_of(hash, "test13"));
            there.users.insert(user.name.clone(), hash.to_owned());
        }
        assert_ne!(bodies[0]["password_hash"], bodies[1]["password_hash"], "each has a salt of its own");
        assert_eq!(of_users(&edits(&plan, "guest", &passwords, &there).0), [Value::Null; 0], "all of them are right");
    }
}
