//! Calls of the HTTP API that a client makes for its user.

use klatch_domain::limits::LIST_PAGE;
use klatch_domain::{MessageId, Role, RoomId, Seq, SessionId, UserId, Visibility};
use klatch_protocol::http::{
    BotTokenCreated, CreateBotToken, CreateRoom, Friends, History, Members, Profile, PutMember, RoomAnswer, RoomOut,
    Rooms, SendAnswer, SendBody, Sessions, Users,
};
use reqwest::Method;

use super::{Client, ClientError};
use crate::core::{Input, Part};

impl Client {
    /// Every room we are in, page by page until the last.
    ///
    /// # Errors
    /// [`ClientError`] of the first page that fails.
    pub async fn rooms(&self) -> Result<Vec<RoomOut>, ClientError> {
        let mut rooms = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let call = self.http.call("list rooms", Method::GET, &["rooms"]);
            let call = call.query([("limit", LIST_PAGE.to_string())]).query(after.map(|after| ("after", after)));
            let page: Rooms = self.authorised(call).await?;
            rooms.extend(page.rooms);
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(rooms),
            }
        }
    }

    /// One room, as we see it.
    ///
    /// # Errors
    /// `room_not_found`, or another [`ClientError`].
    pub async fn room(&self, room: RoomId) -> Result<RoomOut, ClientError> {
        let call = self.http.call("look at the room", Method::GET, &["rooms", &room.to_string()]);
        self.authorised::<RoomAnswer>(call).await.map(|answer| answer.room)
    }

    /// The one room with this user; made if it is not there.
    ///
    /// # Errors
    /// `user_not_found`, `blocked`, or another [`ClientError`].
    pub async fn open_direct(&self, user: UserId) -> Result<RoomOut, ClientError> {
        self.create(&CreateRoom::Direct { user }, "open the direct room").await
    }

    /// A new group with these members beside us. A call repeated after a lost reply makes another group.
    ///
    /// # Errors
    /// `validation_failed`, `user_not_found`, or another [`ClientError`].
    pub async fn create_group(
        &self,
        name: &str,
        members: Vec<UserId>,
        visibility: Visibility,
    ) -> Result<RoomOut, ClientError> {
        self.create(&CreateRoom::Group { name: name.to_owned(), members, visibility }, "create the group").await
    }

    async fn create(&self, body: &CreateRoom, step: &'static str) -> Result<RoomOut, ClientError> {
        let key = uuid::Uuid::new_v4().to_string();
        let call = self.http.call(step, Method::POST, &["rooms"]).body(body).idempotency_key(key);
        let room = self.authorised::<RoomAnswer>(call).await?.room;
        self.input(Input::Entered(room.id)).await?;
        Ok(room)
    }

    /// Joins a public room.
    ///
    /// # Errors
    /// `room_not_found`, or another [`ClientError`].
    pub async fn join(&self, room: RoomId) -> Result<(), ClientError> {
        let call = self.http.call("join the room", Method::PUT, &["rooms", &room.to_string(), "members", "me"]);
        self.authorised_empty(call.body(&PutMember::default())).await?;
        self.input(Input::Entered(room)).await
    }

    /// Leaves a group.
    ///
    /// # Errors
    /// `last_owner`, `not_allowed`, or another [`ClientError`].
    pub async fn leave(&self, room: RoomId) -> Result<(), ClientError> {
        let path = ["rooms", &room.to_string(), "members", "me"];
        self.authorised_empty(self.http.call("leave the room", Method::DELETE, &path)).await
    }

    /// Makes a user a member, or gives them another role.
    ///
    /// # Errors
    /// `not_allowed`, `user_not_found`, `blocked`, or another [`ClientError`].
    pub async fn put_member(&self, room: RoomId, user: UserId, role: Option<Role>) -> Result<(), ClientError> {
        let path = ["rooms", &room.to_string(), "members", &user.to_string()];
        let call = self.http.call("add the member", Method::PUT, &path).body(&PutMember { role });
        self.authorised_empty(call).await
    }

    /// Removes a member.
    ///
    /// # Errors
    /// `not_allowed`, `user_not_found`, or another [`ClientError`].
    pub async fn remove_member(&self, room: RoomId, user: UserId) -> Result<(), ClientError> {
        let path = ["rooms", &room.to_string(), "members", &user.to_string()];
        self.authorised_empty(self.http.call("remove the member", Method::DELETE, &path)).await
    }

    /// A page of a room's members.
    ///
    /// # Errors
    /// `room_not_found`, or another [`ClientError`].
    pub async fn members(&self, room: RoomId, after: Option<String>) -> Result<Members, ClientError> {
        let call = self.http.call("list members", Method::GET, &["rooms", &room.to_string(), "members"]);
        self.authorised(call.query(after.map(|after| ("after", after)))).await
    }

    /// A page of a room's log straight from the server, newest when no part is named. What is held here is not changed.
    ///
    /// # Errors
    /// `room_not_found`, or another [`ClientError`].
    pub async fn history(
        &self,
        room: RoomId,
        part: Option<Part>,
        limit: Option<usize>,
    ) -> Result<History, ClientError> {
        let part = part.map(|part| match part {
            Part::After(Seq(seq)) => ("after", seq.to_string()),
            Part::Before(Seq(seq)) => ("before", seq.to_string()),
        });
        let limit = limit.map(|limit| ("limit", limit.to_string()));
        let call = self.http.call("read history", Method::GET, &["rooms", &room.to_string(), "messages"]);
        self.authorised(call.query(part).query(limit)).await
    }

    /// Sends by HTTP, without the outbox: stored when it returns. Repeated with the same id it is stored once.
    ///
    /// # Errors
    /// What refuses the message, or another [`ClientError`].
    pub async fn post(&self, room: RoomId, body: &SendBody) -> Result<SendAnswer, ClientError> {
        let call = self.http.call("post the message", Method::POST, &["rooms", &room.to_string(), "messages"]);
        self.authorised(call.body(body)).await
    }

    /// The user of exactly this username.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn find_user(&self, username: &str) -> Result<Option<Profile>, ClientError> {
        let wanted = username.trim().to_ascii_lowercase();
        let mut after: Option<String> = None;
        loop {
            let call = self.http.call("find the user", Method::GET, &["users"]);
            let call = call.query([("query", wanted.clone()), ("limit", LIST_PAGE.to_string())]);
            let page: Users = self.authorised(call.query(after.map(|after| ("after", after)))).await?;
            if let Some(found) = page.users.into_iter().find(|user| user.username == wanted) {
                return Ok(Some(found));
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(None),
            }
        }
    }

    /// Profiles of these users, at most 100.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn users(&self, ids: &[UserId]) -> Result<Vec<Profile>, ClientError> {
        let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let call = self.http.call("look up users", Method::GET, &["users"]).query([("ids", ids)]);
        self.authorised::<Users>(call).await.map(|page| page.users)
    }

    /// A page of our friends.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn friends(&self, after: Option<String>) -> Result<Friends, ClientError> {
        let call = self.http.call("list friends", Method::GET, &["friends"]);
        self.authorised(call.query(after.map(|after| ("after", after)))).await
    }

    /// A page of our sessions.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sessions(&self, after: Option<String>) -> Result<Sessions, ClientError> {
        let call = self.http.call("list sessions", Method::GET, &["sessions"]);
        self.authorised(call.query(after.map(|after| ("after", after)))).await
    }

    /// Ends one of our sessions, or a bot token: its connections close within 2 s.
    ///
    /// # Errors
    /// `not_found`, or another [`ClientError`].
    pub async fn end_session(&self, session: SessionId) -> Result<(), ClientError> {
        let path = ["sessions", &session.to_string()];
        self.authorised_empty(self.http.call("end the session", Method::DELETE, &path)).await
    }

    /// A new bot token of ours. It is shown this once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_bot_token(&self, name: &str) -> Result<BotTokenCreated, ClientError> {
        let body = CreateBotToken { name: name.to_owned() };
        self.authorised(self.http.call("create the bot token", Method::POST, &["bot-tokens"]).body(&body)).await
    }

    /// The body that `send` and [`Self::post`] share, with a new id.
    #[must_use]
    pub fn send_body(draft: klatch_domain::Draft) -> SendBody {
        SendBody {
            message_id: MessageId::now(),
            kind: draft.kind,
            content: draft.content,
            content_type: draft.content_type,
            reply_to: draft.reply_to,
            thread: draft.thread,
            target: draft.target,
            mentions: draft.mentions,
            silent: draft.silent,
            expires_at: draft.expires_at,
            if_epoch: draft.if_epoch,
            device_list_version: draft.device_list_version,
            traceparent: None,
        }
    }
}
