//! Certificates for tests.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client};

/// An authority, and what it gave a listener on this machine. All PEM.
pub(super) struct Certificates {
    pub(super) authority: String,
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Certificates {
    pub(super) fn make() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer);
        Self { authority: issuer.pem(), certificate: certificate.unwrap().pem(), key: key.serialize_pem() }
    }

    /// Who believes this authority alone.
    pub(super) fn client(&self) -> Client {
        let authorities = Certificate::from_pem_bundle(self.authority.as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only(authorities).build().unwrap()
    }
}
