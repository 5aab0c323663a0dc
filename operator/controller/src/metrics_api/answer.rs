//! What is answered: the shapes of `custom.metrics.k8s.io/v1beta2`
//! (<https://github.com/kubernetes/metrics/blob/master/pkg/apis/custom_metrics/v1beta2/types.go>).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use klatch_desired::CONNECTIONS;
use kube_client::core::SelectorExt;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    GROUP, VERSION,
    caller::Caller,
    rights::{Review, Rights, Wish},
    selector,
    trust::Trust,
};
use crate::gateways::{GatewayPod, Gateways, Measured};

/// All pods, as a name.
const ALL: &str = "*";

/// Who is at the other end of a connection.
#[derive(Clone)]
pub(super) struct Peer {
    /// Whom we believe.
    pub(super) trust: Arc<Trust>,
    /// Whether their certificate is one of those named.
    pub(super) named: bool,
}

struct Parts<R> {
    gateways: Arc<Gateways>,
    rights: Rights<R>,
}

/// Everything that is answered. What says nothing of anybody's pods is answered to everyone who is let in.
pub(super) fn router<R: Review>(gateways: Arc<Gateways>, rights: Rights<R>) -> Router {
    let parts = Arc::new(Parts { gateways, rights });
    Router::new()
        // No list of our own groups: the apiserver then asks for each registered one.
        .route("/apis", get(async || refuse(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", "no aggregated discovery")))
        .route(&format!("/apis/{GROUP}/{VERSION}"), get(async || Json(resources())))
        .route("/openapi/v3", get(async || Json(json!({"paths": {}}))))
        .route(&format!("/apis/{GROUP}/{VERSION}/namespaces/{{namespace}}/pods/{{pod}}/{{metric}}"), get(values::<R>))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "NotFound", "there is no such thing"))
        .with_state(parts)
}

fn resources() -> Value {
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{GROUP}/{VERSION}"),
        "resources": [{
            "name": format!("pods/{CONNECTIONS}"), "singularName": "", "namespaced": true, "kind": "MetricValueList", "verbs": ["get"],
        }],
    })
}

#[derive(Deserialize)]
struct Question {
    #[serde(default, rename = "labelSelector")]
    pods: String,
    #[serde(default, rename = "metricLabelSelector")]
    metric: String,
}

async fn values<R: Review>(
    State(parts): State<Arc<Parts<R>>>,
    Path((namespace, pod, metric)): Path<(String, String, String)>,
    Query(question): Query<Question>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
) -> Response {
    let caller = peer.named.then(|| Caller::read(&peer.trust, &headers)).flatten();
    let Some(caller) = caller else {
        return refuse(StatusCode::UNAUTHORIZED, "Unauthorized", "nobody is named, or by somebody who is not believed");
    };
    let user = caller.user.clone();
    let wish = Wish { caller, namespace: namespace.clone(), pod: pod.clone(), metric: metric.clone() };
    match parts.rights.may(wish).await {
        Ok(true) => {}
        Ok(false) => {
            let message = format!("user {user:?} may not get pods/{metric} in namespace {namespace:?} of {GROUP}");
            return refuse(StatusCode::FORBIDDEN, "Forbidden", &message);
        }
        Err(error) => {
            let message = format!("cannot ask what {user:?} may see: {error}");
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", &message);
        }
    }
    if metric != CONNECTIONS {
        return refuse(
            StatusCode::NOT_FOUND,
            "NotFound",
            &format!("there is no metric {metric:?}, only {CONNECTIONS:?}"),
        );
    }
    let (Some(pods), Some(labels)) = (selector::read(&question.pods), selector::read(&question.metric)) else {
        return refuse(StatusCode::BAD_REQUEST, "BadRequest", "a label selector that cannot be read");
    };
    // Our metric has no labels.
    let is_wanted = labels.matches(&BTreeMap::new());
    let matches =
        |one: &GatewayPod| is_wanted && one.running && (pod == ALL || one.name == pod) && pods.matches(&one.labels);
    let asked: Vec<_> = parts.gateways.pods.of_namespace(&namespace).into_iter().filter(matches).collect();
    let many = asked.len();
    let measured = parts.gateways.measure(asked).await;
    if measured.is_empty() && (many > 0 || pod != ALL) {
        let (status, reason) = if many > 0 {
            (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
        } else {
            (StatusCode::NOT_FOUND, "NotFound")
        };
        return refuse(status, reason, &format!("none of {many} gateways answers"));
    }
    Json(list(&measured)).into_response()
}

fn list(measured: &[Measured]) -> Value {
    let item = |one: &Measured| {
        json!({
            "describedObject": {"kind": "Pod", "apiVersion": "v1", "namespace": one.pod.key.namespace, "name": one.pod.name},
            "metric": {"name": CONNECTIONS, "selector": null},
            "timestamp": one.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "value": one.connections.to_string(),
        })
    };
    json!({
        "kind": "MetricValueList", "apiVersion": format!("{GROUP}/{VERSION}"), "metadata": {},
        "items": measured.iter().map(item).collect::<Vec<_>>(),
    })
}

/// In the words of Kubernetes (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/>).
fn refuse(status: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": status.as_u16(),
    });
    (status, Json(body)).into_response()
}
