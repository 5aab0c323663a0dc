//! The socket in the data folder on which a running `klatch up` takes its owner's commands. Whoever may open it (mode 0600,
//! so the user that runs the server, and root) is the owner.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;

use super::{Administration, Answer, Request};
use crate::{backup::Snapshots, up::lock::ADMIN_SOCKET};

/// Bytes of one request or answer: a password and a few names.
pub(super) const LINE_BYTES: usize = 64 * 1024;
/// Commands under way at once; an owner has two hands.
const CONNECTIONS: usize = 8;
/// How long a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two tries to accept when no descriptor is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Where the socket is, in words the kernel takes: the path of a socket has at most 107 bytes (unix(7)), and a data folder may
/// lie deeper than that. Then the path goes through a descriptor of the folder.
pub(crate) struct SocketAddress {
    path: PathBuf,
    _folder: Option<fs::File>,
}

impl SocketAddress {
    const LONGEST: usize = 100;

    /// In this data folder.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub(crate) fn of(folder: &Path) -> io::Result<Self> {
        use std::os::{fd::AsRawFd, unix::ffi::OsStrExt};
        let path = folder.join(ADMIN_SOCKET);
        if path.as_os_str().as_bytes().len() <= Self::LONGEST {
            return Ok(Self { path, _folder: None });
        }
        let opened = fs::File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd())).join(ADMIN_SOCKET);
        Ok(Self { path, _folder: Some(opened) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The listening socket.
pub(crate) struct AdminSocket {
    listener: UnixListener,
    administration: Arc<Administration>,
    snapshots: Arc<Snapshots>,
}

impl AdminSocket {
    /// Opens it. One that is there belongs to a process that was killed: whoever calls holds the folder's lock.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(
        folder: &Path,
        administration: Arc<Administration>,
        snapshots: Arc<Snapshots>,
    ) -> anyhow::Result<Self> {
        let address = SocketAddress::of(folder).context("cannot open the data folder")?;
        match fs::remove_file(address.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context("cannot remove the admin socket of an earlier run");
            }
            _ => {}
        }
        // The process's umask already keeps it to the owner; the mode says it again for whoever looks.
        let listener = UnixListener::bind(address.path()).context("cannot make the admin socket")?;
        fs::set_permissions(address.path(), fs::Permissions::from_mode(0o600))
            .context("cannot close the admin socket to others")?;
        Ok(Self { listener, administration, snapshots })
    }

    /// Answers commands until `stop` is cancelled; those under way are finished by their own tasks.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "cannot accept on the admin socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
            let (administration, snapshots) = (Arc::clone(&self.administration), Arc::clone(&self.snapshots));
            tokio::spawn(async move {
                if let Err(error) = converse(stream, &administration, &snapshots).await {
                    tracing::debug!(%error, "a connection of the admin socket ended");
                }
                drop(slot);
            });
        }
    }
}

async fn converse(stream: UnixStream, administration: &Administration, snapshots: &Snapshots) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut bounded = (&mut stream).take(LINE_BYTES as u64);
    match tokio::time::timeout(REQUEST_TIMEOUT, bounded.read_line(&mut line)).await {
        Ok(read) => read?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    let request = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(_) => {
            let detail = "this klatch does not know that command; use the same version for both";
            return tell(&mut stream, &Answer::refused(detail)).await;
        }
    };
    let Request::Backup = request else {
        let answer = administration.perform(request).await;
        if let Answer::Done { detail, .. } = &answer {
            tracing::info!(detail, "done for the owner");
        }
        return tell(&mut stream, &answer).await;
    };
    match snapshots.copy().await {
        Err(error) => tell(&mut stream, &Answer::refused(format!("{error:#}"))).await,
        Ok(copy) => {
            tell(&mut stream, &Answer::Copied { folder: copy.folder().to_owned() }).await?;
            // The copy lives until the other side has packed it, and hangs up.
            let mut rest = [0; 1];
            while stream.read(&mut rest).await? > 0 {}
            Ok(())
        }
    }
}

async fn tell(stream: &mut BufReader<UnixStream>, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    stream.write_all(&line).await?;
    stream.flush().await
}
