//! Data folders of older and newer programs, damaged and incomplete ones.

use std::{fs, path::Path};

use klatch_domain::{Position, RoomId, Seq};
use rusqlite::{Connection, params};

use super::{
    super::{Options, migration, open},
    OPTIONS, stores, write,
};
use crate::{StoreError, directory::SlotMaps, sqlite::migration::Schema};

fn refusal(folder: &Path) -> String {
    match open(folder, OPTIONS) {
        Err(StoreError::Unusable { detail, .. }) => detail,
        Err(other) => panic!("not refused in words: {other}"),
        Ok(_) => panic!("opened"),
    }
}

fn only_first_migration(path: &Path, schema: &Schema) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(schema.migrations[0]).unwrap();
    connection.pragma_update(None, "application_id", schema.application_id).unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
    connection
}

#[tokio::test]
async fn an_old_folder_opens_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let directory = only_first_migration(&folder.path().join("directory.sqlite"), &migration::DIRECTORY);
    directory
        .execute_batch(
            "INSERT INTO data_folder VALUES (x'01010101010101010101010101010101', 1);
             INSERT INTO slot_map VALUES (3);
             INSERT INTO slot_owners VALUES (0, 0), (1, 0), (2, 0);",
        )
        .unwrap();
    let shard = only_first_migration(&folder.path().join("shard-0.sqlite"), &migration::SHARD);
    let room = RoomId::now();
    shard.execute("INSERT INTO identity VALUES (x'01010101010101010101010101010101', 0)", []).unwrap();
    shard
        .execute(
            "INSERT INTO rooms (room_id, kind, name, visibility, generation, members_version, created_at) \
             VALUES (?1, 2, 'old', 1, 1, 0, 5)",
            params![room.as_bytes()],
        )
        .unwrap();
    drop((directory, shard));

    let stores = stores(folder.path());
    let map = stores.directory.slot_map().await.unwrap().unwrap();
    assert_eq!((map.epoch(), map.slots()), (3, 3), "the stored map counts, not the options");
    let shard = stores.shards.of(room);
    let facts = shard.rooms(&[room]).await.unwrap().remove(&room).unwrap();
    assert_eq!(facts.name.unwrap().as_str(), "old");
    let mut next = write(room, 1, "new");
    next.effect = crate::shard::Effect::None;
    shard.append(vec![next]).await.unwrap();
    assert_eq!(shard.heads(&[room]).await.unwrap()[&room].position, Position::first(1));
    stores.close().await;
}

#[tokio::test]
async fn a_newer_folder_is_refused_in_words_and_left_as_it_is() {
    for (name, schema) in [("directory.sqlite", migration::DIRECTORY), ("shard-0.sqlite", migration::SHARD)] {
        let folder = tempfile::tempdir().unwrap();
        stores(folder.path()).close().await;
        let path = folder.path().join(name);
        let newer = schema.migrations.len() as i64 + 4;
        Connection::open(&path).unwrap().pragma_update(None, "user_version", newer).unwrap();
        let before = fs::read(&path).unwrap();
        let words = refusal(folder.path());
        let wanted = format!(
            "this data folder was written by a newer klatch (schema {newer} of the {}, this program knows {}): \
             start the newer program, or restore a backup",
            schema.noun,
            schema.migrations.len()
        );
        assert!(words.contains(&wanted), "{words}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[tokio::test]
async fn damaged_and_foreign_files_are_refused_in_words() {
    for name in ["directory.sqlite", "shard-0.sqlite"] {
        let folder = tempfile::tempdir().unwrap();
        stores(folder.path()).close().await;
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();

        fs::write(&path, vec![b'x'; whole.len()]).unwrap();
        let words = refusal(folder.path());
        assert!(words.contains(name) && words.contains("damaged") && words.contains("restore a backup"), "{words}");

        // The schema itself is torn.
        let mut torn = whole.clone();
        torn[100..1500].fill(0xff);
        fs::write(&path, torn).unwrap();
        let words = refusal(folder.path());
        assert!(words.contains(name) && words.contains("damaged"), "{words}");

        fs::remove_file(&path).unwrap();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
        assert!(refusal(folder.path()).contains("is not a"), "another program's file");
    }
}

#[tokio::test]
async fn an_incomplete_folder_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { slots: 8, shards: 2, readers: 1 };
    open(folder.path(), options).unwrap().close().await;
    let shard = folder.path().join("shard-1.sqlite");

    let whole = fs::read(&shard).unwrap();
    fs::write(&shard, []).unwrap();
    assert!(refusal(folder.path()).contains("shard-1.sqlite is empty"));
    fs::remove_file(&shard).unwrap();
    assert!(refusal(folder.path()).contains("shard-1.sqlite is missing"));
    assert!(!shard.exists(), "no empty shard takes the place of a lost one");

    fs::copy(folder.path().join("shard-0.sqlite"), &shard).unwrap();
    assert!(refusal(folder.path()).contains("shard-1.sqlite is shard 0 of another data folder"));

    fs::write(&shard, whole).unwrap();
    fs::remove_file(folder.path().join("directory.sqlite")).unwrap();
    let words = refusal(folder.path());
    assert!(words.contains("directory.sqlite is missing"), "{words}");
}

#[tokio::test]
async fn a_second_open_keeps_the_owners() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), Options { slots: 16, shards: 3, readers: 1 }).unwrap();
    let owners = first.shards.map().owners().to_vec();
    let room = RoomId::now();
    first.shards.of(room).append(vec![write(room, 1, "kept")]).await.unwrap();
    first.close().await;
    let second = open(folder.path(), Options { slots: 64, shards: 1, readers: 1 }).unwrap();
    assert_eq!(second.shards.map().owners(), owners);
    assert_eq!(second.shards.all().count(), 3);
    assert_eq!(second.shards.of(room).heads(&[room]).await.unwrap()[&room].position.seq, Seq(1));
    second.close().await;
}
