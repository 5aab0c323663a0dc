//! Who may speak for others: the apiserver, told by a certificate. Which certificate, it says itself, in the ConfigMap
//! `extension-apiserver-authentication` of kube-system
//! (<https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#kubernetes-apiserver-client-authentication>).

use std::{collections::BTreeMap, sync::Arc};

use tokio_rustls::rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

/// The ConfigMap.
pub const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// Its namespace.
pub const NAMESPACE: &str = "kube-system";

/// Whom to believe, and where they say who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Authorities of the apiserver's client certificate, in PEM.
    pub authority: String,
    /// Common names it may have; none: any.
    pub names: Vec<String>,
    /// Headers with the user's name.
    pub user_headers: Vec<String>,
    /// Headers with their identity.
    pub uid_headers: Vec<String>,
    /// Headers with their groups.
    pub group_headers: Vec<String>,
    /// Beginnings of headers with more about them.
    pub extra_prefixes: Vec<String>,
}

/// Why nobody can be believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The apiserver does not say by which certificate it is known.
    #[error("ConfigMap {NAMESPACE}/{CONFIG_MAP} holds no {0}: the apiserver was started without an aggregation layer")]
    Missing(&'static str),
    /// It says something that cannot be used.
    #[error("ConfigMap {NAMESPACE}/{CONFIG_MAP}: {0}")]
    Unusable(String),
}

impl Trust {
    /// From the ConfigMap's data.
    ///
    /// # Errors
    /// [`TrustError`].
    pub fn read(data: &BTreeMap<String, String>) -> Result<Self, TrustError> {
        let authority = data.get("requestheader-client-ca-file").filter(|text| !text.trim().is_empty());
        let authority = authority.ok_or(TrustError::Missing("requestheader-client-ca-file"))?.clone();
        let list = |key: &str| -> Result<Vec<String>, TrustError> {
            let Some(text) = data.get(key).filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
            serde_json::from_str(text).map_err(|error| TrustError::Unusable(format!("{key}: {error}")))
        };
        let headers = |key| list(key).map(|all| all.iter().map(|one| one.to_ascii_lowercase()).collect::<Vec<_>>());
        let trust = Self {
            authority,
            names: list("requestheader-allowed-names")?,
            user_headers: headers("requestheader-username-headers")?,
            uid_headers: headers("requestheader-uid-headers")?,
            group_headers: headers("requestheader-group-headers")?,
            extra_prefixes: headers("requestheader-extra-headers-prefix")?,
        };
        if trust.user_headers.is_empty() {
            return Err(TrustError::Missing("requestheader-username-headers"));
        }
        Ok(trust)
    }

    /// What refuses every other certificate, and none at all, before a word is exchanged.
    ///
    /// # Errors
    /// Authorities that cannot be used.
    pub fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TrustError> {
        let unusable = |error: &dyn std::fmt::Display| TrustError::Unusable(format!("authority: {error}"));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authority.as_bytes()) {
            let certificate = certificate.map_err(|error| unusable(&error))?;
            roots.add(certificate).map_err(|error| unusable(&error))?;
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let built = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        built.map(|verifier| verifier as Arc<dyn ClientCertVerifier>).map_err(|error| unusable(&error))
    }

    /// Whether a certificate that the verifier has let through is one of those named.
    #[must_use]
    pub fn names_one_of(&self, certificate: &CertificateDer<'_>) -> bool {
        if self.names.is_empty() {
            return true;
        }
        let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return false };
        let mut names = parsed.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        names.any(|name| self.names.iter().any(|allowed| allowed == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_the_apiserver_says_of_itself_is_read() {
        let trust = Trust::read(&data(&[
            ("requestheader-client-ca-file", "PEM"),
            ("requestheader-allowed-names", r#"["front-proxy"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ]));
        let trust = trust.unwrap();
        assert_eq!(
            (trust.names, trust.user_headers),
            (vec!["front-proxy".to_owned()], vec!["x-remote-user".to_owned()])
        );
        assert!(trust.uid_headers.is_empty(), "older apiservers say none");
        assert!(Trust::read(&data(&[])).is_err(), "nobody is believed then");
        assert!(Trust::read(&data(&[("requestheader-client-ca-file", "PEM")])).is_err());
    }

    #[test]
    fn a_certificate_counts_by_its_common_name() {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "front-proxy");
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let mut trust = Trust {
            authority: certificate.pem(),
            names: vec!["front-proxy".to_owned()],
            user_headers: Vec::new(),
            uid_headers: Vec::new(),
            group_headers: Vec::new(),
            extra_prefixes: Vec::new(),
        };
        assert!(trust.names_one_of(certificate.der()));
        trust.names = vec!["another".to_owned()];
        assert!(!trust.names_one_of(certificate.der()));
        trust.names.clear();
        assert!(trust.names_one_of(certificate.der()), "no names: any");
        assert!(trust.verifier().is_ok());
    }
}
