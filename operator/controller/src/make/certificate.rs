//! A certificate by an authority that is made for it and forgotten: nobody can sign another with it.

use jiff::{SignedDuration, Span, Timestamp, civil::Date, tz::TimeZone};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

use super::MakeError;

/// A certificate with all that belongs to it, in PEM.
pub(crate) struct Made {
    pub(crate) authority: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// One of these names, good for so long.
///
/// # Errors
/// [`MakeError`].
pub(crate) fn certificate(names: &[String], life: Span) -> Result<Made, MakeError> {
    // From a day ago, as clocks differ.
    let now = Timestamp::now();
    let begin = (now - SignedDuration::from_hours(24)).to_zoned(TimeZone::UTC).date();
    let end = begin.saturating_add(life);
    let at = |date: Date| {
        let number = |number: i8| u8::try_from(number).unwrap_or(1);
        date_time_ymd(i32::from(date.year()), number(date.month()), number(date.day()))
    };
    let (begin, end) = (at(begin), at(end));
    let mut authority = CertificateParams::new(Vec::new())?;
    // Several are believed at once: by their names it is told which of them has signed what.
    authority.distinguished_name.push(DnType::CommonName, format!("Klatch internal {now}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    (authority.not_before, authority.not_after) = (begin, end);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let mut parameters = CertificateParams::new(names.to_vec())?;
    let name = names.first().map_or("internal", String::as_str);
    parameters.distinguished_name.push(DnType::CommonName, name);
    (parameters.not_before, parameters.not_after) = (begin, end);
    let key = KeyPair::generate()?;
    let certificate = parameters.signed_by(&key, &Issuer::from_params(&authority, &authority_key))?;
    Ok(Made { authority: authority_certificate.pem(), certificate: certificate.pem(), key: key.serialize_pem() })
}
