use klatch_crd::{ScalingBehavior, ScalingDirection};
use klatch_settings::{
    ApiProcess, Check, GatewayProcess, MessageServiceProcess, MigrateProcess, NotificationServiceProcess,
    PostgresDependency, RabbitmqDependency, RedisDependency, read_text,
};
use serde_json::json;

use super::sample;
use crate::{Object, Observed, Role, Writer, desired};

/// A settings file is read by the type of the part it is for, and lets through what it says.
pub(super) fn check_settings(object: &Object) {
    let Some(text) = object.document["data"]["settings.yaml"].as_str() else { return };
    let component = object.document["metadata"]["labels"]["app.kubernetes.io/component"].as_str().unwrap();
    let checked = match component {
        "gateway" => read_text::<GatewayProcess>(text).map(|one| one.check()),
        "api" => read_text::<ApiProcess>(text).map(|one| one.check()),
        "message-service" => read_text::<MessageServiceProcess>(text).map(|one| one.check()),
        "notification-service" => read_text::<NotificationServiceProcess>(text).map(|one| one.check()),
        "migrate" => read_text::<MigrateProcess>(text).map(|one| one.check()),
        "postgres" => read_text::<PostgresDependency>(text).map(|_| Ok(())),
        "rabbitmq" => read_text::<RabbitmqDependency>(text).map(|_| Ok(())),
        "redis" => read_text::<RedisDependency>(text).map(|_| Ok(())),
        other => panic!("nobody reads the settings of {other}"),
    };
    assert_eq!(checked.unwrap_or_else(|error| panic!("{component}: {error}\n{text}")), Ok(()), "{component}\n{text}");
}

#[test]
fn ten_lines_come_to_a_small_cluster() {
    let desired = desired(&sample("ten-lines"), &Observed::offline());
    let api = desired.sizes.of(Role::Api);
    assert_eq!((api.least, api.most), (2, 2));
    assert!(desired.sizes.shard.fit() && desired.sizes.directory.fit());
    assert!(desired.replicas.iter().all(|one| one.replicas == 2 && one.writer == Writer::Operator));
    let reasons: Vec<_> = desired.warnings.iter().map(|warning| warning.reason).collect();
    assert_eq!(reasons, ["SingleInstance", "NoTrustedProxies"]);
}

#[test]
fn who_scales_by_themselves_is_seeded_once() {
    let desired = desired(&sample("full"), &Observed::offline());
    let writers: Vec<_> = desired.replicas.iter().map(|one| (one.replicas, one.writer)).collect();
    assert_eq!(
        writers,
        [(2, Writer::SeedOnly), (3, Writer::Operator), (2, Writer::SeedOnly), (2, Writer::SeedOnly)],
        "gateway, api, message-service, notification-service"
    );
    let scaled: Vec<_> =
        desired.objects().filter(|one| one.kind() == "HorizontalPodAutoscaler").map(Object::name).collect();
    assert_eq!(scaled, ["chat-gateway", "chat-message-service"]);
}

#[test]
fn what_cannot_fit_is_said_before_anything_is_done() {
    let mut cluster = sample("ten-lines");
    cluster.spec.api.scaling = Some(klatch_crd::Scaling {
        kind: klatch_crd::ScalingType::Fixed,
        fixed: Some(klatch_crd::Fixed { replicas: 60 }),
        autoscale: None,
    });
    let desired = desired(&cluster, &Observed::offline());
    let blocking: Vec<_> = desired.warnings.iter().filter(|one| one.blocking).map(|one| one.reason).collect();
    assert_eq!(blocking, ["TooManyConnections"], "two connections of each of 61 to a shard, and 90 are there");
}

#[test]
fn a_cache_has_a_bound_however_its_memory_is_written() {
    let mut cluster = sample("ten-lines");
    let memory = klatch_crd::Quantity::from("1.073741824e+09");
    cluster.spec.cache.managed = Some(klatch_crd::ManagedCache { memory, ..klatch_crd::ManagedCache::default() });
    let desired = desired(&cluster, &Observed::offline());
    let conf = desired.objects().find_map(|one| one.document["data"]["redis.conf"].as_str()).unwrap();
    assert!(conf.contains("maxmemory 805306368\n"), "three quarters of it; 0 would be no bound at all: {conf}");
}

/// What is said of scaling down, and what the autoscaler is told.
fn pace(said: ScalingDirection) -> serde_json::Value {
    let mut cluster = sample("full");
    let scaling = cluster.spec.gateway.scaling.as_mut().unwrap();
    scaling.autoscale.as_mut().unwrap().behavior = Some(ScalingBehavior { scale_up: None, scale_down: Some(said) });
    let desired = desired(&cluster, &Observed::offline());
    let scaler = desired.objects().find(|one| one.kind() == "HorizontalPodAutoscaler").unwrap();
    scaler.document["spec"]["behavior"]["scaleDown"].clone()
}

#[test]
fn what_is_said_of_a_pace_in_part_leaves_the_rest_as_it_is() {
    let one = |period: u32| json!([{"type": "Pods", "value": 1, "periodSeconds": period}]);
    let nothing = ScalingDirection::default;
    let window = pace(ScalingDirection { stabilization_window_seconds: Some(600), ..nothing() });
    assert_eq!(window, json!({"stabilizationWindowSeconds": 600, "policies": one(60)}));
    let period = pace(ScalingDirection { period_seconds: Some(120), ..nothing() });
    assert_eq!(period, json!({"stabilizationWindowSeconds": 300, "policies": one(120)}));
    let percent = pace(ScalingDirection { percent: Some(10), ..nothing() });
    let tenth = json!([{"type": "Percent", "value": 10, "periodSeconds": 60}]);
    assert_eq!(
        percent,
        json!({"stabilizationWindowSeconds": 300, "policies": tenth}),
        "who says a pace says all of it"
    );
}
