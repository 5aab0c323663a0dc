//! The certificate between gateways and api, within a pass: its renewal goes on beside everything, and nothing waits for it.

use std::time::Duration;

use klatch_desired::{Content, Desired, SecretShape};

use super::phases::Walk;
use crate::{
    act,
    failure::Failure,
    make,
    observe::{OwnSecret, World},
    plan::{
        outcome::Outcome,
        renewal::{Notes, Step},
        rotation::unanswered,
        secrets::with_content,
    },
};

impl Walk<'_> {
    /// The next step of a renewal that is due or that somebody asks for. The Secret is read only where its notes do not rule that out.
    pub(super) async fn certificate(
        &self,
        asked: Option<&str>,
        desired: &Desired,
        world: &World,
    ) -> Result<Option<Outcome>, Failure> {
        let (client, owner, now) = (&self.operator.client, self.owner, make::now());
        let Some((shape, secret)) = secret(desired, world) else { return Ok(None) };
        let news = unanswered(asked, secret);
        if !notes(secret).is_due(news.is_some(), now) {
            return Ok(None);
        }
        let seen = act::read_certificate(client, owner, &shape.name).await?;
        let step = seen.held().step(news.is_some(), now);
        let message = match step {
            Step::Rest => return Ok(None),
            Step::Note(_) => "noted when the internal certificate is renewed",
            Step::Wait => "the next internal certificate waits until its authority is known",
            Step::Prepare => "made the next internal certificate",
            Step::Use => "the next internal certificate is used",
            Step::Forget(_) => "forgot the authority of the last internal certificate",
        };
        act::write_certificate(client, owner, shape, &seen, step, news, now).await?;
        Ok(Some(Outcome::Progress { message: message.to_owned() }))
    }
}

/// How long until the next step of a renewal under way.
pub(super) fn wait(desired: &Desired, world: &World) -> Option<Duration> {
    let (_, secret) = secret(desired, world)?;
    notes(secret).wait(make::now())
}

fn notes(secret: &OwnSecret) -> Notes {
    Notes::read(|name| secret.annotation(name))
}

fn secret<'a>(desired: &'a Desired, world: &'a World) -> Option<(&'a SecretShape, &'a OwnSecret)> {
    with_content(desired, world, |content| matches!(content, Content::Certificate(_)))
}
