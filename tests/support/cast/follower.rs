//! A client of the SDK that only follows.

use std::collections::BTreeMap;

use klatch_client_sdk::{Client, Credentials, Options, Roots};
use klatch_domain::{RoomId, Seq};

use super::{CONVERGE_WITHIN, LOOK};
use crate::{encrypted_front::AUTHORITY, person::PASSWORD, writers::oracle::Oracle};

/// An SDK client on a device of its own, and what of each room was compared.
pub(super) struct Follower {
    client: Client,
    compared: BTreeMap<RoomId, u64>,
}

impl Follower {
    pub(super) async fn sign_in(url: &str, name: &str) -> Self {
        let credentials = Credentials::Password {
            username: name.to_owned(),
            password: PASSWORD.to_owned(),
            device_name: "follower".to_owned(),
        };
        let roots = Roots::from_pem(AUTHORITY).expect("PEM");
        let options = Options { roots, ..Options::default() };
        let client = Client::connect(url, credentials, options).await.expect("a follower");
        client.ready().await.expect("a follower is ready");
        Self { client, compared: BTreeMap::new() }
    }

    /// Waits until this client shows what the oracle has read. Nobody gives it a nudge.
    pub(super) async fn converge(&mut self, oracle: &Oracle, groups: &[Vec<RoomId>]) {
        for room in groups.iter().flatten() {
            let log = oracle.log(*room);
            let head = log.last().map_or(0, |found| found.position.seq.0);
            let compared = self.compared.entry(*room).or_default();
            let converged = async {
                loop {
                    let view = self.client.timeline_after(*room, Seq(*compared), usize::MAX).await.expect("a client");
                    if let Some(view) = view.filter(|view| view.position.seq.0 >= head) {
                        return view;
                    }
                    tokio::time::sleep(LOOK).await;
                }
            };
            let Ok(view) = tokio::time::timeout(CONVERGE_WITHIN, converged).await else {
                let held = self.client.timeline_after(*room, Seq(head), 0).await.expect("a client");
                let held = held.map(|view| view.position.seq.0);
                panic!("a client holds {room} up to {held:?} of {head}, and is {:?}", self.client.status());
            };
            let mut expected = (*compared).max(view.floor.0);
            for entry in &view.entries {
                expected += 1;
                let found = &log[expected as usize - 1];
                assert_eq!(
                    (entry.position, entry.message_id),
                    (found.position, found.id),
                    "a client shows another log"
                );
            }
            assert_eq!(expected, head, "a client has a gap in {room}");
            *compared = head;
        }
    }
}
