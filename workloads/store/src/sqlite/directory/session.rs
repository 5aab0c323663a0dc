//! Sessions.

use async_trait::async_trait;
use klatch_domain::{SessionId, Timestamp, UserId};
use rusqlite::{Connection, Row, params};

use super::{
    super::{
        fault::Step,
        sql::{maybe_time, number, signed, time, user},
    },
    SqliteDirectory,
};
use crate::{
    StoreError,
    directory::{Revoke, Session, Sessions},
    stored::{session_kind, session_kind_number},
};

const READ: &str = "read sessions";
const WRITE: &str = "write a session";

const SESSION: &str = "SELECT session_id, user, kind, name, secret_hash, secret_number, created_at, last_used_at, \
    expires_at, revoked_at FROM sessions ";

fn find(connection: &Connection, rest: &str, parameters: impl rusqlite::Params) -> Result<Vec<Session>, StoreError> {
    connection
        .prepare_cached(&format!("{SESSION} {rest}"))
        .and_then(|mut statement| statement.query_map(parameters, session)?.collect())
        .step(READ)
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: SessionId::from_bytes(row.get(0)?),
        user: user(row, 1)?,
        kind: session_kind(row.get(2)?),
        name: row.get(3)?,
        secret_hash: row.get(4)?,
        secret_number: number(row, 5)?,
        created_at: time(row, 6)?,
        last_used_at: time(row, 7)?,
        expires_at: maybe_time(row, 8)?,
        revoked_at: maybe_time(row, 9)?,
    })
}

fn insert(connection: &Connection, session: &Session) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO sessions (session_id, user, kind, name, secret_hash, secret_number, created_at, \
             last_used_at, expires_at, revoked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            session.id.as_bytes(),
            session.user.as_bytes(),
            session_kind_number(session.kind),
            session.name,
            session.secret_hash,
            signed(session.secret_number),
            session.created_at.as_millis(),
            session.last_used_at.as_millis(),
            session.expires_at.map(Timestamp::as_millis),
            session.revoked_at.map(Timestamp::as_millis),
        ])?;
    Ok(())
}

/// [`Revoke`] with ids of its own.
enum Ended {
    Only(Vec<SessionId>),
    AllExcept(Option<SessionId>),
}

fn revoke(connection: &Connection, user: UserId, ended: &Ended, at: Timestamp) -> rusqlite::Result<Vec<SessionId>> {
    const REVOKE: &str = "UPDATE sessions SET revoked_at = ?2 WHERE user = ?1 AND revoked_at IS NULL";
    let id = |row: &Row<'_>| row.get(0).map(SessionId::from_bytes);
    match ended {
        Ended::Only(ids) => {
            let mut revoke =
                connection.prepare_cached(&format!("{REVOKE} AND session_id = ?3 RETURNING session_id"))?;
            let mut revoked = Vec::new();
            for wanted in ids {
                let found = revoke.query_map(params![user.as_bytes(), at.as_millis(), wanted.as_bytes()], id)?;
                revoked.extend(found.collect::<rusqlite::Result<Vec<_>>>()?);
            }
            Ok(revoked)
        }
        Ended::AllExcept(kept) => {
            // No session has an empty id.
            let kept: &[u8] = kept.as_ref().map_or(&[], |kept| kept.as_bytes());
            connection
                .prepare_cached(&format!("{REVOKE} AND session_id <> ?3 RETURNING session_id"))?
                .query_map(params![user.as_bytes(), at.as_millis(), kept], id)?
                .collect()
        }
    }
}

#[async_trait]
impl Sessions for SqliteDirectory {
    async fn create_session(&self, session: &Session) -> Result<(), StoreError> {
        let session = session.clone();
        self.write(WRITE, move |turn| insert(turn.connection, &session).step(WRITE)).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.read(READ, move |connection| Ok(find(connection, "WHERE session_id = ?1", [id.as_bytes()])?.pop())).await
    }

    async fn sessions_of(
        &self,
        user: UserId,
        after: Option<SessionId>,
        limit: usize,
    ) -> Result<Vec<Session>, StoreError> {
        self.read(READ, move |connection| {
            // Ids rise with time; a text of 17 bytes is above them all.
            let before = after.map_or_else(|| vec![0xff; 17], |id| id.as_bytes().to_vec());
            find(
                connection,
                "WHERE user = ?1 AND revoked_at IS NULL AND session_id < ?2 ORDER BY session_id DESC LIMIT ?3",
                params![user.as_bytes(), before, signed(limit as u64)],
            )
        })
        .await
    }

    async fn rotate_secret(
        &self,
        id: SessionId,
        from: u64,
        secret_hash: [u8; 32],
        used_at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(WRITE, move |turn| {
            turn.connection
                .prepare_cached(
                    "UPDATE sessions SET secret_hash = ?3, secret_number = secret_number + 1, last_used_at = ?4, \
                     expires_at = ?5 WHERE session_id = ?1 AND secret_number = ?2 AND revoked_at IS NULL",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        id.as_bytes(),
                        signed(from),
                        secret_hash,
                        used_at.as_millis(),
                        expires_at.as_millis()
                    ])
                })
                .map(|changed| changed > 0)
                .step(WRITE)
        })
        .await
    }

    async fn touch_session(&self, id: SessionId, used_at: Timestamp) -> Result<(), StoreError> {
        self.write(WRITE, move |turn| {
            turn.connection
                .prepare_cached("UPDATE sessions SET last_used_at = max(last_used_at, ?2) WHERE session_id = ?1")
                .and_then(|mut statement| statement.execute(params![id.as_bytes(), used_at.as_millis()]))
                .map(|_| ())
                .step(WRITE)
        })
        .await
    }

    async fn revoke_sessions(
        &self,
        user: UserId,
        which: Revoke<'_>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let ended = match which {
            Revoke::Only(ids) => Ended::Only(ids.to_vec()),
            Revoke::All => Ended::AllExcept(None),
            Revoke::AllExcept(kept) => Ended::AllExcept(Some(kept)),
        };
        self.write("end sessions", move |turn| revoke(turn.connection, user, &ended, at).step(WRITE)).await
    }

    async fn revoked_since(&self, since: Timestamp) -> Result<Vec<(SessionId, UserId)>, StoreError> {
        self.read(READ, move |connection| {
            connection
                .prepare_cached("SELECT session_id, user FROM sessions WHERE revoked_at >= ?1 ORDER BY revoked_at")
                .and_then(|mut statement| {
                    statement
                        .query_map([since.as_millis()], |row| Ok((SessionId::from_bytes(row.get(0)?), user(row, 1)?)))?
                        .collect()
                })
                .step(READ)
        })
        .await
    }
}
