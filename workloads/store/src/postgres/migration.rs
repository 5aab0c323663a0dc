//! Brings a database to the newest schema: forward only, all that is missing in one transaction, under a lock that ends
//! with it. What is applied stands in `schema_migrations`.
//!
//! A schema is ahead of programs for as long as an upgrade rolls: the new schema comes first, and programs of the version before
//! go on, start again and are even rolled back to. So migrations only add, and each row says since which migration a program
//! must know the schema to use it. What takes something away comes a version later and raises that number.

use sqlx::{Connection as _, PgConnection, raw_sql, types::Uuid};
use tokio::time::timeout;

use super::{
    database::Database,
    fault::{Step, damaged, refusal},
    options::{CONNECT_TIMEOUT, Endpoint},
    sql::get,
};
use crate::StoreError;

/// Everyone who migrates a database of Klatch takes this advisory lock: `KLATCH` in ASCII.
const LOCK: i64 = 0x4b4c_4154_4348;
/// The oldest server this is for: row triggers that can be replaced came with 14, and 15 is the oldest it is tested with.
const OLDEST_SERVER: i32 = 150_000;
/// Undefined table, undefined column: the record of migrations is not there, or as it was at first.
const UNMIGRATED: [&str; 2] = ["42P01", "42703"];
/// DDL may take long, but never waits long for a lock: everyone behind it would wait as well.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10s'; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// What a kind of database holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema {
    /// For people, and in the table.
    pub(super) noun: &'static str,
    /// The number of the last migration that older programs cannot go on with: who knows it can use what comes after it.
    needed: i32,
    /// Name and statements of migration 1, 2, ...
    migrations: &'static [(&'static str, &'static str)],
}

macro_rules! migrations {
    ($folder:literal, $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../migrations/", $folder, "/postgres/", $name, ".sql")))),*]
    };
}

pub(super) const DIRECTORY: Schema = Schema {
    noun: "directory",
    needed: 7,
    migrations: migrations!(
        "directory",
        "0001_slots",
        "0002_users",
        "0003_sessions",
        "0004_relations",
        "0005_rooms",
        "0006_replies",
        "0007_owed_commands",
    ),
};

pub(super) const SHARD: Schema = Schema {
    noun: "shard",
    needed: 8,
    migrations: migrations!(
        "shard",
        "0001_slots",
        "0002_rooms",
        "0003_entries",
        "0004_members",
        "0005_reactions",
        "0006_mentions",
        "0007_follow_ups",
        "0008_leaves",
    ),
};

impl Schema {
    fn newest(&self) -> i32 {
        self.migrations.len() as i32
    }

    /// Refuses what a newer program has made of the database, unless it has only added to it.
    fn refuse_newer(&self, applied: &Applied) -> Result<(), StoreError> {
        // Never above the version: what is not newer at all passes, too.
        if applied.needed <= self.newest() {
            return Ok(());
        }
        Err(unusable(format!(
            "the {} was migrated by a newer klatch (schema {}, for programs that know {}; this one knows {}): start the newer \
             program, or restore a backup",
            self.noun,
            applied.version,
            applied.needed,
            self.newest()
        )))
    }

    fn refuse_other(&self, kind: &str) -> Result<(), StoreError> {
        if kind == self.noun {
            return Ok(());
        }
        Err(unusable(format!("this database is a {kind} of klatch, not a {}", self.noun)))
    }
}

/// What stands in a database.
struct Applied {
    kind: String,
    version: i32,
    needed: i32,
}

fn unusable(detail: String) -> StoreError {
    StoreError::Unusable { step: "check the schema", detail }
}

/// A connection of its own for what changes a schema.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<PgConnection, StoreError> {
    const STEP: &str = "connect to migrate";
    let connecting = timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&endpoint.connect_options())).await;
    match connecting {
        Ok(connected) => connected.step(STEP),
        Err(_) => Err(StoreError::Unavailable { step: STEP, source_text: format!("{}: no answer", endpoint.name()) }),
    }
}

/// Begins a transaction that holds the lock of all migrations of this database.
pub(super) async fn begin(connection: &mut PgConnection) -> Result<(), StoreError> {
    const STEP: &str = "wait for another migration";
    raw_sql(BEGIN).execute(&mut *connection).await.step(STEP)?;
    sqlx::query("SELECT 1 FROM pg_advisory_xact_lock($1)")
        .persistent(false)
        .bind(LOCK)
        .execute(connection)
        .await
        .map(|_| ())
        .step(STEP)
}

/// Ends it.
pub(super) async fn commit(connection: &mut PgConnection) -> Result<(), StoreError> {
    raw_sql("COMMIT").execute(connection).await.map(|_| ()).commit_step("commit a migration")
}

/// Applies what the database lacks.
///
/// # Errors
/// [`StoreError::Unusable`] for one that a newer program has changed rather than added to, one of another kind, and a server
/// that is too old; [`StoreError::Unavailable`]. All of it is done, or nothing.
pub(super) async fn migrate(connection: &mut PgConnection, schema: Schema) -> Result<(), StoreError> {
    check_server(connection).await?;
    begin(connection).await?;
    raw_sql(RECORD).execute(&mut *connection).await.step("migrate")?;
    let version = match read_applied(connection).await? {
        None => 0,
        Some(applied) => {
            schema.refuse_other(&applied.kind)?;
            schema.refuse_newer(&applied)?;
            applied.version
        }
    };
    for (index, (name, statements)) in (1i32..).zip(schema.migrations).skip(version.unsigned_abs() as usize) {
        raw_sql(*statements).execute(&mut *connection).await.step("migrate")?;
        sqlx::query("INSERT INTO schema_migrations (version, kind, name, needed) VALUES ($1, $2, $3, $4)")
            .persistent(false)
            .bind(index)
            .bind(schema.noun)
            .bind(*name)
            .bind(schema.needed)
            .execute(&mut *connection)
            .await
            .step("migrate")?;
    }
    commit(connection).await
}

async fn check_server(connection: &mut PgConnection) -> Result<(), StoreError> {
    const STEP: &str = "check the server";
    let row = sqlx::query(
        "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding') = 'UTF8'",
    )
    .persistent(false)
    .fetch_one(connection)
    .await
    .step(STEP)?;
    let (version, utf8): (i32, bool) = (get(&row, 0).step(STEP)?, get(&row, 1).step(STEP)?);
    if version < OLDEST_SERVER {
        return Err(unusable(format!("PostgreSQL {} is too old: 15 is the oldest", version / 10_000)));
    }
    if !utf8 {
        return Err(unusable("the encoding of the database must be UTF8".to_owned()));
    }
    Ok(())
}

/// The second statement is for databases from before the column; it looks first, as it would wait for everyone who reads.
const RECORD: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, kind text NOT NULL, \
         name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), needed integer NOT NULL DEFAULT 1);
    DO $$ BEGIN
        IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'schema_migrations'::regclass AND attname = 'needed') THEN
            ALTER TABLE schema_migrations ADD COLUMN needed integer NOT NULL DEFAULT 1;
        END IF;
    END $$";

/// None: nothing was applied yet.
async fn read_applied(connection: &mut PgConnection) -> Result<Option<Applied>, StoreError> {
    let row =
        sqlx::query(NEWEST).persistent(false).fetch_optional(connection).await.step("read the schema's number")?;
    row.map(|row| applied(&row)).transpose()
}

const NEWEST: &str = "SELECT kind, version, needed FROM schema_migrations ORDER BY version DESC LIMIT 1";

fn applied(row: &sqlx::postgres::PgRow) -> Result<Applied, StoreError> {
    const STEP: &str = "read the schema's number";
    Ok(Applied { kind: get(row, 0).step(STEP)?, version: get(row, 1).step(STEP)?, needed: get(row, 2).step(STEP)? })
}

/// Whether this program can use the database as it is. Changes nothing.
///
/// # Errors
/// [`StoreError::Unusable`] for a newer and an older schema, and for a server that does not sync its commits.
pub(super) async fn check_schema(database: &Database, schema: Schema) -> Result<(), StoreError> {
    const STEP: &str = "read the schema's number";
    let rows = match database.try_write(STEP, sqlx::query(NEWEST)).await? {
        Err(error) if refusal(&error).is_some_and(|refusal| UNMIGRATED.contains(&refusal.code())) => Vec::new(),
        rows => rows.step(STEP)?,
    };
    let Some(row) = rows.first() else {
        return Err(unusable(format!("the {} is not migrated yet: run `klatch migrate`", schema.noun)));
    };
    let applied = applied(row)?;
    schema.refuse_other(&applied.kind)?;
    schema.refuse_newer(&applied)?;
    if applied.version < schema.newest() {
        return Err(unusable(format!(
            "the {} has schema {}, this program needs {}: run `klatch migrate`",
            schema.noun,
            applied.version,
            schema.newest()
        )));
    }
    check_durability(database, schema).await
}

/// What is acknowledged must be on disk.
async fn check_durability(database: &Database, schema: Schema) -> Result<(), StoreError> {
    const STEP: &str = "read synchronous_commit";
    let rows = database.read(STEP, sqlx::query("SELECT current_setting('synchronous_commit')")).await?;
    let row = rows.first().ok_or_else(|| damaged(STEP, "no answer"))?;
    let setting: String = get(row, 0).step(STEP)?;
    if setting == "off" {
        return Err(unusable(format!("synchronous_commit is off at the {}: a crash would lose messages", schema.noun)));
    }
    Ok(())
}

/// The id of the cluster, made when there is none.
pub(super) async fn cluster(directory: &mut PgConnection) -> Result<Uuid, StoreError> {
    const STEP: &str = "read the cluster's id";
    sqlx::query("INSERT INTO cluster (id) VALUES ($1) ON CONFLICT DO NOTHING")
        .persistent(false)
        .bind(Uuid::new_v4())
        .execute(&mut *directory)
        .await
        .step(STEP)?;
    let row = sqlx::query("SELECT id FROM cluster").persistent(false).fetch_one(directory).await.step(STEP)?;
    get(&row, 0).step(STEP)
}
