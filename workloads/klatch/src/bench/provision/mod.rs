//! Users, rooms and access tokens for measuring, written straight through the stores of either twin: by sign-ups, with a
//! password hash each, 15,000 users would take minutes.

mod rooms;
mod users;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, ensure};
use klatch_domain::Timestamp;
use klatch_identity::Keys;
use klatch_service_kit::Clock;
use klatch_settings::{ApiProcess, DEFAULT_DATA, StoreSettings, read_file};
use klatch_store::{Directory, sqlite};

use super::accounts::Accounts;
use crate::{
    process,
    up::lock::{DataFolder, KEYS_FOLDER},
    workload::Stores,
};

/// How long the tokens are good: a series of measurements.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);
/// Calls of the store under way at a time: what shares one sync. The store's own queue takes twice that.
const UNDER_WAY: usize = 512;

/// `klatch bench provision`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Users to make
    #[arg(long, value_name = "N")]
    users: usize,
    /// Direct rooms to make between them
    #[arg(long, value_name = "N", default_value_t = 0)]
    direct_rooms: usize,
    /// Members of the one group to make; 0 makes none
    #[arg(long, value_name = "SIZE", default_value_t = 0)]
    group: usize,
    /// File to write them to, as JSON, with a token for each user
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Data folder of a 'klatch up' that is not running; made when it is not there
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DATA)]
    data: PathBuf,
    /// Settings of a 'klatch api', instead of a data folder: its databases and its signing keys. It may run meanwhile
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    settings: Option<PathBuf>,
}

/// How much to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) users: usize,
    pub(super) direct_rooms: usize,
    pub(super) group: usize,
}

/// Makes what is asked for and writes the file.
///
/// # Errors
/// When the folder is in use, the numbers do not fit together, or something cannot be written.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { users, direct_rooms, group, .. } = *arguments;
    let wanted = Wanted { users, direct_rooms, group };
    let accounts = match &arguments.settings {
        Some(settings) => provision_cluster(settings, wanted),
        None => provision(&arguments.data, wanted),
    };
    accounts?.write(&arguments.out)
}

/// Makes users, rooms and tokens in the databases of a cluster. What was there stays.
fn provision_cluster(file: &Path, wanted: Wanted) -> anyhow::Result<Accounts> {
    check(wanted)?;
    let settings: ApiProcess = read_file(file)?;
    process::check(&settings, file)?;
    let keys = Keys::open_existing(&settings.keys.folder).context("cannot open the signing keys")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = process::stores::open(&settings.database).await?;
        let made = make(&opened.stores(), &keys, wanted, now()).await;
        opened.close().await;
        made
    })
}

/// Makes users, rooms and tokens in a data folder. What was there stays.
///
/// # Errors
/// As [`run`].
pub(super) fn provision(data: &Path, wanted: Wanted) -> anyhow::Result<Accounts> {
    check(wanted)?;
    let folder = DataFolder::take_or_make(data)?;
    let keys = Keys::open(&folder.path().join(KEYS_FOLDER)).context("cannot open the signing keys")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let StoreSettings { slots, shards, readers } = StoreSettings::default();
        let stores = sqlite::open(folder.path(), sqlite::Options { slots, shards, readers })
            .context("cannot open the data folder")?;
        let directory: Arc<dyn Directory> = Arc::clone(&stores.directory) as _;
        let made = make(&Stores { directory, shards: stores.shards.clone() }, &keys, wanted, now()).await;
        stores.close().await;
        made
    })
}

fn check(wanted: Wanted) -> anyhow::Result<()> {
    let Wanted { users, direct_rooms, group } = wanted;
    ensure!(users > 0, "--users is at least 1");
    ensure!(group <= users, "a group of {group} needs as many users; --users is {users}");
    let most = users * (users - 1) / 2;
    ensure!(
        direct_rooms <= most,
        "{users} users have {most} direct rooms between them; --direct-rooms is {direct_rooms}"
    );
    Ok(())
}

fn now() -> Timestamp {
    Timestamp::from_millis(Clock::system().millis())
}

async fn make(stores: &Stores, keys: &Keys, wanted: Wanted, now: Timestamp) -> anyhow::Result<Accounts> {
    let members = users::make(stores, wanted.users, now).await?;
    let direct_rooms = rooms::make_direct(stores, &members, wanted.direct_rooms, now).await?;
    let groups = rooms::make_group(stores, &members[..wanted.group], now).await?;
    let users = members.iter().map(|member| member.account(keys, now)).collect::<anyhow::Result<_>>()?;
    Ok(Accounts { users, direct_rooms, groups })
}

#[cfg(test)]
mod tests {
    use klatch_store::directory::{RoomProjections, Sessions, Users};

    use super::*;

    const WANTED: Wanted = Wanted { users: 40, direct_rooms: 50, group: 35 };

    #[test]
    fn numbers_that_do_not_fit_together_are_refused() {
        assert!(check(Wanted { group: 41, ..WANTED }).is_err());
        assert!(check(Wanted { direct_rooms: 781, ..WANTED }).is_err());
        assert!(check(Wanted { direct_rooms: 780, ..WANTED }).is_ok());
        assert!(check(Wanted { users: 0, direct_rooms: 0, group: 0 }).is_err());
    }

    /// What was written is what a server finds: users with sessions, rooms with members, in logs and directory alike.
    #[test]
    fn a_server_finds_what_was_made() {
        let parent = tempfile::tempdir().unwrap();
        let data = parent.path().join("data");
        let accounts = provision(&data, WANTED).unwrap();
        // A second time adds to it.
        assert_eq!(provision(&data, WANTED).unwrap().users.len(), WANTED.users);
        assert_eq!((accounts.users.len(), accounts.direct_rooms.len(), accounts.groups.len()), (40, 50, 1));
        let file = parent.path().join("accounts.json");
        accounts.write(&file).unwrap();
        assert_eq!(Accounts::read(&file).unwrap(), accounts);

        let keys = Keys::open(&data.join(KEYS_FOLDER)).unwrap();
        let in_50_minutes = now().plus(Duration::from_secs(3_000));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let StoreSettings { slots, shards, readers } = StoreSettings::default();
            let stores = sqlite::open(&data, sqlite::Options { slots, shards, readers }).unwrap();
            for account in &accounts.users {
                let principal = keys.verify(&account.token, in_50_minutes).unwrap();
                assert_eq!(principal.user, account.id);
                let session = stores.directory.session(principal.session).await.unwrap().unwrap();
                assert_eq!((session.user, session.revoked_at), (account.id, None));
            }
            assert_eq!(
                stores.directory.users(&[accounts.users[7].id]).await.unwrap()[0].username.as_str(),
                accounts.users[7].username
            );
            for room in accounts.direct_rooms.iter().chain(&accounts.groups) {
                let facts = &stores.shards.of(room.room).rooms(&[room.room]).await.unwrap()[&room.room];
                let members: Vec<_> = room.users.iter().map(|index| accounts.users[*index].id).collect();
                assert_eq!(facts.members.len(), members.len());
                assert_eq!((facts.head.0, facts.members_version.0), (members.len() as u64, members.len() as u64));
                assert!(members.iter().all(|member| facts.members.contains_key(member)));
                let projected = stores.directory.members_of(room.room, None, 100).await.unwrap();
                assert_eq!(projected.len(), members.len());
            }
            stores.close().await;
        });
    }

    #[test]
    fn a_folder_in_use_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let _held = DataFolder::take_or_make(&parent.path().join("data")).unwrap();
        assert!(provision(&parent.path().join("data"), WANTED).unwrap_err().to_string().contains("in use"));
    }
}
