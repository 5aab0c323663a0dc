use std::collections::{BTreeMap, BTreeSet};

use klatch_crd::{ChatCluster, PostgresConnection, PullPolicy, PullSecret, Quantity, SecretReference};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{generate::cluster, samples};
use crate::{Content, Desired, LABEL_COMPONENT, LABEL_INSTANCE, Login, Object, Observed, Role, desired};

fn all(cluster: &ChatCluster) -> Desired {
    desired(cluster, &Observed::offline())
}

fn bytes(desired: &Desired) -> Vec<String> {
    desired.objects().map(|object| object.document.to_string()).collect()
}

/// Containers of the pods an object makes, those that run first included.
fn containers(object: &Object) -> Vec<&Value> {
    let Some(spec) = object.pod_template().map(|template| &template["spec"]) else { return Vec::new() };
    ["initContainers", "containers"].iter().flat_map(|field| spec[*field].as_array().into_iter().flatten()).collect()
}

/// Pod Security Standard *restricted*, and more.
fn check_restricted(object: &Object) {
    let Some(template) = object.pod_template() else { return };
    let place = format!("{} {}", object.kind(), object.name());
    let spec = &template["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false, "{place}");
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{place}");
    assert_eq!(spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{place}");
    for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(spec[forbidden].is_null(), "{place}: {forbidden}");
    }
    assert!(spec["volumes"].as_array().unwrap().iter().all(|volume| volume["hostPath"].is_null()), "{place}");
    let containers = containers(object);
    assert!(!containers.is_empty());
    for container in containers {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{place}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{place}");
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{place}");
        assert!(container["resources"]["limits"]["memory"].is_string(), "{place}: memory without a bound");
    }
}

/// No container is promised more than it may take: an apiserver refuses its pod.
fn check_promises(object: &Object) {
    let nano = |amount: &Value| Quantity::from(amount.as_str().unwrap()).nano().unwrap();
    for container in containers(object) {
        let resources = &container["resources"];
        for (name, limit) in resources["limits"].as_object().unwrap() {
            let request = &resources["requests"][name];
            assert!(nano(request) <= nano(limit), "{}: {name}: {request} of {limit}", object.name());
        }
    }
}

/// What a pod mounts is there: ConfigMaps of ours, keys of Secrets of ours.
fn check_mounts(desired: &Desired, object: &Object) {
    let maps: BTreeSet<_> =
        desired.objects().filter(|one| one.kind() == "ConfigMap").map(|one| one.name().to_owned()).collect();
    let secrets: BTreeMap<_, _> = desired.secrets().map(|secret| (secret.name.as_str(), secret)).collect();
    let Some(template) = object.pod_template() else { return };
    let volumes = template["spec"]["volumes"].as_array().unwrap();
    let mut names: BTreeSet<_> = volumes.iter().map(|volume| volume["name"].as_str().unwrap()).collect();
    if object.kind() == "StatefulSet" {
        names.extend(object.document["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten().map(|_| "data"));
    }
    for volume in volumes {
        if let Some(map) = volume["configMap"]["name"].as_str() {
            assert!(maps.contains(map), "{map}");
        }
        for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
            let (name, items) =
                (source["secret"]["name"].as_str().unwrap(), source["secret"]["items"].as_array().unwrap());
            let Some(shape) = secrets.get(name) else {
                // Of the user: they are told in the resource.
                assert!(
                    ["ca", "s0-login", "s1-login", "db-ca", "rabbitmq-ca"].contains(&name) || name.ends_with("-login"),
                    "{name}"
                );
                continue;
            };
            for item in items {
                let key = item["key"].as_str().unwrap();
                let certificate = shape.keys.values().any(|content| matches!(content, Content::Certificate(_)));
                let known =
                    shape.keys.contains_key(key) || (certificate && ["tls.key", "tls.crt", "ca.crt"].contains(&key));
                assert!(known, "{name} has no {key}");
            }
        }
    }
    for container in containers(object) {
        for mount in container["volumeMounts"].as_array().into_iter().flatten() {
            assert!(names.contains(mount["name"].as_str().unwrap()), "{}: {mount}", object.name());
        }
    }
}

/// Every port of every container is opened by the policy of its pods, to somebody; and everything is closed first.
fn check_ports(desired: &Desired, object: &Object) {
    let policies: Vec<_> = desired.objects().filter(|one| one.kind() == "NetworkPolicy").collect();
    let closed = |rules: &Value| rules.as_array().is_some_and(Vec::is_empty);
    let shut = |spec: &Value| closed(&spec["ingress"]) && closed(&spec["egress"]);
    assert!(policies.iter().any(|policy| shut(&policy.document["spec"])));
    let Some(template) = object.pod_template() else { return };
    let labels = template["metadata"]["labels"].as_object().unwrap();
    let matching = policies.iter().filter(|policy| {
        let wanted = policy.document["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
        wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    });
    let open: BTreeSet<u64> = matching
        .flat_map(|policy| policy.document["spec"]["ingress"].as_array().into_iter().flatten())
        .flat_map(|rule| rule["ports"].as_array().unwrap().iter().map(|port| port["port"].as_u64().unwrap()))
        .collect();
    for port in containers(object).iter().flat_map(|one| one["ports"].as_array().into_iter().flatten()) {
        assert!(open.contains(&port["containerPort"].as_u64().unwrap()), "{}: {port} is closed", object.name());
    }
}

/// Everything is closed to each pod of ours; pods that share no more than a name with us are nobody's business: a Helm release may be
/// called as the ChatCluster is, the operator's own too.
fn check_closed(desired: &Desired, object: &Object) {
    let Some(template) = object.pod_template() else { return };
    let ours = template["metadata"]["labels"].as_object().unwrap();
    let mut others = ours.clone();
    others.retain(|key, _| key == LABEL_INSTANCE || key == LABEL_COMPONENT);
    assert_eq!(others.len(), 2, "{}", object.name());
    for policy in desired.objects().filter(|one| one.kind() == "NetworkPolicy") {
        let wanted = policy.document["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
        let selects =
            |labels: &serde_json::Map<String, Value>| wanted.iter().all(|(key, value)| labels.get(key) == Some(value));
        assert!(selects(ours) || !policy.name().ends_with("default-deny"), "{} is open", object.name());
        assert!(!selects(&others), "{} selects pods of others", policy.name());
    }
}

/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>
fn is_label_value(text: &str) -> bool {
    let ends = |c: char| c.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(ends)
        && text.ends_with(ends)
        && text.chars().all(|c| ends(c) || "-_.".contains(c))
}

fn check_names(object: &Object) {
    let name = object.name();
    // A Service's name is a label of DNS (RFC 1035), and a StatefulSet's revision hangs eleven characters on its own.
    let most = if object.kind() == "StatefulSet" { 52 } else { 63 };
    assert!(name.len() <= most, "{name}");
    assert!(name.starts_with(|c: char| c.is_ascii_lowercase()) && is_label_value(name), "{name}");
    assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    let template = object.pod_template().map(|template| &template["metadata"]["labels"]);
    for labels in [Some(&object.document["metadata"]["labels"]), template].into_iter().flatten() {
        let labels = labels.as_object().unwrap_or_else(|| panic!("{name} has no labels"));
        assert_eq!(labels["app.kubernetes.io/managed-by"], "klatch-operator");
        for (key, value) in labels {
            assert!(is_label_value(value.as_str().unwrap()), "{name}: {key}: {value}");
        }
    }
    if let Some(selector) = object.document.pointer("/spec/selector/matchLabels").and_then(Value::as_object)
        && let Some(template) = object.pod_template()
    {
        let labels = template["metadata"]["labels"].as_object().unwrap();
        assert!(
            selector.iter().all(|(key, value)| labels.get(key) == Some(value)),
            "{name} does not select its own pods"
        );
    }
}

/// No password comes near a ConfigMap: settings name files, and nothing that looks like a secret stands in any object.
fn check_no_secret(object: &Object) {
    assert!(object.kind() != "Secret", "Secrets are shapes: what is in them is made elsewhere");
    for (file, text) in object.document["data"].as_object().into_iter().flatten() {
        let text = text.as_str().unwrap().to_lowercase();
        for line in text.lines() {
            let names_a_file =
                line.contains("passwordfile") || line.contains("tokenfile") || line.contains("password_encryption");
            let speaks = line.contains("password") || line.contains("token") || line.contains("secret");
            let path = line.contains("/etc/klatch/");
            assert!(!speaks || names_a_file || path || line.contains("failedsignins"), "{file}: {line}");
        }
    }
    for variable in containers(object).iter().flat_map(|one| one["env"].as_array().into_iter().flatten()) {
        assert!(variable["valueFrom"]["secretKeyRef"].is_null(), "a secret in the environment shows in every dump");
    }
}

fn check_all(desired: &Desired) {
    let mut seen = BTreeSet::new();
    for object in desired.objects() {
        assert!(seen.insert((object.kind().to_owned(), object.name().to_owned())), "{} twice", object.name());
        check_restricted(object);
        check_promises(object);
        check_mounts(desired, object);
        check_ports(desired, object);
        check_closed(desired, object);
        check_names(object);
        check_no_secret(object);
        // A field that is owned once and then left out falls back to 1: autoscalers' Deployments would lose all but one pod.
        assert!(object.kind() != "Deployment" || object.document["spec"]["replicas"].is_null(), "{}", object.name());
        // Otherwise a pod that cannot start is not replaced by what would mend it.
        let management = &object.document["spec"]["podManagementPolicy"];
        assert!(object.kind() != "StatefulSet" || management == "Parallel", "{}", object.name());
        assert!(object.document["status"].is_null(), "{}: status is somebody else's", object.name());
    }
    let deployments: Vec<_> = desired.objects().filter(|one| one.kind() == "Deployment").map(Object::name).collect();
    let seeded: Vec<_> = desired.replicas.iter().map(|one| one.deployment.as_str()).collect();
    assert_eq!(deployments, seeded);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// There is no memory in it: A, then B, then A again is the same to the byte.
    #[test]
    fn what_is_wanted_alone_decides(one in cluster(), other in cluster()) {
        let first = bytes(&all(&one));
        let _ = all(&other);
        prop_assert_eq!(first, bytes(&all(&one)));
    }

    #[test]
    fn whatever_is_wanted_every_object_keeps_the_rules(cluster in cluster()) {
        check_all(&all(&cluster));
    }

    /// Every setting that is written is one that the workload reads, and lets through.
    #[test]
    fn workloads_can_read_what_they_are_told(cluster in cluster()) {
        for object in all(&cluster).objects().filter(|object| object.kind() == "ConfigMap") {
            super::sizes::check_settings(object);
        }
    }

    /// What can fit does: only pools of one connection each may be too many.
    #[test]
    fn pools_fit_or_are_as_small_as_can_be(cluster in cluster()) {
        let sizes = all(&cluster).sizes;
        let single = |pools: crate::Pools| pools.shard_writers == 1 && pools.shard_readers == 1;
        prop_assert!(sizes.shard.fit() || sizes.workloads.iter().filter(|one| one.role != Role::Gateway).all(|one| single(one.pools)));
        prop_assert!(sizes.workloads.iter().filter(|one| one.role != Role::Gateway).all(|one| one.pools.directory >= 1));
    }
}

#[test]
fn every_good_sample_keeps_the_rules() {
    for (name, cluster) in samples() {
        assert!(all(&cluster).objects().count() > 25, "{name}");
        check_all(&all(&cluster));
    }
}

#[test]
fn an_operators_upgrade_or_a_rotation_touches_only_what_it_must() {
    let cluster = super::sample("full");
    let (before, after) = (all(&cluster), desired(&cluster, &Observed { login: Login::B, ..Observed::offline() }));
    let templates = |desired: &Desired, kind: &str| -> Vec<String> {
        desired.objects().filter(|one| one.kind() == kind).map(|one| one.pod_template().unwrap().to_string()).collect()
    };
    assert_eq!(templates(&before, "StatefulSet"), templates(&after, "StatefulSet"), "a rotation restarts no service");
    assert_ne!(templates(&before, "Deployment"), templates(&after, "Deployment"), "workloads take the other login");
    let tokens = |desired: &Desired, role: &str| -> String {
        let deployment =
            desired.objects().find(|one| one.kind() == "Deployment" && one.name().ends_with(role)).unwrap();
        let volumes = deployment.pod_template().unwrap()["spec"]["volumes"].as_array().unwrap();
        let sources = volumes.iter().flat_map(|one| one["projected"]["sources"].as_array().into_iter().flatten());
        let tokens = sources.filter(|one| one["secret"]["name"].as_str().unwrap().ends_with("service-token"));
        tokens.flat_map(|one| one["secret"]["items"].as_array().unwrap()).fold(String::new(), |all, item| {
            format!("{all} {}={}", item["path"].as_str().unwrap(), item["key"].as_str().unwrap())
        })
    };
    let (one, other) = (" service-token=token", " service-token=token-b");
    assert_eq!((tokens(&before, "gateway"), tokens(&after, "gateway")), (one.to_owned(), other.to_owned()));
    assert_eq!(tokens(&before, "api"), format!("{one} other-service-token=token-b"), "api takes both");
    assert_eq!(tokens(&after, "api"), format!("{other} other-service-token=token"), "api takes both");
    let renewed = desired(&cluster, &Observed { rotations: 1, ..Observed::offline() });
    let anew = |kind: &str| -> Vec<String> {
        let of = |desired: &Desired| -> Vec<(String, String)> {
            let of_kind = desired.objects().filter(|one| one.kind() == kind);
            of_kind.map(|one| (one.name().to_owned(), one.pod_template().unwrap().to_string())).collect()
        };
        let pairs = of(&before).into_iter().zip(of(&renewed));
        pairs.filter(|(before, after)| before != after).map(|((name, _), _)| name).collect()
    };
    assert_eq!(anew("Deployment"), ["chat-api"], "who takes tokens hears of new ones");
    assert_eq!(anew("StatefulSet"), ["chat-redis"], "who takes passwords hears of new ones");
    let names = |desired: &Desired| desired.secrets().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after));
}

#[test]
fn what_may_mend_a_migration_makes_another_job() {
    fn directory(cluster: &mut ChatCluster) -> &mut PostgresConnection {
        &mut cluster.spec.directory.external.as_mut().unwrap().primary
    }
    fn shard(cluster: &mut ChatCluster) -> &mut PostgresConnection {
        &mut cluster.spec.messages.shard_sets[0].external.as_mut().unwrap().shards[0].connection
    }
    fn place(cluster: &mut ChatCluster, said: Value) {
        cluster.spec.api.pod.scheduling = Some(serde_json::from_value(said).unwrap());
    }
    let job = |cluster: &ChatCluster| -> String {
        all(cluster).objects().find(|one| one.kind() == "Job").unwrap().name().to_owned()
    };
    let reference = |name: &str| SecretReference { name: name.to_owned() };
    let changes: [&dyn Fn(&mut ChatCluster); 7] = [
        &|cluster| cluster.spec.image.pull_secrets.push(PullSecret { name: "registry".to_owned() }),
        &|cluster| cluster.spec.image.pull_policy = PullPolicy::Always,
        &|cluster| directory(cluster).secret_ref = reference("other"),
        &|cluster| shard(cluster).secret_ref = reference("third"),
        &|cluster| shard(cluster).tls.ca_secret_ref = Some(reference("mine")),
        &|cluster| place(cluster, json!({"nodeSelector": {"pool": "chat"}})),
        &|cluster| place(cluster, json!({"tolerations": [{"key": "dedicated", "operator": "Exists"}]})),
    ];
    let mut cluster = super::sample("external");
    let mut names = BTreeSet::from([job(&cluster)]);
    for (number, change) in changes.iter().enumerate() {
        change(&mut cluster);
        assert!(names.insert(job(&cluster)), "change {number}");
    }
    cluster.spec.limits.message_burst = Some(60);
    assert!(!names.insert(job(&cluster)), "what databases never hear of makes none");
}
