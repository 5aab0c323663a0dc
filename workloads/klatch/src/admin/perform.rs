//! Doing what the owner asks. The same functions run in a running `klatch up` and on a stopped data folder.

use std::sync::Arc;

use super::request::{Answer, Password, Request};
use klatch_api::Revocations;
use klatch_domain::{DisplayName, Email, Timestamp, UserId, Username};
use klatch_identity::{Keys, Passwords, check_password};
use klatch_service_kit::Clock;
use klatch_store::{
    Directory, StoreError,
    directory::{Revoke, User, UserError},
};

/// What the owner's commands act on.
pub(crate) struct Administration {
    directory: Arc<dyn Directory>,
    keys: Arc<Keys>,
    passwords: Passwords,
    clock: Clock,
    /// Ends sessions as the running api does, so that it refuses them before the owner has the answer; nothing runs on a
    /// stopped data folder.
    revocations: Option<Arc<Revocations>>,
}

/// Why a request came to nothing.
enum Refused {
    /// The owner asked for something that cannot be.
    Owner(String),
    /// The store could not.
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Administration {
    /// On a directory, beside the api whose `revocations` these are.
    pub(crate) fn new(
        directory: Arc<dyn Directory>,
        keys: Arc<Keys>,
        clock: Clock,
        revocations: Option<Arc<Revocations>>,
    ) -> Self {
        // An owner sets one password at a time.
        Self { directory, keys, passwords: Passwords::new(1), clock, revocations }
    }

    /// Carries a request out. What fails changes nothing. Not cancel safe: a dropped call may have done half of it, and
    /// repeating it does the rest.
    pub(crate) async fn perform(&self, request: Request) -> Answer {
        let done = match request {
            Request::UserAdd { username, password, display_name, email } => {
                self.add(&username, password, display_name, email).await
            }
            Request::UserDisable { username } => self.disable(&username).await,
            Request::UserEnable { username } => self.enable(&username).await,
            Request::ResetPassword { username, password } => self.reset_password(&username, password).await,
            Request::MakeAdmin { username } => self.make_admin(&username).await,
            Request::RotateKeys { compromised } => self.rotate_keys(compromised).await,
            Request::Backup => Err(Refused::Owner("a backup is made elsewhere".to_owned())),
        };
        done.unwrap_or_else(|refused| {
            Answer::refused(match refused {
                Refused::Owner(detail) => detail,
                Refused::Store(error) => format!("the directory could not do it: {error}"),
            })
        })
    }

    async fn add(
        &self,
        username: &str,
        password: Password,
        display_name: Option<String>,
        email: Option<String>,
    ) -> Result<Answer, Refused> {
        let owner = |error: klatch_domain::NameError| Refused::Owner(error.to_string());
        let user = User {
            id: UserId::now(),
            username: Username::parse(username).map_err(owner)?,
            display_name: display_name.as_deref().map(DisplayName::parse).transpose().map_err(owner)?,
            email: email.as_deref().map(Email::parse).transpose().map_err(owner)?,
            avatar: None,
            status: None,
            read_receipts: true,
            do_not_disturb_until: None,
            is_admin: false,
            disabled: false,
            created_at: self.now(),
        };
        let hash = self.hash(password, &user.username).await?;
        match self.directory.create_user(&user, &hash).await {
            Ok(()) => Ok(Answer::done(format!("user {} was added", user.username))),
            Err(UserError::Store(error)) => Err(error.into()),
            Err(taken) => Err(Refused::Owner(format!("{taken}; nothing was changed"))),
        }
    }

    async fn disable(&self, username: &str) -> Result<Answer, Refused> {
        let user = self.find(username).await?;
        self.directory.set_disabled(user.id, true).await?;
        let ended = self.end_sessions(user.id).await?;
        Ok(Answer::Done { detail: format!("user {} may not sign in any more", user.username), ended_sessions: ended })
    }

    async fn enable(&self, username: &str) -> Result<Answer, Refused> {
        let user = self.find(username).await?;
        self.directory.set_disabled(user.id, false).await?;
        Ok(Answer::done(format!("user {} may sign in", user.username)))
    }

    async fn reset_password(&self, username: &str, password: Password) -> Result<Answer, Refused> {
        let user = self.find(username).await?;
        let hash = self.hash(password, &user.username).await?;
        self.directory.set_password(user.id, &hash).await?;
        let ended = self.end_sessions(user.id).await?;
        Ok(Answer::Done { detail: format!("user {} has a new password", user.username), ended_sessions: ended })
    }

    async fn make_admin(&self, username: &str) -> Result<Answer, Refused> {
        let user = self.find(username).await?;
        self.directory.set_admin(user.id, true).await?;
        Ok(Answer::done(format!("user {} administers this installation", user.username)))
    }

    async fn rotate_keys(&self, compromised: bool) -> Result<Answer, Refused> {
        let (keys, now) = (Arc::clone(&self.keys), self.now());
        // It writes a file.
        let rotated =
            tokio::task::spawn_blocking(move || if compromised { keys.replace(now) } else { keys.rotate(now) }).await;
        match rotated {
            Ok(Ok(())) if compromised => {
                Ok(Answer::done("tokens made so far are refused; a new key signs from now on"))
            }
            Ok(Ok(())) => Ok(Answer::done("a new key signs from now on")),
            Ok(Err(error)) => Err(Refused::Owner(format!("{error}; look at it, and do it again"))),
            Err(error) => Err(Refused::Owner(format!("it was interrupted ({error}); do it again"))),
        }
    }

    async fn find(&self, username: &str) -> Result<User, Refused> {
        let username = Username::parse(username).map_err(|error| Refused::Owner(error.to_string()))?;
        let found = self.directory.credentials(&username).await?;
        found.map(|(user, _)| user).ok_or_else(|| Refused::Owner(format!("there is no user {username}")))
    }

    async fn hash(&self, password: Password, username: &Username) -> Result<String, Refused> {
        check_password(&password.0, username).map_err(|refusal| Refused::Owner(refusal.detail.into_owned()))?;
        self.passwords.hash(password.0).await.map_err(|error| Refused::Owner(error.to_string()))
    }

    /// Ends every session of the user, in the store first and then where they are in use.
    async fn end_sessions(&self, user: UserId) -> Result<usize, Refused> {
        let ended = match &self.revocations {
            Some(running) => running.end(user, Revoke::All).await?,
            None => self.directory.revoke_sessions(user, Revoke::All, self.now()).await?,
        };
        Ok(ended.len())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }
}
