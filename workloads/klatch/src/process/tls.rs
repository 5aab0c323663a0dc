//! The certificate of api's internal listener. Whoever keeps it changes its files beneath us: they are read again and again, and what
//! cannot be read, or does not go together, changes nothing.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use klatch_service_kit::panic::spawn_critical;
use klatch_settings::InternalSettings;
use tokio::{sync::watch, time::sleep};
use tokio_rustls::rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_util::sync::CancellationToken;

use super::READ_CERTIFICATES_EVERY;
use crate::{serve::Tls, workload::Base};

/// What encrypts, when the settings name a certificate and its key, kept up to date until the process stops.
pub(super) fn follow(base: &Base, settings: &InternalSettings) -> anyhow::Result<Option<Tls>> {
    let (Some(certificate), Some(key)) = (&settings.certificate_file, &settings.key_file) else { return Ok(None) };
    let files = Files { certificate: certificate.clone(), key: key.clone() };
    let (kept, tls) = Kept::begin(files)?;
    spawn_critical("internal certificate", base.stop.clone(), keep(kept, base.stop.clone()));
    Ok(Some(tls))
}

async fn keep(mut kept: Kept, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(READ_CERTIFICATES_EVERY) => {}
        }
        // Two small files.
        kept.look();
    }
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The certificate in use.
struct Kept {
    files: Files,
    chain: Vec<CertificateDer<'static>>,
    sender: watch::Sender<Arc<ServerConfig>>,
}

impl Kept {
    fn begin(files: Files) -> anyhow::Result<(Self, Tls)> {
        let (chain, config) = files.read()?;
        let (sender, tls) = watch::channel(config);
        Ok((Self { files, chain, sender }, tls))
    }

    /// Reads it again. Connections that are open go on; those that come see the new one, and no ticket of the old one is good for them.
    fn look(&mut self) {
        match self.files.read() {
            Ok((chain, config)) if chain != self.chain => {
                self.chain = chain;
                self.sender.send_replace(config);
                tracing::info!(file = %self.files.certificate.display(), "another certificate is shown");
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the certificate shown so far is shown still");
            }
        }
    }
}

impl Files {
    /// The two are read one after the other, and may be of different times: so it is tried whether they go together.
    fn read(&self) -> anyhow::Result<(Vec<CertificateDer<'static>>, Arc<ServerConfig>)> {
        let unreadable = |path: &Path| format!("cannot read {}", path.display());
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| unreadable(&self.certificate))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| unreadable(&self.key))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .context("cannot set up TLS")?
            .with_no_client_auth()
            .with_single_cert(chain.clone(), key)
            .context("the internal listener's certificate and key do not go together")?;
        Ok((chain, Arc::new(config)))
    }
}

#[cfg(test)]
mod tests {
    use axum::{Router, routing::get};
    use tokio::net::TcpListener;
    use tokio_util::task::AbortOnDropHandle;

    use super::*;
    use crate::{process::certificates::Certificates, serve::serve};

    #[tokio::test]
    async fn another_certificate_is_shown_to_those_who_come_and_the_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let put = |certificate: &str, key: &str| {
            std::fs::write(file("tls.crt"), certificate).unwrap();
            std::fs::write(file("tls.key"), key).unwrap();
        };
        let (old, new) = (Certificates::make(), Certificates::make());
        put(&old.certificate, &old.key);
        let (mut kept, tls) = Kept::begin(Files { certificate: file("tls.crt"), key: file("tls.key") }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let (app, stop) = (Router::new().route("/", get(|| async { "here" })), CancellationToken::new());
        let _serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, Some(tls), app, stop)));
        let asks =
            async |client: &reqwest::Client| Ok::<_, reqwest::Error>(client.get(&address).send().await?.text().await?);
        let early = old.client();
        assert_eq!(asks(&early).await.unwrap(), "here");

        for (certificate, key) in [
            (new.certificate.as_str(), old.key.as_str()),
            (old.certificate.as_str(), new.key.as_str()),
            ("no certificate", new.key.as_str()),
            (new.certificate.as_str(), "no key"),
        ] {
            put(certificate, key);
            kept.look();
            assert_eq!(asks(&old.client()).await.unwrap(), "here", "what does not go together is not shown");
        }
        std::fs::remove_file(file("tls.key")).unwrap();
        kept.look();
        assert_eq!(asks(&old.client()).await.unwrap(), "here");

        put(&new.certificate, &new.key);
        kept.look();
        assert_eq!(asks(&new.client()).await.unwrap(), "here");
        assert!(asks(&old.client()).await.is_err(), "it is shown no more");
        assert_eq!(asks(&early).await.unwrap(), "here", "an open connection goes on");
    }
}
