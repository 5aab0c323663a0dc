//! Certificates for services on this machine, made anew for every run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// A certificate authority, and a certificate it gave a server on `localhost` and 127.0.0.1. All PEM.
pub struct Certificates {
    /// The authority's certificate: what clients trust.
    pub ca: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's key.
    pub key: String,
}

/// The same as files.
pub struct CertificateFiles {
    /// See [`Certificates::ca`].
    pub ca: PathBuf,
    /// See [`Certificates::certificate`].
    pub certificate: PathBuf,
    /// See [`Certificates::key`].
    pub key: PathBuf,
}

impl Certificates {
    /// Makes an authority and a server's certificate.
    ///
    /// # Panics
    /// When there is no randomness.
    #[must_use]
    pub fn make() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let server = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
        let certificate = server.signed_by(&key, &issuer).expect("a certificate");
        Self { ca: issuer.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Writes them into a folder.
    ///
    /// # Panics
    /// When they cannot be written.
    #[must_use]
    pub fn write(&self, folder: &Path) -> CertificateFiles {
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a certificate file is written");
            path
        };
        CertificateFiles {
            ca: write("ca.pem", &self.ca),
            certificate: write("server.pem", &self.certificate),
            key: write("server.key", &self.key),
        }
    }
}
