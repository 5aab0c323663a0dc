//! The gateway's side.

use std::{collections::HashMap, error::Error, sync::Arc};

use async_trait::async_trait;
use klatch_domain::{Ordinal, Position, RoomId, SessionId, Timestamp, UserId};
use parking_lot::RwLock;
use reqwest::{StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    ANSWER_BYTES, Options, OptionsError, PATH,
    replicas::{Replica, Replicas},
    shapes::{
        ASKED_AT_ONCE, HeadsAnswer, HeadsQuery, MembersAnswer, MembersQuery, Refusal, RevokedSinceAnswer,
        RevokedSinceQuery, RoomsAboveAnswer, RoomsAboveQuery, VisiblePresenceAnswer, VisiblePresenceQuery,
    },
};
use crate::{Queries, QueryError, RoomMembers};

/// Characters of what a replica says about a refusal.
const REASON_CHARS: usize = 200;

/// [`Queries`] asked over HTTP.
pub struct HttpQueries {
    /// Taken whole for others, so that each question goes by one of them from its beginning to its end.
    replicas: RwLock<Arc<Replicas>>,
    bearer: String,
    options: Options,
    under_way: Semaphore,
}

/// Asks these replicas. Nothing is sent before the first question.
///
/// # Errors
/// [`OptionsError`].
pub fn queries(options: Options) -> Result<Arc<HttpQueries>, OptionsError> {
    Ok(Arc::new(HttpQueries {
        replicas: RwLock::new(Arc::new(Replicas::new(options.clone())?)),
        bearer: options.token.bearer(),
        under_way: Semaphore::new(options.at_once.max(1)),
        options,
    }))
}

/// Why one replica gave no answer.
enum Failure {
    /// Another one may.
    Elsewhere(String),
    /// None would.
    Final(String),
}

/// The whole chain: the outermost error only says that there was one.
fn reason(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

impl HttpQueries {
    /// Believes these authorities (PEM) and no others from the next question on. What is under way goes on over the connections that it
    /// has.
    ///
    /// # Errors
    /// [`OptionsError`]: those believed so far are believed still.
    pub fn believe(&self, ca: Vec<u8>) -> Result<(), OptionsError> {
        let replicas = Arc::clone(&self.replicas.read()).believing(ca)?;
        *self.replicas.write() = Arc::new(replicas);
        Ok(())
    }

    async fn ask<A: DeserializeOwned>(&self, name: &'static str, question: &impl Serialize) -> Result<A, QueryError> {
        let failed = |reason: String| QueryError { query: name, reason };
        let body = serde_json::to_vec(question).map_err(|error| failed(error.to_string()))?;
        let place = timeout(self.options.timeout, self.under_way.acquire()).await;
        let _place = place.map_err(|_| failed("too many questions are under way".to_owned()))?;
        let replicas = Arc::clone(&self.replicas.read());
        let (first, second) = replicas.two().await.map_err(failed)?;
        match self.ask_one(&first, name, body.clone()).await {
            Ok(answer) => Ok(answer),
            Err(Failure::Final(reason)) => Err(failed(reason)),
            Err(Failure::Elsewhere(reason)) => {
                tracing::debug!(query = name, replica = %first.url, reason, "asking another replica");
                // A replica that is the only one may just have closed an idle connection.
                let other = second.as_ref().unwrap_or(&first);
                self.ask_one(other, name, body).await.map_err(|failure| match failure {
                    Failure::Elsewhere(reason) | Failure::Final(reason) => failed(reason),
                })
            }
        }
    }

    async fn ask_one<A: DeserializeOwned>(
        &self,
        replica: &Replica,
        name: &'static str,
        body: Vec<u8>,
    ) -> Result<A, Failure> {
        let answer = self.fetch(replica, name, body).await;
        if matches!(answer, Err(Failure::Elsewhere(_))) {
            replica.failed();
        }
        let answer = answer?;
        serde_json::from_slice(&answer).map_err(|error| Failure::Final(format!("an answer cannot be read: {error}")))
    }

    async fn fetch(&self, replica: &Replica, name: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Failure> {
        let elsewhere = |error: reqwest::Error| Failure::Elsewhere(reason(&error));
        let mut url = replica.url.clone();
        url.set_path(&format!("{PATH}/{name}"));
        let request = replica
            .client
            .post(url)
            .header(header::AUTHORIZATION, &self.bearer)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body);
        let mut response = request.send().await.map_err(elsewhere)?;
        let status = response.status();
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(elsewhere)? {
            if answer.len() + chunk.len() > ANSWER_BYTES {
                return Err(Failure::Final(format!("an answer has more than {ANSWER_BYTES} bytes")));
            }
            answer.extend_from_slice(&chunk);
        }
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let said = serde_json::from_slice::<Refusal>(&answer).map_or_else(|_| String::new(), |refusal| refusal.error);
        let text = format!("{status} {}", said.chars().take(REASON_CHARS).collect::<String>()).trim_end().to_owned();
        let elsewhere = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        Err(if elsewhere { Failure::Elsewhere(text) } else { Failure::Final(text) })
    }
}

#[async_trait]
impl Queries for HttpQueries {
    async fn members(&self, room: RoomId) -> Result<Option<RoomMembers>, QueryError> {
        let answer: MembersAnswer = self.ask("members", &MembersQuery { room }).await?;
        Ok(answer.members.map(|members| RoomMembers {
            version: members.version,
            kind: members.kind,
            members: members.users.into(),
        }))
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<HashMap<RoomId, (Position, Ordinal)>, QueryError> {
        let mut heads = HashMap::with_capacity(rooms.len());
        for rooms in rooms.chunks(ASKED_AT_ONCE) {
            let answer: HeadsAnswer = self.ask("heads", &HeadsQuery { rooms: rooms.to_vec() }).await?;
            heads.extend(answer.heads.into_iter().map(|head| (head.room, (head.position, head.ordinal))));
        }
        Ok(heads)
    }

    async fn rooms_above(&self, users: &[UserId], members: u64) -> Result<Vec<(UserId, RoomId)>, QueryError> {
        let mut found = Vec::new();
        for users in users.chunks(ASKED_AT_ONCE) {
            let question = RoomsAboveQuery { members, users: users.to_vec() };
            let answer: RoomsAboveAnswer = self.ask("rooms-above", &question).await?;
            found.extend(answer.rooms.into_iter().map(|one| (one.user, one.room)));
        }
        Ok(found)
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, QueryError> {
        let answer: RevokedSinceAnswer = self.ask("revoked-since", &RevokedSinceQuery { since }).await?;
        Ok(answer.sessions.into_iter().map(|revoked| (revoked.session, revoked.user)).collect())
    }

    async fn visible_presence(&self, viewer: UserId, users: &[UserId]) -> Result<Vec<UserId>, QueryError> {
        let mut visible = Vec::new();
        for users in users.chunks(ASKED_AT_ONCE) {
            let question = VisiblePresenceQuery { viewer, users: users.to_vec() };
            let answer: VisiblePresenceAnswer = self.ask("visible-presence", &question).await?;
            visible.extend(answer.users);
        }
        Ok(visible)
    }
}
