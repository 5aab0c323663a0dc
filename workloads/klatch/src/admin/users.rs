//! Doing what the owner asks about users. The same functions run in a running `klatch up`, on a stopped data folder and beside the
//! workloads of a cluster.

use std::sync::Arc;

use super::request::{Answer, Password, UserRequest};
use crate::process;
use klatch_api::Revocations;
use klatch_domain::{DisplayName, Email, Event, Timestamp, UserId, Username};
use klatch_identity::{LONGEST_TOKEN, Passwords, check_password};
use klatch_service_kit::Clock;
use klatch_settings::BrokerSettings;
use klatch_store::{
    Directory, StoreError,
    directory::{Revoke, User, UserError},
};

/// Who hears that sessions have ended.
pub(crate) enum Hearers {
    /// Nothing runs on a stopped data folder.
    Nobody,
    /// The api of this process, so that it refuses them before the owner has the answer, and whoever it tells.
    Api(Arc<Revocations>),
    /// The gateways and apis of a cluster, by its brokers.
    Cluster(Box<BrokerSettings>),
}

/// The users of an installation.
pub(crate) struct Users {
    directory: Arc<dyn Directory>,
    passwords: Passwords,
    clock: Clock,
    hearers: Hearers,
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

impl Users {
    /// In a directory.
    pub(crate) fn new(directory: Arc<dyn Directory>, clock: Clock, hearers: Hearers) -> Self {
        // An owner sets one password at a time.
        Self { directory, passwords: Passwords::new(1), clock, hearers }
    }

    /// Carries a request out. What is refused changes nothing. Not cancel safe: a dropped call may have done half of it, and
    /// repeating it does the rest.
    pub(crate) async fn perform(&self, request: UserRequest) -> Answer {
        let done = match request {
            UserRequest::Add { username, password, display_name, email } => {
                self.add(&username, password, display_name, email).await
            }
            UserRequest::Disable { username } => self.disable(&username).await,
            UserRequest::Enable { username } => self.enable(&username).await,
            UserRequest::ResetPassword { username, password } => self.reset_password(&username, password).await,
            UserRequest::MakeAdmin { username } => self.make_admin(&username).await,
        };
        done.unwrap_or_else(|refused| match refused {
            Refused::Owner(detail) => Answer::refused(detail),
            Refused::Store(error) => {
                Answer::Unfinished { detail: format!("the directory has not done all of it: {error}") }
            }
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
        let username = Username::parse(username).map_err(owner)?;
        let user = User {
            display_name: display_name.as_deref().map(DisplayName::parse).transpose().map_err(owner)?,
            email: email.as_deref().map(Email::parse).transpose().map_err(owner)?,
            ..User::new(UserId::now(), username, self.now())
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
        self.end_sessions(user.id, format!("user {} may not sign in any more", user.username)).await
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
        self.end_sessions(user.id, format!("user {} has a new password", user.username)).await
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

    /// Ends every session of the user, in the store first and then where they are in use. `detail` says what was done before.
    async fn end_sessions(&self, user: UserId, detail: String) -> Result<Answer, Refused> {
        let ended = match &self.hearers {
            Hearers::Api(api) => api.end(user, Revoke::All).await?,
            Hearers::Nobody | Hearers::Cluster(_) => {
                self.directory.revoke_sessions(user, Revoke::All, self.now()).await?
            }
        };
        if let Hearers::Cluster(broker) = &self.hearers
            && let Err(error) = self.tell(broker, user).await?
        {
            // Gateways read every minute what has ended; apis where they have missed something, and know that.
            let open = "connections close within a minute, but their access tokens may be taken until they expire";
            return Ok(Answer::Unfinished { detail: format!("{detail}; nobody heard of it ({error:#}): {open}") });
        }
        Ok(Answer::Done { detail, ended_sessions: ended.len() })
    }

    /// Also of what had ended before: whoever ended it may have died before the telling.
    async fn tell(&self, broker: &BrokerSettings, user: UserId) -> Result<anyhow::Result<()>, StoreError> {
        let lately = self.directory.revoked_since(self.now().minus(LONGEST_TOKEN)).await?;
        let theirs = lately.into_iter().filter(|(_, whose)| *whose == user);
        let events: Vec<_> = theirs.map(|(session, user)| Event::SessionRevoked { session, user }).collect();
        Ok(if events.is_empty() { Ok(()) } else { process::announce(broker, events).await })
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.millis())
    }
}
