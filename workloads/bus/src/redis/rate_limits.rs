//! Rate limits in Redis: one number a key, one script a step, many steps in one round trip.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{
    Options,
    keys::Keys,
    link::{CallError, Link},
    metrics::{Call, Metrics},
    replies::{BadReply, integer},
    scripts,
};
use crate::{RateLimits, RatesUnknown, Take, rate_limits::Act};

pub(super) struct RedisRateLimits {
    link: Arc<Link>,
    keys: Keys,
    options: Options,
    call: Call,
}

impl From<CallError> for RatesUnknown {
    fn from(error: CallError) -> Self {
        Self(error.to_string())
    }
}

impl From<BadReply> for RatesUnknown {
    fn from(error: BadReply) -> Self {
        Self(error.to_string())
    }
}

impl RedisRateLimits {
    pub(super) fn new(link: Arc<Link>, options: &Options, metrics: &Metrics) -> Self {
        let keys = Keys::new(&options.prefix, options.mode);
        Self { link, keys, options: options.clone(), call: metrics.call("rates") }
    }

    async fn apply(&self, act: Act, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown> {
        let act = match act {
            Act::Take => "take",
            Act::Charge => "charge",
            Act::GiveBack => "give_back",
        };
        let ahead_ms = u64::try_from((self.options.ahead)().as_millis()).unwrap_or(u64::MAX);
        let call = |take: &Take| {
            let mut call = scripts::RATE.on(&[self.keys.rate(&take.limited.to_string())]);
            call.arg(act).arg(take.rate.cost(take.units)).arg(take.rate.burst()).arg(ahead_ms);
            call
        };
        if takes.is_empty() {
            return Ok(Vec::new());
        }
        let answers = scripts::run(&self.link, takes.iter().map(call).collect()).await?;
        let wait = |answer| Ok(Duration::from_micros(u64::try_from(integer(answer)?).unwrap_or(0)));
        answers.iter().map(wait).collect()
    }
}

#[async_trait]
impl RateLimits for RedisRateLimits {
    async fn take(&self, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown> {
        self.call.watch(self.apply(Act::Take, takes)).await
    }

    async fn charge(&self, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown> {
        self.call.watch(self.apply(Act::Charge, takes)).await
    }

    async fn give_back(&self, takes: &[Take]) -> Result<(), RatesUnknown> {
        self.call.watch(self.apply(Act::GiveBack, takes)).await.map(drop)
    }
}
