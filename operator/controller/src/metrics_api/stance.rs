//! Whether the group is ours to serve. Decided here, without doing anything.

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec, ServiceReference},
};
use kube_client::core::ObjectMeta;

use super::{GROUP, Place, VERSION};

/// As the adapters for Prometheus and KEDA have it; both numbers only sort.
const PRIORITY: i32 = 100;

/// What to do with the registration.
#[derive(Debug, Clone, PartialEq)]
pub enum Stance {
    /// Make it so: it is not there, or not like this.
    Register(Box<APIService>),
    /// It is there, and as it should be.
    Rest,
    /// Take this one away: somebody else serves the group.
    Withdraw(Box<APIService>),
    /// Somebody else serves the group, by this registration.
    StandAside(String),
}

/// Name of our registration.
#[must_use]
pub fn name() -> String {
    format!("{VERSION}.{GROUP}")
}

/// Whether a registration leads to us.
#[must_use]
pub fn is_ours(service: &APIService, place: &Place) -> bool {
    let leads = service.spec.as_ref().and_then(|spec| spec.service.as_ref());
    service.metadata.name.as_ref() == Some(&name())
        && leads.is_some_and(|to| {
            to.name.as_ref() == Some(&place.service) && to.namespace.as_ref() == Some(&place.namespace)
        })
}

/// Whether a registration is one of the group.
#[must_use]
pub fn is_of_group(service: &APIService) -> bool {
    service.spec.as_ref().is_some_and(|spec| spec.group.as_deref() == Some(GROUP))
}

/// The registration as it should be.
#[must_use]
pub fn wanted(place: &Place, bundle: &str, owner: Option<OwnerReference>) -> APIService {
    APIService {
        metadata: ObjectMeta {
            name: Some(name()),
            labels: Some([("app.kubernetes.io/managed-by".to_owned(), klatch_desired::MANAGER.to_owned())].into()),
            owner_references: owner.map(|one| vec![one]),
            ..ObjectMeta::default()
        },
        spec: Some(APIServiceSpec {
            ca_bundle: Some(ByteString(bundle.as_bytes().to_vec())),
            group: Some(GROUP.to_owned()),
            group_priority_minimum: PRIORITY,
            service: Some(ServiceReference {
                name: Some(place.service.clone()),
                namespace: Some(place.namespace.clone()),
                port: Some(place.port.into()),
            }),
            version: Some(VERSION.to_owned()),
            version_priority: PRIORITY,
            ..APIServiceSpec::default()
        }),
        status: None,
    }
}

/// What to do, given all registrations of the cluster.
#[must_use]
pub fn stance(seen: &[APIService], place: &Place, wanted: APIService) -> Stance {
    let ours = seen.iter().find(|one| is_ours(one, place));
    let foreign = seen.iter().find(|one| is_of_group(one) && !is_ours(one, place));
    match (ours, foreign) {
        (Some(ours), Some(_)) => Stance::Withdraw(Box::new(ours.clone())),
        (None, Some(foreign)) => Stance::StandAside(foreign.metadata.name.clone().unwrap_or_default()),
        (Some(ours), None) if is_as(ours, &wanted) => Stance::Rest,
        (_, None) => Stance::Register(Box::new(wanted)),
    }
}

fn is_as(seen: &APIService, wanted: &APIService) -> bool {
    let owned = wanted.metadata.owner_references.iter().flatten();
    let mut owners = owned.map(|owner| seen.metadata.owner_references.iter().flatten().any(|one| one.uid == owner.uid));
    seen.metadata.deletion_timestamp.is_none()
        && owners.all(|there| there)
        && seen.spec.as_ref().zip(wanted.spec.as_ref()).is_some_and(|(seen, wanted)| {
            APIServiceSpec { insecure_skip_tls_verify: None, ..seen.clone() } == *wanted
                && seen.insecure_skip_tls_verify != Some(true)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { namespace: "klatch".to_owned(), service: "klatch-operator".to_owned(), port: 443, owner: None }
    }

    fn foreign(name: &str, service: &str) -> APIService {
        let mut one = wanted(&place(), "theirs", None);
        one.metadata.name = Some(name.to_owned());
        if let Some(to) = one.spec.as_mut().and_then(|spec| spec.service.as_mut()) {
            to.name = Some(service.to_owned());
        }
        one
    }

    #[test]
    fn it_registers_only_while_nobody_else_holds_the_group() {
        let ours = wanted(&place(), "bundle", None);
        let other = {
            let mut one = foreign("v1.apps.example.org", "apps");
            one.spec.as_mut().unwrap().group = Some("apps.example.org".to_owned());
            one
        };
        let of = |seen: &[APIService]| stance(seen, &place(), ours.clone());
        assert_eq!(of(std::slice::from_ref(&other)), Stance::Register(Box::new(ours.clone())));
        assert_eq!(of(&[other.clone(), ours.clone()]), Stance::Rest);
        let theirs = foreign("v1beta1.custom.metrics.k8s.io", "prometheus-adapter");
        assert_eq!(of(&[ours.clone(), theirs.clone()]), Stance::Withdraw(Box::new(ours.clone())));
        assert_eq!(of(&[theirs]), Stance::StandAside("v1beta1.custom.metrics.k8s.io".to_owned()));
        let same_name = foreign(&name(), "prometheus-adapter");
        assert_eq!(of(&[same_name]), Stance::StandAside(name()), "the name alone makes it not ours");
    }

    #[test]
    fn a_changed_registration_is_put_back() {
        let (ours, old) = (wanted(&place(), "new", None), wanted(&place(), "old", None));
        assert_eq!(stance(&[old], &place(), ours.clone()), Stance::Register(Box::new(ours.clone())));
        let mut careless = ours.clone();
        careless.spec.as_mut().unwrap().insecure_skip_tls_verify = Some(true);
        assert_eq!(stance(&[careless], &place(), ours.clone()), Stance::Register(Box::new(ours.clone())));
        let mut harmless = ours.clone();
        harmless.spec.as_mut().unwrap().insecure_skip_tls_verify = Some(false);
        assert_eq!(stance(&[harmless], &place(), ours), Stance::Rest);
    }
}
