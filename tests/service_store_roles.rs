//! Workloads sign in by logins of their own, and all of them act as the one role that owns the schema.

use klatch_store::postgres::{self, Options, Roles, Secret};
use klatch_tests::services::postgres::{Cluster, Postgres};
use sqlx::{AssertSqlSafe, Connection};

/// Everything of one kind that a query answers.
async fn ask(server: &Postgres, database: &str, query: String) -> Vec<String> {
    let mut connection = server.connect(database).await;
    let found = sqlx::query_scalar::<_, String>(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found
}

fn as_user(options: &Options, user: &str) -> Options {
    let mut options = options.clone();
    options.directory.user = user.to_owned();
    options.shards.iter_mut().for_each(|(_, endpoint)| endpoint.user = user.to_owned());
    options
}

#[tokio::test]
async fn two_logins_act_as_one_owner_and_either_may_be_made_new() {
    let server = Postgres::shared();
    let cluster = Cluster::empty(server, 1).await;
    let stem = &cluster.databases[0];
    let (owner, one, other) = (format!("{stem}_owner"), format!("{stem}_a"), format!("{stem}_b \"quoted\""));
    let root = format!("{stem}_root");
    let roles = |password: &str| Roles {
        owner: owner.clone(),
        superusers: vec![(root.clone(), Secret::new(password))],
        logins: [&one, &other].map(|name| (name.clone(), Secret::new(password))).to_vec(),
    };
    let databases = [&cluster.options.directory, &cluster.options.shards[0].1];
    for endpoint in databases {
        postgres::make_roles(endpoint, &roles("first 'quoted'")).await.unwrap();
    }
    cluster.migrate().await;

    // Either opens what the other does, and what migrations made belongs to the owner.
    for login in [&one, &other] {
        let stores = postgres::open(as_user(&cluster.options, login)).await.unwrap();
        stores.close().await;
    }
    for database in &cluster.databases {
        let owners = "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'".to_owned();
        assert_eq!(ask(server, database, owners).await, std::slice::from_ref(&owner), "{database}");
    }
    let may = format!("SELECT rolname::text FROM pg_roles WHERE rolcanlogin AND rolname LIKE '{stem}%' ORDER BY 1");
    assert_eq!(ask(server, stem, may).await, [one.clone(), other.clone(), root.clone()], "the owner signs in nowhere");
    let super_users = format!("SELECT rolname::text FROM pg_roles WHERE rolsuper AND rolname LIKE '{stem}%'");
    assert_eq!(ask(server, stem, super_users).await, std::slice::from_ref(&root));

    // Again, by the same administrator, who acts as the owner by now: with new passwords.
    let kept = format!("SELECT rolpassword FROM pg_authid WHERE rolname IN ('{one}', '{root}') ORDER BY rolname");
    // Whoever looks signs in to a database in which the administrator is still itself.
    let before = ask(server, "postgres", kept.clone()).await;
    assert!(before.iter().all(|one| one.starts_with("SCRAM-SHA-256$")), "no password is kept as it is");
    // By the second superuser, who may do the same: it acts as the owner, too.
    for endpoint in databases {
        let by_root = postgres::Endpoint { user: root.clone(), ..endpoint.clone() };
        postgres::make_roles(&by_root, &roles("second")).await.unwrap();
    }
    let after = ask(server, "postgres", kept).await;
    assert!(before.len() == 2 && before.iter().zip(&after).all(|(before, after)| before != after));
    assert!(!server.log().contains("quoted'"), "a password stands in the log");
    cluster.migrate().await;
    assert!(!server.log().contains("PASSWORD 'second'"), "a password stands in the log");
}
