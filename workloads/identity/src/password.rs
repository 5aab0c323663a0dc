//! Passwords: hashed with argon2id, never more at once than the machine can take.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use tokio::sync::Semaphore;

use crate::password_rule::PASSWORD_BYTES;

/// Calls that may wait for each one that runs: at 30 ms a hash the last of them waits 2 s, and their memory is only
/// their password's.
const WAITING_PER_RUNNING: usize = 64;

/// A hash nobody's password has, with the parameters of a real one: an unknown user costs the same time as a known one.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$a2xhdGNoIG5vYm9keSEhIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Too many calls wait already.
    #[error("too many passwords are being checked; try again")]
    Busy,
    /// The cryptography failed.
    #[error("a password could not be hashed")]
    Failed,
}

/// Hashes and checks passwords with argon2id and the crate's defaults: 19 MiB, 2 passes, 1 lane, which is OWASP's first
/// choice (Password Storage Cheat Sheet) within RFC 9106 section 4. Each call holds 19 MiB while it runs, so only
/// `parallel` run at a time.
pub struct Passwords {
    running: Arc<Semaphore>,
    /// Running and waiting together.
    admitted: Arc<Semaphore>,
    calls: AtomicU64,
}

impl Passwords {
    /// At most `parallel` (at least 1) at a time; the CPU's cores are a good number.
    #[must_use]
    pub fn new(parallel: usize) -> Self {
        let parallel = parallel.clamp(1, 1_024);
        Self {
            running: Arc::new(Semaphore::new(parallel)),
            admitted: Arc::new(Semaphore::new(parallel * (1 + WAITING_PER_RUNNING))),
            calls: AtomicU64::new(0),
        }
    }

    /// The PHC string to keep of a password, with a salt of its own. A dropped call still finishes in its thread.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.run(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()))
            .await?
            .map_err(|_| PasswordError::Failed)
    }

    /// Whether this is the password of this PHC string. `None` (there is no such user) takes as long and answers false.
    ///
    /// # Errors
    /// [`PasswordError`].
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordError> {
        // No password is that long, so whoever it is for, it is wrong.
        let (password, hash) = if password.len() > PASSWORD_BYTES { (String::new(), None) } else { (password, hash) };
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let parsed = PasswordHash::new(&hash).map_err(|_| PasswordError::Failed)?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
        })
        .await?
    }

    /// How many passwords were hashed or checked. Tests see by it that an unknown user costs the same.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| PasswordError::Busy)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordError::Failed)?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || {
            // The permits go with the work, not with who waits for it: a caller who gives up frees no memory.
            let _permits = (admitted, running);
            work()
        });
        done.await.map_err(|_| PasswordError::Failed)
    }
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Passwords").field("calls", &self.calls()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_checked_and_its_hash_is_salted() {
        let passwords = Passwords::new(2);
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(passwords.hash("correct horse".to_owned()).await.unwrap(), hash);
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("Correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("x".repeat(PASSWORD_BYTES + 1), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_costs_one_call_too() {
        let passwords = Passwords::new(1);
        let (real, nobody) = (passwords.hash("some password".to_owned()).await.unwrap(), NOBODY);
        let parameters = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        let lengths = |hash: &str| hash.split('$').map(str::len).collect::<Vec<_>>();
        assert_eq!((parameters(nobody), lengths(nobody)), (parameters(&real), lengths(&real)));
        let before = passwords.calls();
        assert!(!passwords.verify("some password".to_owned(), None).await.unwrap());
        assert_eq!(passwords.calls(), before + 1);
    }

    #[tokio::test]
    async fn beyond_the_bound_it_is_busy() {
        let passwords = Passwords::new(1);
        let held = passwords.running.clone().acquire_owned().await.unwrap();
        let waiting: Vec<_> =
            (0..=WAITING_PER_RUNNING).map(|_| Box::pin(passwords.verify("x".to_owned(), None))).collect();
        let mut waiting = waiting;
        for call in &mut waiting {
            let polled =
                std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context).is_ready())).await;
            assert!(!polled);
        }
        assert_eq!(passwords.verify("x".to_owned(), None).await, Err(PasswordError::Busy));
        drop(waiting);
        drop(held);
        assert_eq!(passwords.verify("x".to_owned(), None).await, Ok(false));
    }
}
