//! Secrets that the user names in the resource.

use std::collections::BTreeMap;

use klatch_crd::{ChatCluster, PostgresConnection, SecretReference, Tls};

/// A Secret of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Keys that it must have.
    pub keys: Vec<&'static str>,
    /// Whether pods can be made without it. A certificate of the endpoint may be one that is only made for the Ingress.
    pub later: bool,
}

/// All of them, each once, by name.
#[must_use]
pub fn references(cluster: &ChatCluster) -> Vec<Reference> {
    let mut found: BTreeMap<String, Reference> = BTreeMap::new();
    let mut add = |name: &str, keys: &[&'static str], later: bool| {
        let new = || Reference { name: name.to_owned(), keys: Vec::new(), later };
        let entry = found.entry(name.to_owned()).or_insert_with(new);
        entry.later &= later;
        for key in keys {
            if !entry.keys.contains(key) {
                entry.keys.push(key);
            }
        }
    };
    let spec = &cluster.spec;
    for secret in &spec.image.pull_secrets {
        add(&secret.name, &[], false);
    }
    if let Some(tls) = &spec.endpoint.tls {
        add(&tls.secret_ref.name, &["tls.crt", "tls.key"], true);
    }
    for connection in connections(cluster) {
        add(&connection.secret_ref.name, &["password"], false);
        authority(&connection.tls, &mut add);
    }
    if let Some(broker) = &spec.broker.external {
        for one in &broker.brokers {
            add(&one.management.secret_ref.name, &["username", "password"], false);
        }
        authority(&broker.tls, &mut add);
    }
    if let Some(cache) = &spec.cache.external {
        if let Some(SecretReference { name }) = &cache.secret_ref {
            add(name, &["password"], false);
        }
        authority(&cache.tls, &mut add);
    }
    found.into_values().collect()
}

fn authority(tls: &Tls, add: &mut impl FnMut(&str, &[&'static str], bool)) {
    if let Some(SecretReference { name }) = &tls.ca_secret_ref {
        add(name, &["ca.crt"], false);
    }
}

/// Every database of somebody else.
fn connections(cluster: &ChatCluster) -> Vec<&PostgresConnection> {
    let directory = cluster.spec.directory.external.iter();
    let mut all: Vec<_> = directory.flat_map(|external| external.replicas.iter().chain([&external.primary])).collect();
    let sets = cluster.spec.messages.shard_sets.iter();
    all.extend(
        sets.flat_map(|set| set.external.iter().flat_map(|external| &external.shards)).map(|one| &one.connection),
    );
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sample: &str) -> Vec<(String, bool)> {
        let file = format!("{}/../../tests/samples/chatcluster/good/{sample}.yaml", env!("CARGO_MANIFEST_DIR"));
        let cluster = klatch_crd::read_manifest(&std::fs::read_to_string(file).unwrap()).unwrap();
        references(&cluster).into_iter().map(|one| (one.name, one.later)).collect()
    }

    #[test]
    fn a_certificate_of_the_endpoint_may_come_later() {
        assert_eq!(names("ten-lines"), [("chat-tls".to_owned(), true)]);
    }

    #[test]
    fn every_secret_of_the_manifest_is_named() {
        let file = format!("{}/../../tests/samples/chatcluster/good/external.yaml", env!("CARGO_MANIFEST_DIR"));
        let manifest: serde_json::Value = serde_json::from_str(
            &serde_json::to_string(&klatch_crd::read_manifest(&std::fs::read_to_string(file).unwrap()).unwrap())
                .unwrap(),
        )
        .unwrap();
        let mut said = Vec::new();
        collect(&manifest["spec"], &mut said);
        said.sort();
        said.dedup();
        assert!(said.len() > 3, "{said:?}");
        assert_eq!(names("external").into_iter().map(|(name, _)| name).collect::<Vec<_>>(), said);
    }

    /// What stands below anything that is called a reference to a Secret.
    fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, field) in fields {
                    if name.ends_with("ecretRef") {
                        into.extend(field["name"].as_str().map(str::to_owned));
                    } else if name == "pullSecrets" {
                        into.extend(
                            field
                                .as_array()
                                .into_iter()
                                .flatten()
                                .filter_map(|one| one["name"].as_str())
                                .map(str::to_owned),
                        );
                    } else {
                        collect(field, into);
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
}
