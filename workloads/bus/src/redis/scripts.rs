//! Scripts that Redis runs: each is one atomic step on keys of one tag.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{Cmd, RedisError, Script, Value};

use super::{
    client::{Connection, lacks_script},
    link::{CallError, Link, Prepare},
};

/// A script and its hash.
pub(super) struct Stored {
    source: &'static str,
    hash: String,
}

macro_rules! script {
    ($name:ident, $file:literal) => {
        pub(super) static $name: LazyLock<Stored> =
            LazyLock::new(|| Stored::new(include_str!(concat!("scripts/", $file))));
    };
}

script!(LEASE, "lease.lua");
script!(LOAD, "load.lua");
script!(MARK, "mark.lua");
script!(SET, "set.lua");
script!(READ, "read.lua");
script!(HOLD, "hold.lua");
script!(HOLDERS, "holders.lua");
script!(CLEAR, "clear.lua");
script!(RATE, "rate.lua");
script!(RECENT, "recent.lua");

impl Stored {
    fn new(source: &'static str) -> Self {
        Self { source, hash: Script::new(source).get_hash().to_owned() }
    }

    /// A call of it; arguments are added to what is returned.
    pub(super) fn on<K: AsRef<[u8]>>(&self, keys: &[K]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        command
    }
}

/// Hands the scripts to a server, or to every server of a cluster.
pub(super) struct LoadScripts;

#[async_trait]
impl Prepare for LoadScripts {
    async fn prepare(&self, connection: &mut Connection) -> Result<(), RedisError> {
        for script in [&LEASE, &LOAD, &MARK, &SET, &READ, &HOLD, &HOLDERS, &CLEAR, &RATE, &RECENT] {
            connection.one(redis::cmd("SCRIPT").arg("LOAD").arg(script.source)).await?;
        }
        Ok(())
    }
}

/// Sends calls of scripts together. Servers forget scripts when they start anew: then they are handed over again, and the
/// calls repeated once.
pub(super) async fn run(link: &Link, calls: Vec<Cmd>) -> Result<Vec<Value>, CallError> {
    match link.all(calls.clone()).await {
        Err(CallError::Redis(error)) if lacks_script(&error) => {
            link.prepare(&LoadScripts).await?;
            link.all(calls).await
        }
        answer => answer,
    }
}
