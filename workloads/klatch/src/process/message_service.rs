//! `klatch message-service`

use klatch_settings::{MessageServiceProcess, TraceSettings};

use super::{Process, Running, bus, reach, stores};
use crate::workload::{self, Base};

impl Process for MessageServiceProcess {
    const NAME: &'static str = "klatch-message-service";

    fn listen_mut(&mut self) -> Option<&mut String> {
        None
    }

    fn admin_listen_mut(&mut self) -> &mut String {
        &mut self.admin_listen
    }

    fn trace(&self) -> &TraceSettings {
        &self.trace
    }

    async fn start(&self, base: &Base) -> anyhow::Result<Running> {
        reach::databases(&self.database).await?;
        reach::brokers(&self.broker).await?;
        let opened = stores::open(&self.database).await?;
        let bus = bus::connect(base, Self::NAME, &self.broker, &self.cache).await?;
        let stores = opened.stores();
        let service = workload::message_service::start(base, self.message_service.clone(), &bus, &stores).await?;
        Ok(Running {
            served: Vec::new(),
            // Finishes its transactions, acknowledges, closes its channels.
            stop: Box::new(move |_| {
                Box::pin(async move {
                    service.stop().await;
                    drop((service, bus));
                    opened.close().await;
                })
            }),
        })
    }
}
