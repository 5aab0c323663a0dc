//! Users.

use async_trait::async_trait;
use klatch_domain::{DisplayName, Email, Timestamp, UserId, Username};
use sqlx::{Error, postgres::PgRow};

use super::{
    super::{
        database::{Statement, Transaction},
        fault::{Step, commit_fault, damaged, fault, violated_index},
        sql::{get, holdable, id, maybe_time, signed, time},
    },
    PostgresDirectory, friendship,
};
use crate::{
    StoreError,
    directory::{ProfileChange, User, UserError, UserStatus, Users},
    prefix::{end_of, fold},
};

const READ: &str = "read a user";
const WRITE: &str = "write a user";
const CREATE: &str = "create a user";
const CHANGE: &str = "change a profile";
const FORGET: &str = "forget a user";

macro_rules! user {
    ($rest:literal) => {
        concat!(
            "SELECT user_id, username, display_name, email, avatar, status_text, status_emoji, status_until, \
             read_receipts, do_not_disturb_until, is_admin, disabled, created_at, password_hash FROM users ",
            $rest
        )
    };
}

/// The users of a query that begins with [`user`], each with the hash of their password.
fn found(rows: &[PgRow]) -> Result<Vec<(User, String)>, StoreError> {
    rows.iter().map(|row| Ok((user(row)?, get(row, 13).step(READ)?))).collect()
}

fn user(row: &PgRow) -> Result<User, StoreError> {
    let text = |column: usize| get::<Option<String>>(row, column).step(READ);
    let invalid = |error: klatch_domain::NameError| damaged(READ, &error.to_string());
    let status = match (text(5)?, text(6)?) {
        (Some(text), Some(emoji)) => Some(UserStatus { text, emoji, until: maybe_time(row, 7).step(READ)? }),
        _ => None,
    };
    Ok(User {
        id: id(row, 0).step(READ)?,
        username: Username::parse(&text(1)?.unwrap_or_default()).map_err(invalid)?,
        display_name: text(2)?.map(|name| DisplayName::parse(&name)).transpose().map_err(invalid)?,
        email: text(3)?.map(|email| Email::parse(&email)).transpose().map_err(invalid)?,
        avatar: text(4)?,
        status,
        read_receipts: get(row, 8).step(READ)?,
        do_not_disturb_until: maybe_time(row, 9).step(READ)?,
        is_admin: get(row, 10).step(READ)?,
        disabled: get(row, 11).step(READ)?,
        created_at: time(row, 12).step(READ)?,
    })
}

/// Whose name or address it is that a write came across. The id of a repeated call is the same: its first try has the
/// name already.
fn taken(error: &Error) -> Option<UserError> {
    match violated_index(error)? {
        "user_by_id" | "user_by_username" => Some(UserError::UsernameTaken),
        "user_by_email" => Some(UserError::EmailTaken),
        _ => None,
    }
}

/// Every column but flags, in the order of [`SET_PROFILE`] from `$2` on.
fn bind_profile(statement: Statement, user: &User) -> Statement {
    let display_name = user.display_name.as_ref().map(DisplayName::as_str);
    let email = user.email.as_ref().map(Email::as_str);
    statement
        .bind(display_name.map(str::to_owned))
        .bind(display_name.map(fold))
        .bind(email.map(str::to_owned))
        .bind(email.map(fold))
        .bind(user.avatar.clone())
        .bind(user.status.as_ref().map(|status| status.text.clone()))
        .bind(user.status.as_ref().map(|status| status.emoji.clone()))
        .bind(user.status.as_ref().and_then(|status| status.until).map(Timestamp::as_millis))
        .bind(user.read_receipts)
        .bind(user.do_not_disturb_until.map(Timestamp::as_millis))
}

const INSERT: &str = "INSERT INTO users (user_id, display_name, display_name_folded, email, email_folded, avatar, \
    status_text, status_emoji, status_until, read_receipts, do_not_disturb_until, username, created_at, password_hash, \
    is_admin, disabled) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
const SET_PROFILE: &str = "UPDATE users SET display_name = $2, display_name_folded = $3, email = $4, email_folded = $5, \
    avatar = $6, status_text = $7, status_emoji = $8, status_until = $9, read_receipts = $10, \
    do_not_disturb_until = $11 WHERE user_id = $1";

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

async fn change(transaction: &mut Transaction, id: UserId, change: &ProfileChange) -> Result<Option<User>, UserError> {
    let find = sqlx::query(user!("WHERE user_id = $1 AND NOT deleted FOR UPDATE")).bind(id.uuid());
    let rows = transaction.fetch(find).await.step(READ)?;
    let Some((known, _)) = found(&rows)?.pop() else { return Ok(None) };
    let user = changed(known, change);
    let set = bind_profile(sqlx::query(SET_PROFILE).bind(id.uuid()), &user);
    match transaction.execute(set).await {
        Ok(()) => Ok(Some(user)),
        Err(error) => Err(taken(&error).unwrap_or_else(|| fault(CHANGE, &error).into())),
    }
}

/// The name is random: one made from the id could be taken by somebody who wants to prevent this.
async fn forget(transaction: &mut Transaction, id: UserId) -> Result<bool, StoreError> {
    let name = format!("deleted-{}", uuid::Uuid::new_v4().simple());
    let statement = sqlx::query(
        "UPDATE users SET username = $2, display_name = NULL, display_name_folded = NULL, email = NULL, \
         email_folded = NULL, avatar = NULL, status_text = NULL, status_emoji = NULL, status_until = NULL, \
         do_not_disturb_until = NULL, read_receipts = false, is_admin = false, disabled = true, password_hash = '', \
         deleted = true WHERE user_id = $1 AND NOT deleted RETURNING 1",
    )
    .bind(id.uuid())
    .bind(name);
    if transaction.fetch(statement).await.step(FORGET)?.is_empty() {
        return Ok(false);
    }
    friendship::forget(transaction, id).await.step(FORGET)?;
    Ok(true)
}

/// By username. Each half of the union reads one index; the second is sorted, so it costs as much as there are shown names
/// that begin so.
const SEARCH: &str = user!(
    "WHERE NOT deleted AND username IN (\
     SELECT username FROM (SELECT username FROM users \
     WHERE username >= $1 AND username < $2 AND username > $3 AND NOT deleted ORDER BY username LIMIT $4) named \
     UNION SELECT username FROM (SELECT username FROM users \
     WHERE display_name_folded >= $1 AND display_name_folded < $2 AND username > $3 ORDER BY username LIMIT $4) shown) \
     ORDER BY username LIMIT $4"
);

impl PostgresDirectory {
    /// Answers whether there is such a user.
    async fn set_of_user(&self, statement: Statement) -> Result<bool, StoreError> {
        self.write(WRITE, statement).await.map(|rows| !rows.is_empty())
    }
}

#[async_trait]
impl Users for PostgresDirectory {
    async fn create_user(&self, user: &User, password_hash: &str) -> Result<(), UserError> {
        let statement = bind_profile(sqlx::query(INSERT).bind(user.id.uuid()), user)
            .bind(user.username.as_str().to_owned())
            .bind(user.created_at.as_millis())
            .bind(password_hash.to_owned())
            .bind(user.is_admin)
            .bind(user.disabled);
        let written = self.primary.try_write(CREATE, statement).await?;
        self.replicas.wrote();
        match written {
            Ok(_) => Ok(()),
            Err(error) => Err(taken(&error).unwrap_or_else(|| commit_fault(CREATE, &error).into())),
        }
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| id.uuid()).collect();
        let statement = || sqlx::query(user!("WHERE user_id = ANY($1)")).bind(ids.clone());
        let rows = self.read_anywhere(READ, statement).await?;
        Ok(found(&rows)?.into_iter().map(|(user, _)| user).collect())
    }

    async fn credentials(&self, username: &Username) -> Result<Option<(User, String)>, StoreError> {
        let statement = sqlx::query(user!("WHERE username = $1 AND NOT deleted")).bind(username.as_str().to_owned());
        Ok(found(&self.read(READ, statement).await?)?.pop())
    }

    async fn search_users(&self, query: &str, after: Option<&Username>, limit: usize) -> Result<Vec<User>, StoreError> {
        if !holdable(query) {
            return Ok(Vec::new());
        }
        let from = fold(query);
        // Nothing stored begins with U+10FFFF twice: names have no such characters that anyone could want to find.
        let to = end_of(&from).unwrap_or_else(|| "\u{10FFFF}\u{10FFFF}".to_owned());
        let after = after.map(|name| name.as_str().to_owned()).unwrap_or_default();
        let statement =
            || sqlx::query(SEARCH).bind(from.clone()).bind(to.clone()).bind(after.clone()).bind(signed(limit as u64));
        let rows = self.read_anywhere("search users", statement).await?;
        Ok(found(&rows)?.into_iter().map(|(user, _)| user).collect())
    }

    async fn change_profile(&self, user: UserId, wanted: &ProfileChange) -> Result<Option<User>, UserError> {
        let mut transaction = self.begin(CHANGE).await?;
        let outcome = change(&mut transaction, user, wanted).await;
        self.end(CHANGE, transaction, outcome).await
    }

    async fn set_password(&self, user: UserId, password_hash: &str) -> Result<bool, StoreError> {
        let set = "UPDATE users SET password_hash = $2 WHERE user_id = $1 AND NOT deleted RETURNING 1";
        self.set_of_user(sqlx::query(set).bind(user.uuid()).bind(password_hash.to_owned())).await
    }

    async fn set_disabled(&self, user: UserId, disabled: bool) -> Result<bool, StoreError> {
        let set = "UPDATE users SET disabled = $2 WHERE user_id = $1 AND NOT deleted RETURNING 1";
        self.set_of_user(sqlx::query(set).bind(user.uuid()).bind(disabled)).await
    }

    async fn set_admin(&self, user: UserId, is_admin: bool) -> Result<bool, StoreError> {
        let set = "UPDATE users SET is_admin = $2 WHERE user_id = $1 AND NOT deleted RETURNING 1";
        self.set_of_user(sqlx::query(set).bind(user.uuid()).bind(is_admin)).await
    }

    async fn delete_user(&self, user: UserId) -> Result<bool, StoreError> {
        let mut transaction = self.begin(FORGET).await?;
        let outcome = forget(&mut transaction, user).await;
        self.end(FORGET, transaction, outcome).await
    }
}
