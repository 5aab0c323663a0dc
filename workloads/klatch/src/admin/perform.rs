//! Doing what the owner asks. The same functions run in a running `klatch up` and on a stopped data folder.

use std::sync::Arc;

use klatch_bus::{EventPublisher, Target};
use klatch_domain::{DisplayName, Email, Event, SessionId, Timestamp, UserId, Username};
use klatch_identity::{Passwords, check_password};
use klatch_service_kit::Clock;
use klatch_store::{
    Directory, StoreError,
    directory::{Revoke, User, UserError},
};
use tokio::sync::Mutex;

use super::request::{Answer, Password, Request};

/// What the owner's commands act on.
pub(crate) struct Administration {
    directory: Arc<dyn Directory>,
    passwords: Passwords,
    clock: Clock,
    /// Tells gateways and api which sessions ended; nobody listens on a stopped data folder.
    revocations: Option<Mutex<Box<dyn EventPublisher>>>,
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
    /// On a directory; ended sessions are told to `revocations`.
    pub(crate) fn new(
        directory: Arc<dyn Directory>,
        clock: Clock,
        revocations: Option<Box<dyn EventPublisher>>,
    ) -> Self {
        // An owner sets one password at a time.
        Self { directory, passwords: Passwords::new(1), clock, revocations: revocations.map(Mutex::new) }
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
        let ended = self.directory.revoke_sessions(user, Revoke::All, self.now()).await?;
        if let Some(publisher) = &self.revocations
            && !ended.is_empty()
        {
            let event = |session: &SessionId| Event::SessionRevoked { session: *session, user };
            let events = ended.iter().map(event).collect();
            publisher.lock().await.publish(vec![(Target::Everyone, events)]).await;
        }
        Ok(ended.len())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }
}
