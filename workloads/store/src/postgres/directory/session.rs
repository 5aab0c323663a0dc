//! Sessions. Always read from the primary: one that was ended is ended everywhere.

use async_trait::async_trait;
use klatch_domain::{SessionId, Timestamp, UserId};
use sqlx::{Error, postgres::PgRow};

use super::{
    super::{
        fault::{Step, damaged},
        sql::{enumerated, get, id, maybe_time, number, signed, small, time},
    },
    PostgresDirectory,
};
use crate::{
    StoreError,
    directory::{Revoke, Session, Sessions},
    stored::{session_kind, session_kind_number},
};

const READ: &str = "read sessions";
const WRITE: &str = "write a session";

macro_rules! session {
    ($rest:literal) => {
        concat!(
            "SELECT session_id, user_id, kind, name, secret_hash, secret_number, created_at, last_used_at, expires_at, \
             revoked_at FROM sessions ",
            $rest
        )
    };
}

fn session(row: &PgRow) -> Result<Session, StoreError> {
    let secret_hash: Vec<u8> = get(row, 4).step(READ)?;
    Ok(Session {
        id: id(row, 0).step(READ)?,
        user: id(row, 1).step(READ)?,
        kind: session_kind(enumerated(row, 2).step(READ)?),
        name: get(row, 3).step(READ)?,
        secret_hash: secret_hash.try_into().map_err(|_| damaged(READ, "a hash of another length"))?,
        secret_number: number(row, 5).step(READ)?,
        created_at: time(row, 6).step(READ)?,
        last_used_at: time(row, 7).step(READ)?,
        expires_at: maybe_time(row, 8).step(READ)?,
        revoked_at: maybe_time(row, 9).step(READ)?,
    })
}

fn ended(row: &PgRow) -> Result<(SessionId, UserId), Error> {
    Ok((id(row, 0)?, id(row, 1)?))
}

#[async_trait]
impl Sessions for PostgresDirectory {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "INSERT INTO sessions (session_id, user_id, kind, name, secret_hash, secret_number, created_at, \
             last_used_at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(session.id.uuid())
        .bind(session.user.uuid())
        .bind(small(session_kind_number(session.kind)))
        .bind(session.name.clone())
        .bind(session.secret_hash.to_vec())
        .bind(signed(session.secret_number))
        .bind(session.created_at.as_millis())
        .bind(session.last_used_at.as_millis())
        .bind(session.expires_at.map(Timestamp::as_millis))
        .bind(session.revoked_at.map(Timestamp::as_millis));
        self.write(WRITE, statement).await.map(|_| ())
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        let rows = self.read(READ, sqlx::query(session!("WHERE session_id = $1")).bind(id.uuid())).await?;
        rows.first().map(session).transpose()
    }

    async fn sessions_of(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        let statement = sqlx::query(session!(
            "WHERE user_id = $1 AND revoked_at IS NULL AND session_id <= $2 AND ($4 OR session_id <> $2) \
             ORDER BY session_id DESC LIMIT $3"
        ))
        .bind(user.uuid())
        .bind(after.map_or(sqlx::types::Uuid::max(), SessionId::uuid))
        .bind(signed(limit as u64))
        .bind(after.is_none());
        self.read(READ, statement).await?.iter().map(session).collect()
    }

    async fn rotate_secret(
        &self,
        id: SessionId,
        from: u64,
        secret_hash: [u8; 32],
        used_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let statement = sqlx::query(
            "UPDATE sessions SET secret_hash = $3, secret_number = secret_number + 1, last_used_at = $4, \
             expires_at = $5 WHERE session_id = $1 AND secret_number = $2 AND revoked_at IS NULL RETURNING 1",
        )
        .bind(id.uuid())
        .bind(signed(from))
        .bind(secret_hash.to_vec())
        .bind(used_at.as_millis())
        .bind(expires_at.as_millis());
        self.write(WRITE, statement).await.map(|rows| !rows.is_empty())
    }

    async fn touch_session(&self, id: SessionId, used_at: Timestamp) -> Result<(), StoreError> {
        let touch = "UPDATE sessions SET last_used_at = $2 WHERE session_id = $1 AND last_used_at < $2";
        self.write(WRITE, sqlx::query(touch).bind(id.uuid()).bind(used_at.as_millis())).await.map(|_| ())
    }

    async fn revoke_sessions(
        &self,
        user: UserId,
        which: Revoke<'_>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        const STEP: &str = "end sessions";
        let (only, except) = match which {
            Revoke::Only(ids) => (Some(ids.iter().map(|id| id.uuid()).collect::<Vec<_>>()), None),
            Revoke::All => (None, None),
            Revoke::AllExcept(kept) => (None, Some(kept.uuid())),
        };
        let statement = sqlx::query(
            "UPDATE sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL \
             AND ($3::uuid[] IS NULL OR session_id = ANY($3)) AND ($4::uuid IS NULL OR session_id <> $4) \
             RETURNING session_id, user_id",
        )
        .bind(user.uuid())
        .bind(at.as_millis())
        .bind(only)
        .bind(except);
        let rows = self.write(STEP, statement).await?;
        rows.iter().map(|row| ended(row).map(|(session, _)| session).step(STEP)).collect()
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, StoreError> {
        let find = "SELECT session_id, user_id FROM sessions WHERE revoked_at >= $1 ORDER BY revoked_at";
        let rows = self.read(READ, sqlx::query(find).bind(since.as_millis())).await?;
        rows.iter().map(|row| ended(row).step(READ)).collect()
    }
}
