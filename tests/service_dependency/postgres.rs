use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Command, Stdio},
};

use klatch_tests::services::{installation::Installation, process::free_port};
use rustix::process::{Signal, kill_process, test_kill_process};

use super::place::{OTHER_PASSWORD, PASSWORD, Place, until};

/// The rendered files, on a port and in folders of this test.
fn place() -> Place {
    let place = Place::new();
    let (port, run) = (free_port(), place.text("run"));
    let conf = Place::rendered("postgres", "postgresql.conf").replace("/run/klatch", &run);
    place.write("postgresql.conf", &format!("{conf}port = {port}\nlisten_addresses = '127.0.0.1'\n"));
    place.write("pg_hba.conf", &Place::rendered("postgres", "pg_hba.conf"));
    let at = |name: &str| place.text(name);
    place.write(
        "settings.yaml",
        &format!(
            "data: {}\nconfigurationFile: {}\nhbaFile: {}\npasswordFile: {}\notherPasswordFile: {}\nrun: {run}\nport: {port}\n",
            at("volume/postgres"),
            at("postgresql.conf"),
            at("pg_hba.conf"),
            at("admin"),
            at("admin-b"),
        ),
    );
    place
}

fn psql(place: &Place, query: &str) -> Command {
    psql_as(place, ("klatch_admin", PASSWORD), query)
}

fn psql_as(place: &Place, (user, password): (&str, &str), query: &str) -> Command {
    let settings = fs::read_to_string(place.at("settings.yaml")).unwrap();
    let port = settings.lines().find_map(|line| line.strip_prefix("port: ")).unwrap();
    let mut command = Installation::chosen().command("psql");
    command.args(["-h", "127.0.0.1", "-p", port, "-U", user, "-d", "klatch", "-tAc", query]);
    command.env("PGPASSWORD", password).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn answers(place: &Place) -> bool {
    place.run(&["check", "postgres"], "one").status.success()
}

#[test]
fn a_volume_is_begun_stopped_in_order_and_gone_on_with() {
    let place = place();
    let first = place.start(&["postgres"], &[]);
    until("it takes connections", || answers(&place));
    // Both superusers are there from the beginning, and nobody comes in with the other's password.
    let superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";
    for (user, password, answer) in [
        ("klatch_admin", PASSWORD, &b"t\n"[..]),
        ("klatch_admin_b", OTHER_PASSWORD, b"t\n"),
        ("klatch_admin_b", PASSWORD, b""),
    ] {
        assert_eq!(psql_as(&place, (user, password), superuser).output().unwrap().stdout, answer, "{user}");
    }
    // Readiness does not hang on a password that changes: a pod's files are older than the database for a minute.
    place.write("admin", OTHER_PASSWORD);
    assert!(answers(&place));
    place.write("admin", PASSWORD);
    let data = place.at("volume/postgres");
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!place.at("volume/postgres.unfinished").exists());
    // A client that stays would hold up PostgreSQL's own answer to SIGTERM for as long as it likes.
    let mut client = psql(&place, "SELECT pg_sleep(3600)").spawn().unwrap();
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    until("it has a client", || psql(&place, asleep).output().unwrap().stdout == b"1\n");
    kill_process(first.pid(), Signal::TERM).unwrap();
    until("it has stopped", || test_kill_process(first.pid()).is_err());
    assert!(!client.wait().unwrap().success(), "its client was sent away");
    assert!(!data.join("postmaster.pid").exists(), "it was stopped in order");
    // What fsGroup does to a volume between two starts.
    fs::set_permissions(&data, fs::Permissions::from_mode(0o770)).unwrap();
    let _again = place.start(&["postgres"], &[]);
    until("it answers again", || answers(&place));
}

#[test]
fn a_kill_while_it_is_made_leaves_nothing_that_looks_like_data() {
    let place = place();
    fs::create_dir(place.at("volume/postgres.unfinished")).unwrap();
    place.write("volume/klatch-cluster-id", "one");
    place.write("volume/postgres.unfinished/PG_VERSION", "15");
    let unfinished: PathBuf = place.at("volume/postgres.unfinished");
    std::os::unix::fs::chown(&unfinished, Some(owner(&place)), None).unwrap();
    let _server = place.start(&["postgres"], &[]);
    until("it takes connections", || answers(&place));
}

fn owner(place: &Place) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(place.at("volume")).unwrap())
}

#[test]
fn what_is_not_ours_is_refused_in_words_and_left_alone() {
    let place = place();
    place.write("volume/klatch-cluster-id", "another");
    let said = place.refused(&["postgres"], "one");
    assert!(said.contains("belongs to the cluster another") && said.contains("nothing on it was touched"), "{said}");
    assert!(!place.at("volume/postgres").exists());

    place.write("volume/klatch-cluster-id", "one");
    fs::create_dir(place.at("volume/postgres")).unwrap();
    place.write("volume/postgres/PG_VERSION", "9\n");
    let said = place.refused(&["postgres"], "one");
    assert!(said.contains("holds data of PostgreSQL 9") && said.contains("managed.image"), "{said}");

    fs::remove_file(place.at("volume/postgres/PG_VERSION")).unwrap();
    let said = place.refused(&["postgres"], "one");
    assert!(said.contains("no database cluster"), "{said}");
}
