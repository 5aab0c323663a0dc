//! Users.

use async_trait::async_trait;
use klatch_domain::{DisplayName, Email, UserId, Username};
use rusqlite::{Connection, Row, params};

use super::{
    super::{
        fault::{Step, damaged, fault},
        sql::{maybe_time, signed, time},
    },
    SqliteDirectory,
};
use crate::{
    StoreError,
    directory::{ProfileChange, User, UserError, UserStatus, Users},
    prefix::{end_of, fold},
};

const READ: &str = "read a user";
const WRITE: &str = "write a user";

const USER: &str = "SELECT user_id, username, display_name, email, avatar, status_text, status_emoji, status_until, \
    read_receipts, do_not_disturb_until, is_admin, disabled, created_at, password_hash FROM users ";

/// The users of a query that begins with [`USER`], each with the hash of their password.
fn find(
    connection: &Connection,
    rest: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<(User, String)>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("{USER} {rest}")).step(READ)?;
    let mut rows = statement.query(parameters).step(READ)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().step(READ)? {
        found.push((user(row)?, row.get(13).step(READ)?));
    }
    Ok(found)
}

fn user(row: &Row<'_>) -> Result<User, StoreError> {
    let text = |column: usize| row.get::<_, Option<String>>(column).step(READ);
    let invalid = |error: klatch_domain::NameError| damaged(READ, &error.to_string());
    let status = match (text(5)?, text(6)?) {
        (Some(text), Some(emoji)) => Some(UserStatus { text, emoji, until: maybe_time(row, 7).step(READ)? }),
        _ => None,
    };
    Ok(User {
        id: UserId::from_bytes(row.get(0).step(READ)?),
        username: Username::parse(&text(1)?.unwrap_or_default()).map_err(invalid)?,
        display_name: text(2)?.map(|name| DisplayName::parse(&name)).transpose().map_err(invalid)?,
        email: text(3)?.map(|email| Email::parse(&email)).transpose().map_err(invalid)?,
        avatar: text(4)?,
        status,
        read_receipts: row.get(8).step(READ)?,
        do_not_disturb_until: maybe_time(row, 9).step(READ)?,
        is_admin: row.get(10).step(READ)?,
        disabled: row.get(11).step(READ)?,
        created_at: time(row, 12).step(READ)?,
    })
}

/// A user who was not forgotten.
fn living(connection: &Connection, id: UserId) -> Result<Option<(User, String)>, StoreError> {
    Ok(find(connection, "WHERE user_id = ?1 AND deleted = 0", [id.as_bytes()])?.pop())
}

/// This thread alone writes, so what is free now is free when the row is written.
fn check_free(connection: &Connection, user: &User) -> Result<(), UserError> {
    let taken = |column: &str, value: &str| {
        connection
            .prepare_cached(&format!("SELECT 1 FROM users WHERE {column} = ?1 AND user_id <> ?2"))
            .and_then(|mut statement| statement.exists(params![value, user.id.as_bytes()]))
            .step(READ)
    };
    if taken("username", user.username.as_str())? {
        return Err(UserError::UsernameTaken);
    }
    match &user.email {
        Some(email) if taken("email_folded", &fold(email.as_str()))? => Err(UserError::EmailTaken),
        _ => Ok(()),
    }
}

fn insert(connection: &Connection, user: &User, password_hash: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO users (user_id, username, created_at, password_hash, read_receipts, is_admin, disabled) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            user.id.as_bytes(),
            user.username.as_str(),
            user.created_at.as_millis(),
            password_hash,
            user.read_receipts,
            user.is_admin,
            user.disabled
        ])?;
    set_profile(connection, user)
}

fn set_profile(connection: &Connection, user: &User) -> rusqlite::Result<()> {
    let (display_name, email) =
        (user.display_name.as_ref().map(DisplayName::as_str), user.email.as_ref().map(Email::as_str));
    connection
        .prepare_cached(
            "UPDATE users SET display_name = ?2, display_name_folded = ?3, email = ?4, email_folded = ?5, avatar = ?6, \
             status_text = ?7, status_emoji = ?8, status_until = ?9, read_receipts = ?10, do_not_disturb_until = ?11 \
             WHERE user_id = ?1",
        )?
        .execute(params![
            user.id.as_bytes(),
            display_name,
            display_name.map(fold),
            email,
            email.map(fold),
            user.avatar,
            user.status.as_ref().map(|status| &status.text),
            user.status.as_ref().map(|status| &status.emoji),
            user.status.as_ref().and_then(|status| status.until).map(klatch_domain::Timestamp::as_millis),
            user.read_receipts,
            user.do_not_disturb_until.map(klatch_domain::Timestamp::as_millis),
        ])?;
    Ok(())
}

fn changed(mut user: User, change: &ProfileChange) -> User {
    let change = change.clone();
    user.display_name = change.display_name.or(user.display_name);
    user.email = change.email.unwrap_or(user.email);
    user.avatar = change.avatar.unwrap_or(user.avatar);
    user.status = change.status.unwrap_or(user.status);
    user.read_receipts = change.read_receipts.unwrap_or(user.read_receipts);
    user.do_not_disturb_until = change.do_not_disturb_until.unwrap_or(user.do_not_disturb_until);
    user
}

/// The name is random: one made from the id could be taken by somebody who wants to prevent this.
fn forget(connection: &Connection, id: UserId) -> rusqlite::Result<bool> {
    let name = format!("deleted-{}", uuid::Uuid::new_v4().simple());
    let forgotten = connection
        .prepare_cached(
            "UPDATE users SET username = ?2, display_name = NULL, display_name_folded = NULL, email = NULL, \
             email_folded = NULL, avatar = NULL, status_text = NULL, status_emoji = NULL, status_until = NULL, \
             do_not_disturb_until = NULL, read_receipts = 0, is_admin = 0, disabled = 1, password_hash = '', \
             deleted = 1 WHERE user_id = ?1 AND deleted = 0",
        )?
        .execute(params![id.as_bytes(), name])?;
    if forgotten == 0 {
        return Ok(false);
    }
    super::friendship::forget(connection, id)?;
    Ok(true)
}

/// By username. The first half of the union comes in that order from its index; the second is sorted, so it costs as much
/// as there are shown names that begin so.
fn search(connection: &Connection, query: &str, after: &str, limit: usize) -> Result<Vec<User>, StoreError> {
    // Nothing stored begins with U+10FFFF twice: names have no such characters that anyone could want to find.
    let (from, to) = (query, end_of(query).unwrap_or_else(|| "\u{10FFFF}\u{10FFFF}".to_owned()));
    let found = find(
        connection,
        "WHERE deleted = 0 AND username IN (\
         SELECT username FROM (SELECT username FROM users \
         WHERE username >= ?1 AND username < ?2 AND username > ?3 AND deleted = 0 ORDER BY username LIMIT ?4) \
         UNION \
         SELECT username FROM (SELECT username FROM users \
         WHERE display_name_folded >= ?1 AND display_name_folded < ?2 AND username > ?3 ORDER BY username LIMIT ?4)) \
         ORDER BY username LIMIT ?4",
        params![from, to, after, signed(limit as u64)],
    )?;
    Ok(found.into_iter().map(|(user, _)| user).collect())
}

/// Answers whether there is such a user.
fn set(connection: &Connection, column: &str, id: UserId, value: &dyn rusqlite::ToSql) -> Result<bool, StoreError> {
    connection
        .prepare_cached(&format!("UPDATE users SET {column} = ?2 WHERE user_id = ?1 AND deleted = 0"))
        .and_then(|mut statement| statement.execute(params![id.as_bytes(), value]))
        .map(|changed| changed > 0)
        .step(WRITE)
}

#[async_trait]
impl Users for SqliteDirectory {
    async fn create_user(&self, user: &User, password_hash: &str) -> Result<(), UserError> {
        let (user, password_hash) = (user.clone(), password_hash.to_owned());
        self.write("create a user", move |turn| {
            check_free(turn.connection, &user)?;
            // The id of a repeated call is the same: its first try has the name already.
            if !find(turn.connection, "WHERE user_id = ?1", [user.id.as_bytes()])?.is_empty() {
                return Err(UserError::UsernameTaken);
            }
            insert(turn.connection, &user, &password_hash).map_err(|error| fault(WRITE, &error))?;
            Ok(())
        })
        .await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let ids = ids.to_vec();
        self.read(READ, move |connection| {
            let mut users = Vec::with_capacity(ids.len());
            for id in ids {
                users
                    .extend(find(connection, "WHERE user_id = ?1", [id.as_bytes()])?.into_iter().map(|(user, _)| user));
            }
            Ok(users)
        })
        .await
    }

    async fn credentials(&self, username: &Username) -> Result<Option<(User, String)>, StoreError> {
        let username = username.clone();
        self.read(READ, move |connection| {
            Ok(find(connection, "WHERE username = ?1 AND deleted = 0", [username.as_str()])?.pop())
        })
        .await
    }

    async fn search_users(&self, query: &str, after: Option<&Username>, limit: usize) -> Result<Vec<User>, StoreError> {
        let (query, after) = (fold(query), after.map(|name| name.as_str().to_owned()).unwrap_or_default());
        self.read("search users", move |connection| search(connection, &query, &after, limit)).await
    }

    async fn change_profile(&self, user: UserId, change: &ProfileChange) -> Result<Option<User>, UserError> {
        let change = change.clone();
        self.write("change a profile", move |turn| {
            let Some((known, _)) = living(turn.connection, user)? else { return Ok(None) };
            let user = changed(known, &change);
            check_free(turn.connection, &user)?;
            set_profile(turn.connection, &user).map_err(|error| fault(WRITE, &error))?;
            Ok(Some(user))
        })
        .await
    }

    async fn set_password(&self, user: UserId, password_hash: &str) -> Result<bool, StoreError> {
        let password_hash = password_hash.to_owned();
        self.write(WRITE, move |turn| set(turn.connection, "password_hash", user, &password_hash)).await
    }

    async fn set_disabled(&self, user: UserId, disabled: bool) -> Result<bool, StoreError> {
        self.write(WRITE, move |turn| set(turn.connection, "disabled", user, &disabled)).await
    }

    async fn set_admin(&self, user: UserId, is_admin: bool) -> Result<bool, StoreError> {
        self.write(WRITE, move |turn| set(turn.connection, "is_admin", user, &is_admin)).await
    }

    async fn delete_user(&self, user: UserId) -> Result<bool, StoreError> {
        self.write("forget a user", move |turn| {
            let forgotten = forget(turn.connection, user).step(WRITE)?;
            turn.erased |= forgotten;
            Ok(forgotten)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::Username;

    #[test]
    fn a_forgotten_user_still_has_a_username() {
        let name = format!("deleted-{}", uuid::Uuid::new_v4().simple());
        assert_eq!(Username::parse(&name).unwrap().as_str(), name);
    }
}
