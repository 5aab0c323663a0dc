//! Where people come in: the same route table as an Ingress or as an HTTPRoute.

use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, HTTPIngressRuleValue, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressSpec,
    IngressTLS, ServiceBackendPort,
};
use klatch_crd::EndpointType;
use klatch_settings::port;
use serde_json::json;

use crate::{Context, Object, Role, object::metadata};

/// A path, whether exactly it, and who answers there.
struct Route {
    path: &'static str,
    exact: bool,
    role: Role,
    port: u16,
}

/// The longest match wins, in both kinds. Nothing of what is for those who run it is behind these: that has ports of its own.
const ROUTES: [Route; 3] = [
    Route { path: "/v1/connect", exact: true, role: Role::Gateway, port: port::GATEWAY },
    Route { path: "/v1", exact: false, role: Role::Api, port: port::API },
    // The web client, and what is well known.
    Route { path: "/", exact: false, role: Role::Api, port: port::API },
];

/// The address people use.
pub(crate) fn public_url(context: &Context<'_>) -> Option<String> {
    let endpoint = &context.spec().endpoint;
    let host = endpoint.hosts.first()?;
    let plain = endpoint.kind == EndpointType::Ingress && endpoint.tls.is_none();
    Some(format!("{}://{host}", if plain { "http" } else { "https" }))
}

pub(crate) fn objects(context: &Context<'_>) -> Vec<Object> {
    match context.spec().endpoint.kind {
        EndpointType::None => Vec::new(),
        EndpointType::Ingress => vec![ingress(context)],
        EndpointType::HttpRoute if context.observed.http_routes => vec![http_route(context)],
        EndpointType::HttpRoute => Vec::new(),
    }
}

fn ingress(context: &Context<'_>) -> Object {
    let endpoint = &context.spec().endpoint;
    let options = endpoint.ingress.clone().unwrap_or_default();
    let path = |route: &Route| HTTPIngressPath {
        path: Some(route.path.to_owned()),
        path_type: if route.exact { "Exact" } else { "Prefix" }.to_owned(),
        backend: IngressBackend {
            service: Some(IngressServiceBackend {
                name: context.names.role(route.role),
                port: Some(ServiceBackendPort { number: Some(route.port.into()), name: None }),
            }),
            resource: None,
        },
    };
    let rule = |host: &String| IngressRule {
        host: Some(host.clone()),
        http: Some(HTTPIngressRuleValue { paths: ROUTES.iter().map(path).collect() }),
    };
    let mut metadata = metadata(context, context.names.cluster(), context.names.labels());
    metadata.annotations = (!options.annotations.is_empty()).then_some(options.annotations);
    Object::new(&Ingress {
        metadata,
        spec: Some(IngressSpec {
            ingress_class_name: options.class_name,
            rules: Some(endpoint.hosts.iter().map(rule).collect()),
            tls: endpoint.tls.as_ref().map(|tls| {
                vec![IngressTLS { hosts: Some(endpoint.hosts.clone()), secret_name: Some(tls.secret_ref.name.clone()) }]
            }),
            default_backend: None,
        }),
        status: None,
    })
}

/// <https://gateway-api.sigs.k8s.io/reference/spec/#httproute>
fn http_route(context: &Context<'_>) -> Object {
    let endpoint = &context.spec().endpoint;
    let options = endpoint.http_route.as_ref();
    let parents = options.iter().flat_map(|options| &options.parent_refs).map(|parent| {
        let mut reference = json!({"name": parent.name});
        for (field, value) in [("namespace", &parent.namespace), ("sectionName", &parent.section_name)] {
            if let Some(value) = value {
                reference[field] = json!(value);
            }
        }
        reference
    });
    let rule = |route: &Route| {
        let kind = if route.exact { "Exact" } else { "PathPrefix" };
        let mut rule = json!({
            "matches": [{"path": {"type": kind, "value": route.path}}],
            "backendRefs": [{"name": context.names.role(route.role), "port": route.port}],
        });
        if route.role == Role::Gateway {
            // WebSockets live for hours.
            rule["timeouts"] = json!({"request": "0s"});
        }
        rule
    };
    Object::from_document(json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(context, context.names.cluster(), context.names.labels()),
        "spec": {
            "parentRefs": parents.collect::<Vec<_>>(),
            "hostnames": endpoint.hosts,
            "rules": ROUTES.iter().map(rule).collect::<Vec<_>>(),
        },
    }))
}
