//! Whoever reads our standard output.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::oneshot;

/// Resolves when standard output is a pipe whose reader has gone: a command that waits for news would otherwise find out only
/// when it has some. Never for a terminal or a file.
pub(super) async fn gone() {
    let (tell, told) = oneshot::channel::<()>();
    // Waits in the kernel; it ends with the process.
    std::thread::spawn(move || {
        let out = io::stdout();
        // No event is asked for: errors and hang-ups are told all the same (poll(2)).
        let mut descriptors = [PollFd::new(&out, PollFlags::empty())];
        loop {
            match poll(&mut descriptors, None) {
                Ok(_) if descriptors[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // Then the next write finds out.
                Err(_) => std::thread::park(),
            }
        }
        let _ = tell.send(());
    });
    let _ = told.await;
}
