//! Whom gateways believe on api's internal listener. Whoever keeps its certificate changes the file beneath us: so it is read again and
//! again, and a file that is no good changes nothing.

use std::path::{Path, PathBuf};

use anyhow::Context;
use klatch_service_kit::panic::spawn_critical;
use klatch_settings::QueriesSettings;
use tokio::{sync::watch, time::sleep};
use tokio_rustls::rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio_util::sync::CancellationToken;

use super::READ_CERTIFICATES_EVERY;
use crate::workload::Base;

/// The certificates believed, PEM. `None`: those of the machine.
pub(super) type Authorities = watch::Receiver<Option<Vec<u8>>>;

/// Those that the settings name, kept up to date until the process stops.
pub(super) async fn follow(base: &Base, settings: &QueriesSettings) -> anyhow::Result<Authorities> {
    let Some(path) = settings.ca_file.clone() else { return Ok(watch::channel(None).1) };
    let (sender, authorities) = watch::channel(Some(read(&path).await?));
    spawn_critical("authorities", base.stop.clone(), keep(path, sender, base.stop.clone()));
    Ok(authorities)
}

async fn keep(path: PathBuf, sender: watch::Sender<Option<Vec<u8>>>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(READ_CERTIFICATES_EVERY) => look(&path, &sender).await,
        }
    }
}

/// Reads them again.
pub(super) async fn look(path: &Path, sender: &watch::Sender<Option<Vec<u8>>>) {
    let pem = match read(path).await {
        Ok(pem) => Some(pem),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "authorities believed so far are believed still");
            return;
        }
    };
    let changed = sender.send_if_modified(|believed| {
        let changed = *believed != pem;
        *believed = pem;
        changed
    });
    if changed {
        tracing::info!(file = %path.display(), "other authorities are believed");
    }
}

/// A file that can be believed whole.
async fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let pem = tokio::fs::read(path).await.with_context(|| format!("cannot read {}", path.display()))?;
    let mut believed = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate.map_err(anyhow::Error::from).and_then(|one| Ok(believed.add(one)?));
        added.with_context(|| format!("{} holds a certificate that cannot be read", path.display()))?;
    }
    anyhow::ensure!(!believed.is_empty(), "{} holds no certificate", path.display());
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::certificates::Certificates;

    #[tokio::test]
    async fn a_file_that_is_no_good_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.crt");
        let (old, new) = (Certificates::make().authority, Certificates::make().authority);
        std::fs::write(&file, &old).unwrap();
        let (sender, mut believed) = watch::channel(Some(read(&file).await.unwrap()));
        let broken = format!("{new}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let cut = &new[..new.len() / 2];
        for bad in [String::new(), "no certificate".to_owned(), broken, format!("{new}{cut}")] {
            std::fs::write(&file, &bad).unwrap();
            look(&file, &sender).await;
            assert!(!believed.has_changed().unwrap(), "{bad:?} was believed");
        }
        std::fs::remove_file(&file).unwrap();
        look(&file, &sender).await;
        assert!(!believed.has_changed().unwrap());
        let both = format!("{new}{old}");
        std::fs::write(&file, &both).unwrap();
        look(&file, &sender).await;
        assert_eq!(believed.borrow_and_update().as_deref(), Some(both.as_bytes()));
        look(&file, &sender).await;
        assert!(!believed.has_changed().unwrap(), "the same is no news");
    }
}
