//! The keys that sign access tokens, within a pass: nobody else keeps them, and none of them signs for longer than a month.

use klatch_desired::{Content, Desired};
use klatch_identity::rotation::{Due, due};

use super::phases::Walk;
use crate::{
    act,
    failure::Failure,
    make,
    observe::World,
    plan::{outcome::Outcome, rotation::unanswered, secrets::with_content},
};

impl Walk<'_> {
    /// Makes the next key when it is time or somebody asks for it, and forgets those whose tokens have expired.
    pub(super) async fn signing_keys(
        &self,
        asked: Option<&str>,
        desired: &Desired,
        world: &World,
    ) -> Result<Option<Outcome>, Failure> {
        let (client, owner) = (&self.operator.client, self.owner);
        let is_of_keys = |content: &Content| matches!(content, Content::SigningKeys);
        let Some((shape, secret)) = with_content(desired, world, is_of_keys) else { return Ok(None) };
        let seen = match act::read_signing_keys(client, owner, &shape.name).await? {
            Ok(seen) => seen,
            Err(file) => {
                let message = format!("{file} of Secret {} is no signing key: put it back, or take it out", shape.name);
                return Ok(Some(Outcome::Blocked { reason: "SigningKeyUnreadable", message }));
            }
        };
        let news = unanswered(asked, secret);
        let due = due(&seen.keys, news.is_some(), make::now());
        if due == Due::default() && news.is_none() {
            return Ok(None);
        }
        let message = match (&due.make, due.forget.len()) {
            (Some(_), _) => "made the next signing key".to_owned(),
            (None, 0) => "the next signing key waits already".to_owned(),
            (None, count) => format!("forgot {count} signing keys whose tokens have expired"),
        };
        act::write_signing_keys(client, owner, &shape.name, &seen, &due, news).await?;
        Ok(Some(Outcome::Progress { message }))
    }
}
