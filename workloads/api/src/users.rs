//! Signing up, profiles, finding users.

use std::{collections::HashSet, sync::Arc};

use axum::{Json, extract::State};
use http::StatusCode;
use klatch_domain::{Code, DisplayName, Email, UserId, Username, limits::EMOJI_BYTES};
use klatch_identity::check_password;
use klatch_protocol::http::{ChangeProfile, Me, Profile, SignUp, StatusLine, UserAnswer, Users, UsersQuery};
use klatch_settings::SignUp as SignUpSetting;
use klatch_store::directory::{ProfileChange, User, UserError, UserStatus};

use crate::{
    body::{Ids, JsonBody, Queried},
    idempotency::{IdempotencyKey, derived},
    page,
    problem::{Failure, name_of},
    profile::{find, find_all, me_of, profile_of},
    shared::{Caller, Shared},
};

/// Ids of one `?ids=`: the wire contract's bound.
const IDS: usize = 100;
/// Characters of a search: longer than any name.
const QUERY_CHARS: usize = 100;
/// Characters of a status text: the wire contract's bound.
const STATUS_CHARS: usize = 100;
/// Bytes of a picture's address.
const AVATAR_BYTES: usize = 1_024;

/// Makes a user.
#[utoipa::path(post, path = "/v1/users", tag = "users", request_body = SignUp,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key gives the same answer")),
    responses((status = 201, body = UserAnswer)))]
pub(crate) async fn sign_up(
    State(shared): State<Arc<Shared>>,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<SignUp>,
) -> Result<(StatusCode, Json<UserAnswer>), Failure> {
    if shared.settings.sign_up == SignUpSetting::Closed {
        return Err(Failure::new(Code::SignUpClosed, "this server takes no new users; ask its owner for an account"));
    }
    let username = name_of("username", Username::parse(&body.username))?;
    check_password(&body.password, &username)?;
    let user = User {
        display_name: given("display_name", body.display_name.as_deref(), DisplayName::parse)?,
        email: given("email", body.email.as_deref(), Email::parse)?,
        ..User::new(user_id(&key, &username), username, shared.now())
    };
    // Before the hash is made: a taken name costs no argon2.
    if shared.directory.credentials(&user.username).await?.is_some() {
        return taken(&shared, &user, body.password).await;
    }
    let hash = shared.passwords.hash(body.password.clone()).await?;
    match shared.directory.create_user(&user, &hash).await {
        Ok(()) => Ok(created(&shared, &user)),
        Err(UserError::UsernameTaken) => taken(&shared, &user, body.password).await,
        Err(error) => Err(user_failure(error)),
    }
}

fn created(shared: &Shared, user: &User) -> (StatusCode, Json<UserAnswer>) {
    (StatusCode::CREATED, Json(UserAnswer { user: me_of(user, shared.now()) }))
}

/// The key decides the id, so that the same call met again finds what it made. The password is no part of it: ids are
/// public, and a password could be guessed by them.
fn user_id(key: &IdempotencyKey, username: &Username) -> UserId {
    key.0.as_ref().map_or_else(UserId::now, |key| {
        UserId::from(derived("sign-up", &[username.as_str().as_bytes(), key.as_bytes()]))
    })
}

/// The name is taken: by this very call, when it is repeated with its key and password.
async fn taken(shared: &Shared, user: &User, password: String) -> Result<(StatusCode, Json<UserAnswer>), Failure> {
    let refused = || Failure::new(Code::UsernameTaken, "this username is taken").field("username", "it is taken");
    let (stored, hash) = shared.directory.credentials(&user.username).await?.ok_or_else(refused)?;
    if stored.id == user.id && shared.passwords.verify(password, Some(hash)).await? {
        return Ok(created(shared, &stored));
    }
    Err(refused())
}

fn user_failure(error: UserError) -> Failure {
    match error {
        UserError::UsernameTaken => Failure::new(Code::UsernameTaken, "this username is taken"),
        UserError::EmailTaken => Failure::invalid("email", "it belongs to another user"),
        UserError::Store(error) => error.into(),
    }
}

fn given<T>(
    field: &'static str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, klatch_domain::NameError>,
) -> Result<Option<T>, Failure> {
    text.map(|text| name_of(field, parse(text))).transpose()
}

/// The caller's own profile.
#[utoipa::path(get, path = "/v1/users/me", tag = "users", responses((status = 200, body = Me)))]
pub(crate) async fn me(State(shared): State<Arc<Shared>>, caller: Caller) -> Result<Json<Me>, Failure> {
    let user = find(&shared, caller.user()).await?;
    Ok(Json(me_of(&user, shared.now())))
}

/// Changes the caller's own profile: what is left out stays, null removes.
#[utoipa::path(patch, path = "/v1/users/me", tag = "users", request_body = ChangeProfile,
    responses((status = 200, body = Me)))]
pub(crate) async fn change_me(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    JsonBody(body): JsonBody<ChangeProfile>,
) -> Result<Json<Me>, Failure> {
    let change = profile_change(body)?;
    let changed = shared.directory.change_profile(caller.user(), &change).await.map_err(user_failure)?;
    let user = changed.ok_or_else(Failure::user_not_found)?;
    Ok(Json(me_of(&user, shared.now())))
}

fn profile_change(body: ChangeProfile) -> Result<ProfileChange, Failure> {
    Ok(ProfileChange {
        display_name: given("display_name", body.display_name.as_deref(), DisplayName::parse)?,
        email: body.email.map(|email| given("email", email.as_deref(), Email::parse)).transpose()?,
        avatar: body.avatar.map(|avatar| avatar.map(check_avatar).transpose()).transpose()?,
        status: body.status.map(|status| status.map(check_status).transpose()).transpose()?,
        read_receipts: body.read_receipts,
        do_not_disturb_until: body.do_not_disturb_until,
    })
}

fn check_avatar(avatar: String) -> Result<String, Failure> {
    let web = avatar.starts_with("https://") || avatar.starts_with("http://");
    if web && avatar.len() <= AVATAR_BYTES && avatar.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(avatar)
    } else {
        Err(Failure::invalid("avatar", "a picture is an http or https address of at most 1,024 ASCII characters"))
    }
}

fn check_status(status: StatusLine) -> Result<UserStatus, Failure> {
    // The same characters as in a name: it stands beside one.
    let shown = |text: &str| text.is_empty() || DisplayName::parse(text).is_ok();
    if status.text.chars().count() > STATUS_CHARS || !shown(&status.text) {
        return Err(Failure::invalid(
            "status.text",
            "a status has at most 100 characters, no control characters among them",
        ));
    }
    if status.emoji.len() > EMOJI_BYTES || !shown(&status.emoji) {
        return Err(Failure::invalid("status.emoji", "one emoji, at most 64 bytes"));
    }
    Ok(UserStatus { text: status.text, emoji: status.emoji, until: status.until })
}

/// Anybody's profile.
#[utoipa::path(get, path = "/v1/users/{id}", tag = "users", params(("id" = UserId, Path)),
    responses((status = 200, body = Profile)))]
pub(crate) async fn profile(State(shared): State<Arc<Shared>>, _: Caller, ids: Ids) -> Result<Json<Profile>, Failure> {
    let user = find(&shared, ids.profile()?).await?;
    Ok(Json(profile_of(&user, shared.now())))
}

/// Finds users by the start of a name, or by ids.
#[utoipa::path(get, path = "/v1/users", tag = "users", params(UsersQuery), responses((status = 200, body = Users)))]
pub(crate) async fn users(
    State(shared): State<Arc<Shared>>,
    _: Caller,
    Queried(query): Queried<UsersQuery>,
) -> Result<Json<Users>, Failure> {
    match (&query.query, &query.ids) {
        (Some(text), None) => search(&shared, text, &query).await,
        (None, Some(ids)) => by_ids(&shared, ids).await,
        _ => Err(Failure::invalid("query", "ask either with `query` or with `ids`")),
    }
}

async fn search(shared: &Shared, text: &str, query: &UsersQuery) -> Result<Json<Users>, Failure> {
    let text = search_text(text)?;
    let limit = page::limit_of(query.limit)?;
    let after = page::after_text(query.after.as_deref())?;
    let after = after.map(|after| name_of("after", Username::parse(&after))).transpose()?;
    let found = shared.directory.search_users(text, after.as_ref(), limit).await?;
    let next = page::next(&found, limit, |user| user.username.as_str().as_bytes().to_vec());
    let now = shared.now();
    let users = found.iter().filter(|user| !user.disabled).map(|user| profile_of(user, now)).collect();
    Ok(Json(Users { users, next }))
}

/// What somebody searches for.
pub(crate) fn search_text(text: &str) -> Result<&str, Failure> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > QUERY_CHARS {
        return Err(Failure::invalid("query", "a search has 1 to 100 characters"));
    }
    Ok(text)
}

async fn by_ids(shared: &Shared, ids: &str) -> Result<Json<Users>, Failure> {
    let wrong = || Failure::invalid("ids", "at most 100 ids, separated by commas");
    let ids: Vec<&str> = ids.split(',').take(IDS + 1).collect();
    if ids.len() > IDS {
        return Err(wrong());
    }
    let ids: Vec<UserId> =
        ids.into_iter().map(|id| id.trim().parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    let (found, now) = (find_all(shared, &ids).await?, shared.now());
    let mut seen = HashSet::new();
    let wanted = ids.iter().filter(|id| seen.insert(**id));
    let users = wanted.filter_map(|id| found.get(id)).map(|user| profile_of(user, now)).collect();
    Ok(Json(Users { users, next: None }))
}
