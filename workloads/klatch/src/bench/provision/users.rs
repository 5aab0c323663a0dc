//! Users who cannot sign in, each with one session.

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use klatch_domain::{Sender, SessionId, Timestamp, UserId, Username};
use klatch_identity::Keys;
use klatch_store::directory::{Session, SessionKind, User};

use super::{TOKEN_LIFETIME, UNDER_WAY};
use crate::{bench::accounts::Account, workload::Stores};

/// In the place of a password hash: no password matches it.
const NO_PASSWORD: &str = "!";

/// A user that was made.
pub(super) struct Provisioned {
    pub(super) sender: Sender,
    username: Username,
}

impl Provisioned {
    /// The user with a token of an hour.
    pub(super) fn account(&self, keys: &Keys, now: Timestamp) -> anyhow::Result<Account> {
        let Sender { user, session } = self.sender;
        let token = keys.issue_for(user, session, now, TOKEN_LIFETIME).context("cannot sign a token")?;
        Ok(Account { id: user, username: self.username.to_string(), token })
    }
}

/// Makes this many users, in the order of their ids.
pub(super) async fn make(stores: &Stores, count: usize, now: Timestamp) -> anyhow::Result<Vec<Provisioned>> {
    // Names of an earlier run may be there already.
    let run = &SessionId::now().to_string().replace('-', "")[20..];
    let users = (0..count).map(|number| one(run, number, now)).collect::<anyhow::Result<Vec<_>>>()?;
    let writing = users.iter().map(|(user, session)| write(stores, user, session));
    stream::iter(writing).buffer_unordered(UNDER_WAY).try_collect::<()>().await?;
    let provisioned = users.into_iter().map(|(user, session)| Provisioned {
        sender: Sender { user: user.id, session: session.id },
        username: user.username,
    });
    Ok(provisioned.collect())
}

fn one(run: &str, number: usize, now: Timestamp) -> anyhow::Result<(User, Session)> {
    let id = UserId::now();
    let username = Username::parse(&format!("bench-{run}-{number}")).context("cannot name a user")?;
    let user = User::new(id, username, now);
    let session = Session {
        id: SessionId::now(),
        user: id,
        kind: SessionKind::Device,
        name: "bench".to_owned(),
        // The hash of a secret nobody knows.
        secret_hash: rand::random(),
        secret_number: 1,
        created_at: now,
        last_used_at: now,
        expires_at: Some(now.plus(TOKEN_LIFETIME)),
        revoked_at: None,
    };
    Ok((user, session))
}

async fn write(stores: &Stores, user: &User, session: &Session) -> anyhow::Result<()> {
    stores.directory.create_user(user, NO_PASSWORD).await.context("cannot write a user")?;
    stores.directory.create_session(session).await.context("cannot write a session")
}
