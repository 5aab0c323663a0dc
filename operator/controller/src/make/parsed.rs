//! What stands in a certificate. Nothing here says that it is believed.

use klatch_domain::Timestamp;
use x509_parser::{pem::parse_x509_pem, time::ASN1Time};

use crate::plan::renewal::Validity;

/// Around each certificate of a PEM text (RFC 7468).
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
/// See [`BEGIN`].
const END: &str = "-----END CERTIFICATE-----";

/// What stands in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parsed {
    /// Whose it is, as it is written.
    pub(crate) subject: Vec<u8>,
    /// Who signed it, as it is written.
    pub(crate) issuer: Vec<u8>,
    /// How long it is good.
    pub(crate) validity: Validity,
}

/// The first certificate of a PEM text. `None`: it cannot be read.
pub(crate) fn parse(pem: &[u8]) -> Option<Parsed> {
    let (_, pem) = parse_x509_pem(pem).ok()?;
    let one = pem.parse_x509().ok()?;
    let at = |time: ASN1Time| Timestamp::from_millis(time.timestamp().saturating_mul(1_000));
    Some(Parsed {
        subject: one.subject().as_raw().to_vec(),
        issuer: one.issuer().as_raw().to_vec(),
        validity: Validity { from: at(one.validity().not_before), until: at(one.validity().not_after) },
    })
}

/// Each certificate of a PEM text that can be read, with its text.
pub(crate) fn each(text: &str) -> impl Iterator<Item = (String, Parsed)> {
    text.split_inclusive(END).filter_map(|part| {
        let one = &part[part.find(BEGIN)?..];
        Some((format!("{one}\n"), parse(one.as_bytes())?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::{self, now};

    #[test]
    fn a_certificate_says_how_long_it_is_good_and_who_signed_it() {
        let (one, other) = (make::internal(&["a".to_owned()], "b").unwrap(), make::internal(&[], "b").unwrap());
        let parsed = parse(one.certificate.as_bytes()).unwrap();
        let days = |from: Timestamp, until: Timestamp| (until.as_millis() - from.as_millis()) / 86_400_000;
        assert_eq!(days(parsed.validity.from, parsed.validity.until), 90);
        assert_eq!(days(parsed.validity.from, now()), 1);
        let bundle = format!("\n{}nonsense{}\r\n{}", one.authority, other.authority, &one.key);
        let believed: Vec<_> = each(&bundle).collect();
        assert_eq!(believed.iter().map(|(text, _)| text.as_str()).collect::<String>().matches("BEGIN").count(), 2);
        assert_eq!(believed[0].0, one.authority);
        let signed: Vec<_> = believed.iter().map(|(_, authority)| authority.subject == parsed.issuer).collect();
        assert_eq!(signed, [true, false], "authorities have names of their own");
        assert_eq!(parse(one.key.as_bytes()), None);
        assert_eq!(parse(b"no certificate"), None);
    }
}
