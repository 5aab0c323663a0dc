//! A certificate of an internal service, by an authority that is made for it and forgotten: nobody can sign another with it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use k8s_openapi::ByteString;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

use super::MakeError;

/// Years that a certificate is good for. Nothing renews it by itself in this version, and a chat that stops at night because of
/// its own certificate is worse than one that is old: it is only shown between pods of one ChatCluster.
const YEARS: i32 = 10;

/// `tls.key`, `tls.crt` and `ca.crt` for services of a namespace.
pub(super) fn make(services: &[String], namespace: &str) -> Result<BTreeMap<String, ByteString>, MakeError> {
    // From a day ago, as clocks differ.
    let day = (Timestamp::now() - SignedDuration::from_hours(24)).to_zoned(TimeZone::UTC).date();
    let after = |years: i32| {
        let month = u8::try_from(day.month()).unwrap_or(1);
        // No month lacks a 28th.
        date_time_ymd(i32::from(day.year()) + years, month, u8::try_from(day.day()).unwrap_or(1).min(28))
    };
    let (begin, end) = (after(0), after(YEARS));
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "Klatch internal");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    (authority.not_before, authority.not_after) = (begin, end);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let names = services
        .iter()
        .flat_map(|service| [service.clone(), format!("{service}.{namespace}"), format!("{service}.{namespace}.svc")]);
    let mut parameters = CertificateParams::new(names.collect::<Vec<_>>())?;
    let name = services.first().map_or("internal", String::as_str);
    parameters.distinguished_name.push(DnType::CommonName, name);
    (parameters.not_before, parameters.not_after) = (begin, end);
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;
    let text = |text: String| ByteString(text.into_bytes());
    Ok([
        ("tls.key".to_owned(), text(key.serialize_pem())),
        ("tls.crt".to_owned(), text(certificate.pem())),
        ("ca.crt".to_owned(), text(authority_certificate.pem())),
    ]
    .into())
}
