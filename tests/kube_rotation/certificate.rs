//! The certificate between gateways and api, in three steps: whatever of it a gateway or an api has not read yet, they believe each other.

use std::{sync::Arc, time::Duration};

use klatch_controller::plan::{
    renewal::{KNOWN_AFTER, KNOWN_FROM, RENEW_BEFORE, RENEW_FROM},
    rotation::ASKED,
};
use klatch_domain::Timestamp;
use klatch_tests::{
    clock::now,
    kube::{
        fuse::{Fuse, Point},
        scene::{Scene, quiet_plane},
        stand_in::Jobs,
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use serde_json::json;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};

use super::{ask, secret};

/// The Secret.
const NAME: &str = "chat-internal-tls";
/// Who api is for gateways.
const SERVICE: &str = "chat-api-internal";
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What is in the Secret, and noted beside it.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    authorities: String,
    certificate: String,
    waits: Option<String>,
    known_from: Option<Timestamp>,
    renew_from: Option<Timestamp>,
    asked: Option<String>,
}

async fn seen(scene: &Scene) -> Seen {
    let found = secret(scene, NAME).await;
    let (mut data, mut notes) = (found.data.unwrap(), found.metadata.annotations.unwrap());
    let mut file = |name: &str| data.remove(name).map(|file| String::from_utf8(file.0).unwrap());
    let (certificate, key) = (file("tls.crt").unwrap(), file("tls.key").unwrap());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).expect("they go together");
    let authorities = file("ca.crt").unwrap();
    let waits = file("next.crt");
    assert_eq!(file("next.key").is_some(), waits.is_some());
    let mut time = |name: &str| notes.remove(name).map(|text| text.parse().unwrap());
    let (known_from, renew_from) = (time(KNOWN_FROM), time(RENEW_FROM));
    Seen { authorities, certificate, waits, known_from, renew_from, asked: notes.remove(ASKED) }
}

impl Seen {
    fn count(&self) -> usize {
        self.authorities.matches("BEGIN CERTIFICATE").count()
    }

    /// Whether a gateway that goes by this is answered by an api that goes by that.
    fn believes(&self, that: &Self) -> bool {
        let mut roots = RootCertStore::empty();
        for authority in CertificateDer::pem_slice_iter(self.authorities.as_bytes()) {
            roots.add(authority.unwrap()).unwrap();
        }
        let verifier = WebPkiServerVerifier::builder(Arc::new(roots)).build().unwrap();
        let certificate = CertificateDer::from_pem_slice(that.certificate.as_bytes()).unwrap();
        let name = ServerName::try_from(SERVICE).unwrap();
        verifier.verify_server_cert(&certificate, &[], &name, &[], UnixTime::now()).is_ok()
    }
}

/// In the place of what there is one of an earlier version, that ends so soon: nothing is noted.
async fn put_old(scene: &Scene, ends_in: Duration) {
    let end = now().plus(ends_in).to_string();
    let part = |range: std::ops::Range<usize>| end[range].parse::<u8>().unwrap();
    let until = date_time_ymd(end[..4].parse().unwrap(), part(5..7), part(8..10));
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.distinguished_name.push(DnType::CommonName, "Klatch internal");
    let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut parameters = CertificateParams::new(vec![SERVICE.to_owned()]).unwrap();
    parameters.not_after = until;
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, &issuer).unwrap().pem();
    let data = json!({"ca.crt": issuer.pem(), "tls.crt": certificate, "tls.key": key.serialize_pem()});
    // Whatever was under way here is gone.
    let notes = json!({"metadata": {"annotations": {KNOWN_FROM: null, RENEW_FROM: null}}, "stringData": data});
    scene.must(&["patch", "secret", NAME, "--type=merge", "-p", &notes.to_string()]);
}

/// The time passes in which everybody reads what was written last.
fn let_time_pass(scene: &Scene) {
    let note = format!("{KNOWN_FROM}={}", now().minus(Duration::from_secs(1)));
    scene.must(&["annotate", "secret", NAME, "--overwrite", &note]);
}

fn writes(fuse: &Fuse) -> usize {
    fuse.writes().iter().filter(|call| call.name == NAME).count()
}

fn reads(fuse: &Fuse) -> usize {
    fuse.reads().iter().filter(|call| call.name == NAME).count()
}

/// What comes of a step that is due, by an operator that dies at its write and by the next one: one write, and then rest.
async fn step(scene: &Scene, point: Point) -> Seen {
    let mut written = 0;
    if point != Point::Never {
        let fuse = scene.converge(point).await;
        assert!(fuse.is_blown(), "{point:?}: it was never reached");
        written += writes(&fuse);
    }
    let fuse = scene.converge(Point::Never).await;
    written += writes(&fuse);
    assert_eq!(written, 1, "{point:?}");
    let quiet = scene.converge(Point::Never).await;
    assert_eq!((quiet.writes(), reads(&quiet)), (Vec::new(), 0), "{point:?}: it does not rest");
    assert!(scene.is_ready().await, "nobody waits for it");
    seen(scene).await
}

/// One renewal, seen from its beginning to its end.
async fn renew(scene: &Scene, point: Point) -> [Seen; 4] {
    let before = seen(scene).await;
    let waits = step(scene, point).await;
    assert_eq!((waits.count(), &waits.certificate), (before.count() + 1, &before.certificate), "it is not used yet");
    assert!(waits.waits.is_some() && waits.authorities.ends_with(&before.authorities), "{waits:?}");
    let wait = scene.passes(1, Jobs::Complete).await;
    assert!(wait <= KNOWN_AFTER, "the next pass comes after {wait:?}");
    let_time_pass(scene);
    let used = step(scene, point).await;
    assert_eq!((Some(&used.certificate), &used.authorities), (waits.waits.as_ref(), &waits.authorities));
    assert!(used.waits.is_none() && used.known_from.is_some(), "{used:?}");
    let_time_pass(scene);
    let after = step(scene, point).await;
    assert_eq!((after.count(), &after.certificate, after.known_from), (1, &used.certificate, None));
    // What a gateway and an api have read may be a step apart, in both directions.
    let all = [before, waits, used, after];
    for pair in all.windows(2) {
        assert!(pair.iter().all(|one| pair.iter().all(|other| one.believes(other))), "{pair:#?}");
    }
    assert!(!all[3].believes(&all[0]) && !all[0].believes(&all[3]), "the old one is forgotten");
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_internal_certificate_is_followed_by_the_next_in_three_steps_whenever_the_operator_dies() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    let fuse = scene.converge(Point::Never).await;
    assert_eq!(reads(&fuse), 1, "it was looked for before it was made; one that was just made is not read");
    let days = |seen: &Seen| (seen.renew_from.unwrap().as_millis() - now().as_millis()) / 86_400_000;
    assert!((57..=58).contains(&days(&seen(&scene).await)), "{:?}", seen(&scene).await.renew_from);

    for point in [Point::Never, Point::Before(1), Point::After(1)] {
        put_old(&scene, RENEW_BEFORE).await;
        let [.., after] = renew(&scene, point).await;
        assert!((57..=58).contains(&days(&after)), "{point:?}: {:?}", after.renew_from);
    }

    // One that is good for long is only noted, and renewed when somebody asks for it.
    put_old(&scene, DAY * 3650).await;
    let noted = step(&scene, Point::Never).await;
    assert_eq!((days(&noted), noted.count(), &noted.asked), (89, 1, &None));
    ask(&scene, "1");
    let [_, waits, _, after] = renew(&scene, Point::Never).await;
    assert_eq!((waits.asked.as_deref(), after.asked.as_deref()), (Some("1"), Some("1")));
    // What is asked while one waits has its answer with that one.
    ask(&scene, "2");
    step(&scene, Point::Never).await;
    ask(&scene, "3");
    scene.converge(Point::Never).await;
    let_time_pass(&scene);
    let used = step(&scene, Point::Never).await;
    assert_eq!((used.asked.as_deref(), used.count()), (Some("3"), 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_lacks_its_certificate_gets_one_with_its_key_and_is_believed_beside_what_waits() {
    let scene = Scene::new(quiet_plane()).await;
    scene.apply_ten_lines();
    scene.converge(Point::Never).await;
    let before = seen(&scene).await;
    let none = json!({"klatch.dev/keys": null, KNOWN_FROM: null});
    let lacks = json!({"metadata": {"annotations": none}, "data": {"tls.crt": null}}).to_string();
    scene.must(&["patch", "secret", NAME, "--type=merge", "-p", &lacks]);
    scene.converge(Point::Never).await;
    let after = seen(&scene).await;
    assert!(after.believes(&after) && after.believes(&before) && !before.believes(&after), "{after:?}");

    // The same when nothing is noted: then the next one is made as well, and waits.
    let lacks = lacks.replace(KNOWN_FROM, RENEW_FROM);
    scene.must(&["patch", "secret", NAME, "--type=merge", "-p", &lacks]);
    scene.converge(Point::Never).await;
    let waits = seen(&scene).await;
    assert!(waits.waits.is_some() && waits.believes(&waits), "{waits:?}");
    for _ in 0..2 {
        let_time_pass(&scene);
        let step = step(&scene, Point::Never).await;
        assert!(step.believes(&step) && waits.believes(&step), "{step:?}");
    }
    assert_eq!(seen(&scene).await.count(), 1);
}
