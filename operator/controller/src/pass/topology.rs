//! What stands on the brokers, within a pass.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Secret;
use klatch_desired::{Administrator, BrokerPlan, Desired, SecretKey};
use kube_client::Api;

use crate::{
    Key,
    broker::{BrokerLogin, Sighting, ensure},
    failure::{Failure, Step},
    operator::Operator,
    plan::{gate::Topology, standing::Owner},
};

/// What came of it.
pub(super) enum Seen {
    /// So many things were made.
    Written(usize),
    /// Something is in the way, in words.
    Stuck(String),
    /// Nothing was to do, or nobody knows.
    Is(Topology),
}

pub(super) async fn look_after(operator: &Operator, owner: &Owner, desired: &Desired) -> Result<Seen, Failure> {
    let topology = &desired.topology;
    let mut secrets =
        Secrets { api: Api::namespaced(operator.client.clone(), &owner.namespace), read: BTreeMap::new() };
    let mut logins = Vec::new();
    let mut passwords = BTreeMap::new();
    for plan in &topology.brokers {
        let mut of_plan = Vec::new();
        for administrator in &plan.administrators {
            of_plan.push(secrets.login(administrator).await?);
        }
        logins.push(of_plan);
        for user in &plan.users {
            passwords.insert(user.name.clone(), secrets.value(&user.password).await?);
        }
    }
    let bases: Vec<_> = topology.brokers.iter().map(|plan| address(plan, owner)).collect();
    let ensured = match ensure(&*operator.broker, topology, &bases, &logins, &passwords).await {
        Ok(ensured) => ensured,
        Err(failure) => return Ok(Seen::Is(Topology::Unknown(failure.to_string()))),
    };
    let key = Key { namespace: owner.namespace.clone(), name: owner.name.clone() };
    operator.memory.saw_brokers(&key, Sighting { topology: topology.clone(), bases, logins });
    if !ensured.stuck.is_empty() {
        return Ok(Seen::Stuck(format!(
            "{}: there with other properties than wanted. Messages may be in it, so it is not deleted: do that when it is empty",
            ensured.stuck.join(", ")
        )));
    }
    if ensured.written > 0 { Ok(Seen::Written(ensured.written)) } else { Ok(Seen::Is(Topology::There)) }
}

/// Our own brokers are named by their Service, which is in the ChatCluster's namespace and not in the operator's.
fn address(plan: &BrokerPlan, owner: &Owner) -> String {
    if plan.administrators.iter().all(|administrator| administrator.name.is_none()) {
        return plan.management.clone();
    }
    match plan.management.rsplit_once(':') {
        Some((host, port)) => format!("{host}.{}.svc:{port}", owner.namespace),
        None => plan.management.clone(),
    }
}

/// Secrets that are read once a pass.
struct Secrets {
    api: Api<Secret>,
    read: BTreeMap<String, Secret>,
}

impl Secrets {
    async fn value(&mut self, key: &SecretKey) -> Result<String, Failure> {
        let missing =
            || Failure::passing(Step::Broker, format!("read Secret {}", key.secret), format!("no {}", key.key));
        if !self.read.contains_key(&key.secret) {
            let found = self.api.get(&key.secret).await;
            let found = found.map_err(Failure::api(Step::Broker, || format!("read Secret {}", key.secret)))?;
            self.read.insert(key.secret.clone(), found);
        }
        let data = self.read.get(&key.secret).and_then(|secret| secret.data.as_ref()).ok_or_else(missing)?;
        let value = data.get(&key.key).ok_or_else(missing)?;
        // Files end in a line break, and so do Secrets made from files.
        Ok(String::from_utf8_lossy(&value.0).trim_end_matches('\n').to_owned())
    }

    async fn login(&mut self, administrator: &Administrator) -> Result<BrokerLogin, Failure> {
        let Administrator { name, password, authority } = administrator;
        let user = match name {
            Some(name) => name.clone(),
            None => self.value(&SecretKey { key: "username".to_owned(), ..password.clone() }).await?,
        };
        let login = BrokerLogin::new(user, self.value(password).await?);
        Ok(match authority {
            Some(authority) => login.believing(self.value(authority).await?),
            None => login,
        })
    }
}
