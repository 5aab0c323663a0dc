//! Roles: one owns the schema and signs in nowhere; workloads sign in by logins that act as it. A workload has two of them, so
//! that the password of one can be changed while the other is in use.

use sqlx::{AssertSqlSafe, PgConnection, raw_sql};

use super::{
    fault::Step,
    migration::{begin, commit, connect},
    options::{Endpoint, Secret},
};
use crate::StoreError;

const STEP: &str = "make the roles";
/// Makes a role where there is none.
const MAKE: &str =
    "SELECT format('CREATE ROLE %I NOLOGIN', $1) WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";

/// Roles of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Owns the schema.
    pub owner: String,
    /// Name and password of each that may do everything.
    pub superusers: Vec<(String, Secret)>,
    /// Name and password of each that signs in.
    pub logins: Vec<(String, Secret)>,
}

/// Makes the roles that are not there and gives all of them their passwords; what is made in the database from now on belongs to
/// the owner, whoever signs in. Call it before [`migrate`](super::migrate), as often as you like, by a superuser.
///
/// Cancel safe: what was begun is rolled back.
///
/// # Errors
/// [`StoreError`]; nothing was changed.
pub async fn make_roles(endpoint: &Endpoint, roles: &Roles) -> Result<(), StoreError> {
    let mut connection = connect(endpoint).await?;
    begin(&mut connection).await?;
    // The role that signs in acts as the owner by the end of this: as itself, then. No password of these statements is logged.
    raw_sql("SET LOCAL ROLE NONE; SET LOCAL log_statement = 'none'; SET LOCAL log_min_error_statement = 'panic'")
        .execute(&mut connection)
        .await
        .step(STEP)?;
    let owner = roles.owner.as_str();
    run(&mut connection, MAKE, &[owner]).await?;
    for own in [
        "SELECT format('ALTER DATABASE %I OWNER TO %I', current_database(), $1)",
        "SELECT format('ALTER SCHEMA public OWNER TO %I', $1)",
        "SELECT format('ALTER ROLE %I IN DATABASE %I SET role TO %I', session_user, current_database(), $1)",
    ] {
        run(&mut connection, own, &[owner]).await?;
    }
    for (login, password) in &roles.superusers {
        let sign_in = "SELECT format('ALTER ROLE %I SUPERUSER LOGIN PASSWORD %L', $1, $2)";
        sign_in_as(&mut connection, sign_in, login, password, owner).await?;
    }
    for (login, password) in &roles.logins {
        let sign_in = "SELECT format('ALTER ROLE %I LOGIN INHERIT PASSWORD %L', $1, $2)";
        sign_in_as(&mut connection, sign_in, login, password, owner).await?;
        run(&mut connection, "SELECT format('GRANT %I TO %I', $2, $1)", &[login, owner]).await?;
    }
    commit(&mut connection).await
}

/// A role that signs in, by this statement, and acts as the owner.
async fn sign_in_as(
    connection: &mut PgConnection,
    sign_in: &'static str,
    login: &str,
    password: &Secret,
    owner: &str,
) -> Result<(), StoreError> {
    run(connection, MAKE, &[login]).await?;
    run(connection, sign_in, &[login, password.expose()]).await?;
    let act = "SELECT format('ALTER ROLE %I IN DATABASE %I SET role TO %I', $1, current_database(), $2)";
    run(connection, act, &[login, owner]).await
}

/// Runs the statement that this query makes, if it makes one: names and passwords cannot be parameters of these statements, and
/// the server itself quotes them.
async fn run(connection: &mut PgConnection, query: &'static str, texts: &[&str]) -> Result<(), StoreError> {
    let mut making = sqlx::query_scalar::<_, String>(query).persistent(false);
    for text in texts {
        making = making.bind(*text);
    }
    let Some(statement) = making.fetch_optional(&mut *connection).await.step(STEP)? else { return Ok(()) };
    raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(|_| ()).step(STEP)
}
