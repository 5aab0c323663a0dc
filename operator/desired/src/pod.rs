//! Pods: all alike in what they may not do (Pod Security Standard *restricted*,
//! <https://kubernetes.io/docs/concepts/security/pod-security-standards/>).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{
        Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, HTTPGetAction,
        KeyToPath, LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ProjectedVolumeSource,
        ResourceRequirements, SeccompProfile, SecretProjection, SecurityContext, Toleration, TopologySpreadConstraint,
        Volume, VolumeMount, VolumeProjection,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use klatch_crd::{Amounts, PodMetadata, PullPolicy, Resources, Scheduling};
use klatch_settings::place;
use serde_json::json;

use crate::{Context, Object, Role, Texts, role::Port, size};

/// User and group of every pod: no image's own, so that one file of users fits all.
pub(crate) const USER: i64 = 10_001;

/// A secret's key as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretFile {
    pub(crate) secret: String,
    pub(crate) key: String,
    pub(crate) file: String,
}

/// What the user may say of pods.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said<'a> {
    pub(crate) resources: Option<&'a Resources>,
    pub(crate) scheduling: Option<&'a Scheduling>,
    pub(crate) metadata: Option<&'a PodMetadata>,
}

/// The image under the registry of the ChatCluster. One that names its own registry is left alone.
pub(crate) fn image(context: &Context<'_>, image: &str) -> String {
    let registry = &context.spec().image.registry;
    let first = image.split('/').next().unwrap_or_default();
    let names_registry = image.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if registry.is_empty() || names_registry { image.to_owned() } else { format!("{registry}/{image}") }
}

/// Our own image.
pub(crate) fn klatch_image(context: &Context<'_>) -> String {
    image(context, &format!("klatch:{}", context.spec().version))
}

pub(crate) fn pull_policy(context: &Context<'_>) -> Option<String> {
    let policy = match context.spec().image.pull_policy {
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Always => "Always",
        PullPolicy::Never => "Never",
    };
    Some(policy.to_owned())
}

pub(crate) fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
        read_only_root_filesystem: Some(true),
        ..SecurityContext::default()
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // Ownership is right after the first time; looking at every file of a volume again takes minutes.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), localhost_profile: None }),
        ..PodSecurityContext::default()
    }
}

/// Requests and limits, as Kubernetes writes them.
pub(crate) fn resources(role: Role, said: Option<&Resources>) -> ResourceRequirements {
    let (requests, limits) = size::resources(role, said);
    let of = |amounts: Amounts| -> BTreeMap<String, Quantity> {
        let named = [("cpu", amounts.cpu), ("memory", amounts.memory)].into_iter();
        named.filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount?.0)))).collect()
    };
    ResourceRequirements { requests: Some(of(requests)), limits: Some(of(limits)), claims: None }
}

fn quantities<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, Quantity> {
    pairs.into_iter().map(|(name, amount)| (name.to_owned(), Quantity(amount.to_owned()))).collect()
}

pub(crate) fn container_ports(ports: &[Port]) -> Vec<ContainerPort> {
    let of = |port: &Port| ContainerPort {
        name: Some(port.name.to_owned()),
        container_port: port.number.into(),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    };
    ports.iter().map(of).collect()
}

pub(crate) fn http_probe(path: &str, port: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(port.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(3),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

pub(crate) fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), read_only: Some(true), ..VolumeMount::default() }
}

pub(crate) fn writable(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

pub(crate) fn file_mount(volume: &str, file: &str, path: &str) -> VolumeMount {
    VolumeMount { sub_path: Some(file.to_owned()), ..mount(volume, path) }
}

pub(crate) fn empty(name: &str, most: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            size_limit: Some(Quantity(most.to_owned())),
            ..EmptyDirVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(crate) fn config_volume(name: &str, config_map: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: config_map.to_owned(), ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}

/// Keys of Secrets as files of one folder; only these are seen.
pub(crate) fn secret_volume(name: &str, files: &[SecretFile]) -> Volume {
    let mut by_secret: BTreeMap<&str, Vec<KeyToPath>> = BTreeMap::new();
    for file in files {
        let item = KeyToPath { key: file.key.clone(), path: file.file.clone(), ..KeyToPath::default() };
        by_secret.entry(&file.secret).or_default().push(item);
    }
    let sources = by_secret.into_iter().map(|(secret, items)| VolumeProjection {
        secret: Some(SecretProjection { name: secret.to_owned(), items: Some(items), optional: None }),
        ..VolumeProjection::default()
    });
    Volume {
        name: name.to_owned(),
        projected: Some(ProjectedVolumeSource {
            sources: Some(sources.collect()),
            default_mode: Some(0o440),
            ..ProjectedVolumeSource::default()
        }),
        ..Volume::default()
    }
}

pub(crate) fn variable(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None }
}

/// Copies our binary to where every container of the pod finds it, so that it starts in any image.
pub(crate) fn tool_copier(context: &Context<'_>) -> Container {
    Container {
        name: "copy-klatch".to_owned(),
        image: Some(klatch_image(context)),
        image_pull_policy: pull_policy(context),
        command: Some(["/usr/bin/klatch", "dependency", "install", "--to", place::TOOL].map(str::to_owned).to_vec()),
        resources: Some(ResourceRequirements {
            requests: Some(quantities([("cpu", "10m"), ("memory", "16Mi")])),
            limits: Some(quantities([("memory", "64Mi")])),
            claims: None,
        }),
        security_context: Some(container_security()),
        volume_mounts: Some(vec![writable("tools", place::TOOLS)]),
        ..Container::default()
    }
}

/// Spread over nodes and zones, as far as there are some: one that is lost takes few along.
fn spread(selector: Texts) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(LabelSelector { match_labels: Some(selector.clone()), ..LabelSelector::default() }),
        ..TopologySpreadConstraint::default()
    };
    vec![over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")]
}

/// The template of a role's pods: what is the same for all of them, around what is not.
pub(crate) fn template(
    context: &Context<'_>,
    role: Role,
    labels: Texts,
    said: Said<'_>,
    grace: i64,
    pod: PodSpec,
) -> PodTemplateSpec {
    let mut all_labels = said.metadata.map(|metadata| metadata.labels.clone()).unwrap_or_default();
    all_labels.extend(labels.clone());
    let annotations = said.metadata.map(|metadata| metadata.annotations.clone()).filter(|some| !some.is_empty());
    let secrets = &context.spec().image.pull_secrets;
    let pull = secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() });
    let mut spec = PodSpec {
        service_account_name: Some(context.names.role(role)),
        automount_service_account_token: Some(false),
        // Services of the namespace as environment variables help nobody, and thousands of them slow a start.
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        image_pull_secrets: (!secrets.is_empty()).then(|| pull.collect()),
        termination_grace_period_seconds: Some(grace),
        topology_spread_constraints: Some(spread(context.names.selector(role))),
        ..pod
    };
    if let Some(scheduling) = said.scheduling {
        place_pods(&mut spec, scheduling);
    }
    PodTemplateSpec {
        metadata: Some(ObjectMeta { labels: Some(all_labels), annotations, ..ObjectMeta::default() }),
        spec: Some(spec),
    }
}

/// Pods that read their secrets once begin anew whenever those were made new.
pub(crate) fn begin_anew_with_secrets(context: &Context<'_>, mut object: Object) -> Object {
    let rotations = context.observed.rotations;
    if rotations > 0 {
        let annotations = &mut object.document["spec"]["template"]["metadata"]["annotations"];
        annotations["klatch.dev/rotations"] = json!(rotations.to_string());
    }
    object
}

fn place_pods(spec: &mut PodSpec, said: &Scheduling) {
    spec.node_selector = (!said.node_selector.is_empty()).then(|| said.node_selector.clone());
    spec.priority_class_name.clone_from(&said.priority_class_name);
    let of = |one: &klatch_crd::Toleration| Toleration {
        key: one.key.clone(),
        operator: one.operator.clone(),
        value: one.value.clone(),
        effect: one.effect.clone(),
        toleration_seconds: None,
    };
    spec.tolerations = (!said.tolerations.is_empty()).then(|| said.tolerations.iter().map(of).collect());
}
