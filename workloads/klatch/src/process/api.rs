//! `klatch api`

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use axum::middleware::from_fn_with_state;
use klatch_bus::http::ServiceToken;
use klatch_identity::Keys;
use klatch_service_kit::panic;
use klatch_settings::{ApiProcess, ENV_SERVICE_TOKEN, InternalSettings, KeysSettings, TraceSettings};

use super::{Process, Running, Served, bus, needed, public_keys, reach, stores, tls};
use crate::{
    rotation,
    web_client::{self, AssetsBase, WebClient},
    workload::{self, Base},
};

/// Between two looks at the folder of keys: a rotation by whoever keeps it reaches every replica in this time, and signs a quarter of an
/// hour later at the earliest.
const READ_KEYS_EVERY: Duration = Duration::from_secs(60);

impl Process for ApiProcess {
    const NAME: &'static str = "klatch-api";

    fn listen_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.listen)
    }

    fn admin_listen_mut(&mut self) -> &mut String {
        &mut self.admin_listen
    }

    fn trace(&self) -> &TraceSettings {
        &self.trace
    }

    async fn start(&self, base: &Base) -> anyhow::Result<Running> {
        let keys = open_keys(base, &self.keys)?;
        let assets = self.web.assets_base_url.as_deref().map(AssetsBase::parse).transpose()?;
        let web_client =
            self.web_folder.as_deref().map(|folder| WebClient::read(folder, assets.as_ref())).transpose()?;
        let tokens = service_tokens(&self.internal)?;
        let internal_tls = tls::follow(base, &self.internal)?;
        reach::databases(&self.database).await?;
        reach::brokers(&self.broker).await?;
        let opened = stores::open(&self.database).await?;
        let bus = bus::connect(base, Self::NAME, &self.broker, &self.cache).await?;
        let api = workload::api::start(base, self.api.clone(), &bus, &opened.stores(), Arc::clone(&keys)).await?;
        let app = match web_client {
            Some(client) => api.router().layer(from_fn_with_state(client, web_client::serve)),
            None => api.router(),
        };
        let internal = public_keys::router(keys).merge(api.internal_router(&tokens));
        let served = vec![
            Served { listen: None, tls: None, app },
            Served { listen: Some(self.internal.listen.clone()), tls: internal_tls, app: internal },
        ];
        Ok(Running {
            served,
            stop: Box::new(move |serving| {
                Box::pin(async move {
                    // The listeners take nothing new; calls under way finish.
                    serving.wait().await;
                    api.stop().await;
                    drop((api, bus));
                    opened.close().await;
                })
            }),
        })
    }
}

/// Every token that is taken.
fn service_tokens(settings: &InternalSettings) -> anyhow::Result<Vec<ServiceToken>> {
    let other = settings.other_token_file.as_deref().map(Some);
    let files = std::iter::once(settings.token_file.as_deref()).chain(other);
    let token = |file: Option<&Path>| {
        let secret = needed(file, ENV_SERVICE_TOKEN, "the service token")?;
        ServiceToken::parse(secret.reveal()).context("the service token cannot be used")
    };
    files.map(token).collect()
}

/// The signing keys, kept up to date for as long as the process lives.
fn open_keys(base: &Base, settings: &KeysSettings) -> anyhow::Result<Arc<Keys>> {
    let keys = if settings.rotate { Keys::open(&settings.folder) } else { Keys::open_existing(&settings.folder) };
    let keys = keys.context("cannot open the signing keys")?;
    if settings.rotate {
        let rotation = rotation::run(Arc::clone(&keys), base.clock.clone(), base.stop.clone());
        panic::spawn_critical("key rotation", base.stop.clone(), rotation);
    } else {
        panic::spawn_critical("key reading", base.stop.clone(), read_again(Arc::clone(&keys), base.stop.clone()));
    }
    Ok(keys)
}

async fn read_again(keys: Arc<Keys>, stop: tokio_util::sync::CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(READ_KEYS_EVERY) => {}
        }
        let read = Arc::clone(&keys);
        match tokio::task::spawn_blocking(move || read.reload()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "cannot read the signing keys again; the ones there sign on"),
            Err(error) => tracing::error!(%error, "reading the signing keys again was interrupted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_token_is_taken_beside_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, letter: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, letter.repeat(64)).unwrap();
            Some(path)
        };
        let (first, second) = (file("first", "a"), file("second", "b"));
        let mut settings = InternalSettings { token_file: first, ..InternalSettings::default() };
        assert_eq!(service_tokens(&settings).unwrap().len(), 1);
        settings.other_token_file = second;
        assert_eq!(service_tokens(&settings).unwrap().len(), 2);
        settings.other_token_file = Some(folder.path().join("third"));
        assert!(service_tokens(&settings).unwrap_err().to_string().contains("third"), "what is named must be there");
    }
}
