//! Reaching the data folder's owner functions: by the socket of a running `klatch up`, or directly when nothing runs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use klatch_identity::Keys;
use klatch_service_kit::Clock;

use super::{
    Answer, Hearers, Request, Users,
    perform::Administration,
    socket::{LINE_BYTES, SocketAddress},
};
use crate::{
    failure::Failure,
    stores,
    up::{
        lock::{DataFolder, Holder, KEYS_FOLDER, check_content, check_exists, holder},
        single_threaded,
    },
};

/// How long to wait for a `klatch up` that has the lock but not yet its socket: it may be replaying a long log.
const STARTING: Duration = Duration::from_secs(10);
/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(50);
/// How long an answer may take. A backup copies everything first: hours of data at 50 MB/s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4 * 3600);

/// How the data folder was reached.
pub(crate) enum Reached {
    /// By the socket of the process that holds it.
    Running(Connection),
    /// Nobody held it; now we do.
    Stopped(DataFolder),
}

/// A connection to a running `klatch up`.
pub(crate) struct Connection {
    stream: BufReader<UnixStream>,
}

/// Finds out whether the folder is in use, and takes it if not.
///
/// # Errors
/// When there is no data, or its holder does not answer.
pub(crate) fn reach(data: &Path) -> anyhow::Result<Reached> {
    check_exists(data)?;
    check_content(data)?;
    let since = Instant::now();
    loop {
        if let Ok(stream) = SocketAddress::of(data).and_then(|address| UnixStream::connect(address.path())) {
            return Ok(Reached::Running(Connection { stream: BufReader::new(stream) }));
        }
        let held_by = holder(data).with_context(|| format!("cannot look at the lock of {}", data.display()))?;
        match held_by {
            Holder::Nobody => return Ok(Reached::Stopped(DataFolder::take(data)?)),
            Holder::Process(_) if since.elapsed() < STARTING => std::thread::sleep(TRY_EVERY),
            Holder::Process(pid) => {
                let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                return Err(Failure::unreachable(format!(
                    "the klatch that uses {}{pid} does not answer; wait until it serves, or stop it first",
                    data.display()
                ))
                .into());
            }
        }
    }
}

impl Connection {
    /// Sends the request and waits for its answer.
    ///
    /// # Errors
    /// When the process went away in between: what was asked may or may not have been done.
    pub(crate) fn ask(&mut self, request: &Request) -> anyhow::Result<Answer> {
        let mut line = serde_json::to_vec(request).context("cannot write the request")?;
        line.push(b'\n');
        let stream = self.stream.get_mut();
        let sent = stream.set_read_timeout(Some(ANSWER_TIMEOUT)).and_then(|()| stream.write_all(&line));
        sent.context("cannot speak to the running klatch")?;
        let mut answer = String::new();
        let read = (&mut self.stream).take(LINE_BYTES as u64).read_line(&mut answer);
        match read.context("the running klatch gave no answer; look whether it was done, and try again")? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof))
                .context("the running klatch ended before it answered; look whether it was done, and try again"),
            _ => serde_json::from_str(&answer)
                .context("the running klatch answers in another version's words; use the same klatch for both"),
        }
    }
}

/// Has a request carried out, wherever the folder is in use.
///
/// # Errors
/// As [`reach`], and when the stopped folder cannot be opened.
pub(super) fn request(data: &Path, request: Request) -> anyhow::Result<Answer> {
    match reach(data)? {
        Reached::Running(mut connection) => connection.ask(&request),
        Reached::Stopped(folder) => single_threaded()?.block_on(async {
            let stores = stores::open_existing(folder.path()).await?;
            let keys = Keys::open(&folder.path().join(KEYS_FOLDER)).context("cannot open the signing keys")?;
            let users = Users::new(Arc::clone(&stores.directory), Clock::system(), Hearers::Nobody);
            let answer = Administration::new(users, keys, Clock::system()).perform(request).await;
            stores.close().await;
            Ok(answer)
        }),
    }
}
