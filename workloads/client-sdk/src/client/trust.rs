//! Whose certificates a client believes: the system's authorities, and more when told so.

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::Verifier;

use super::ClientError;

/// Authorities believed beside the system's, for HTTP and WebSocket alike: a company's own, or a test's.
#[derive(Clone, Default)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// From a text with PEM certificates (RFC 7468); anything else in it is left alone.
    ///
    /// # Errors
    /// [`ClientError::Certificates`] when there is none, or one is damaged.
    pub fn from_pem(text: &[u8]) -> Result<Self, ClientError> {
        let wrong = |reason: String| ClientError::Certificates { reason };
        let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let roots = roots.map_err(|error| wrong(error.to_string()))?;
        if roots.is_empty() {
            return Err(wrong("there is no PEM certificate in it".to_owned()));
        }
        Ok(Self(roots))
    }

    /// From a PEM file.
    ///
    /// # Errors
    /// As [`Self::from_pem`], and when the file cannot be read.
    pub fn read(path: &Path) -> Result<Self, ClientError> {
        let wrong =
            |error: std::io::Error| ClientError::Certificates { reason: format!("{}: {error}", path.display()) };
        Self::from_pem(&std::fs::read(path).map_err(wrong)?)
    }

    /// For connections that verify the server by the platform's rules and authorities, and by these.
    ///
    /// # Errors
    /// [`ClientError::Certificates`] when the platform's verifier does not take them.
    pub fn config(&self) -> Result<Arc<ClientConfig>, ClientError> {
        let wrong = |error: rustls::Error| ClientError::Certificates { reason: error.to_string() };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.0.iter().cloned(), Arc::clone(&provider)).map_err(wrong)?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            // So rustls calls every verifier that is not its own; this one is the platform's.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_is_refused() {
        for text in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
            let refused = Roots::from_pem(text.as_bytes()).err().map(|error| error.to_string());
            assert!(refused.is_some_and(|error| error.contains("certificate")), "{text:?}");
        }
        assert!(Roots::read(Path::new("/nonexistent/ca.pem")).is_err());
        assert!(Roots::default().config().is_ok());
    }
}
