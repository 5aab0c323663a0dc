//! `klatch notification-service`

use klatch_settings::{NotificationServiceProcess, TraceSettings};

use super::{Process, Running, bus, reach, stores};
use crate::workload::{self, Base};

impl Process for NotificationServiceProcess {
    const NAME: &'static str = "klatch-notification-service";

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
        let service = workload::notification_service::start(base, self.notification_service.clone(), &bus, &stores)?;
        Ok(Running {
            served: Vec::new(),
            // What was not decided on goes to another.
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
