//! The certificate of api's internal listener.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use klatch_settings::InternalSettings;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// What encrypts, when the settings name a certificate and its key.
pub(super) fn acceptor(settings: &InternalSettings) -> anyhow::Result<Option<TlsAcceptor>> {
    let (Some(certificate), Some(key)) = (&settings.certificate_file, &settings.key_file) else { return Ok(None) };
    let unreadable = |path: &Path| format!("cannot read {}", path.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| unreadable(certificate))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| unreadable(key))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the internal listener's certificate and key do not go together")?;
    Ok(Some(TlsAcceptor::from(Arc::new(config))))
}
