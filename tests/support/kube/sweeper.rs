//! Who cleans up when the test process is gone.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use super::script;

/// Waits at a pipe that closes when the test drops it, panics, or is killed; then it ends whatever works in a folder, and removes
/// the folder.
pub(crate) struct Sweeper(Child);

impl Sweeper {
    pub(crate) fn over(folder: &Path) -> Self {
        let sweeper = Command::new(script("sweep")).arg(folder).arg("wait").stdin(Stdio::piped()).spawn();
        Self(sweeper.expect("tests/kube/sweep starts"))
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Afterwards nothing is left.
        let _ = self.0.wait();
    }
}
