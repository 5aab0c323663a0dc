//! `klatch gateway`: no database, no private key.

use std::time::Duration;

use klatch_settings::{GatewayProcess, TraceSettings};

use super::{Process, Running, Served, authorities, bus, public_keys, reach};
use crate::workload::{self, Base};

impl Process for GatewayProcess {
    const NAME: &'static str = "klatch-gateway";

    fn listen_mut(&mut self) -> Option<&mut String> {
        Some(&mut self.listen)
    }

    fn admin_listen_mut(&mut self) -> &mut String {
        &mut self.admin_listen
    }

    fn trace(&self) -> &TraceSettings {
        &self.trace
    }

    fn drain(&self) -> Duration {
        Duration::from_millis(self.gateway.drain_ms)
    }

    fn connections(&self) -> Option<usize> {
        Some(self.gateway.max_connections)
    }

    async fn start(&self, base: &Base) -> anyhow::Result<Running> {
        reach::brokers(&self.broker).await?;
        let authorities = authorities::follow(base, &self.queries).await?;
        let keys = public_keys::follow(base, &self.queries, authorities.clone()).await?;
        let queries = bus::queries(base, &self.queries, authorities)?;
        let bus = bus::connect(base, Self::NAME, &self.broker, &self.cache).await?;
        let gateway = workload::gateway::start(base, self.gateway.clone(), &bus, queries, keys).await?;
        let app = gateway.router();
        Ok(Running {
            served: vec![Served { listen: None, tls: None, app }],
            // The listener takes nothing new by now. Hints, then closes at a pace; presence leaves with each; publishes settle;
            // the lease goes; the queues are the connection's own, and go with it.
            stop: Box::new(move |serving| {
                Box::pin(async move {
                    gateway.drain().await;
                    serving.wait().await;
                    drop((gateway, bus));
                })
            }),
        })
    }
}
