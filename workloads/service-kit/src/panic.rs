//! Panics are bugs: they are logged, counted, and never leave a process half alive.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::PanicHookInfo,
    thread,
};

use prometheus::{IntCounter, Registry};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// From now on panics of every thread and task are logged and counted in `klatch_panics_total`. Before the log is set
/// up they are told the way they were told until now.
///
/// # Errors
/// When the registry holds the counter already.
pub fn install(registry: &Registry) -> Result<(), prometheus::Error> {
    let panics = IntCounter::new("klatch_panics_total", "Panics: each is a bug")?;
    registry.register(Box::new(panics.clone()))?;
    let former = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        panics.inc();
        if tracing::dispatcher::has_been_set() {
            log(panic);
        } else {
            former(panic);
        }
    }));
    Ok(())
}

fn log(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("not a text");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    // Captured when RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace));
    let current = thread::current();
    let thread = current.name().unwrap_or("unnamed");
    tracing::error!(target: "klatch::panic", panic = message, location, thread, backtrace, "panic");
}

/// Spawns a task without which the process is no use: when it panics or ends before `token` is cancelled, `token` is
/// cancelled, and the process stops as if it had been told to. Aborting it, or dropping the runtime under it, is such an
/// end too. Needs a tokio runtime.
pub fn spawn_critical<F>(name: &'static str, token: CancellationToken, task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let last_word = LastWord { name, token };
    tokio::spawn(async move {
        let _last_word = last_word;
        task.await
    })
}

/// Dropped however the task ends.
struct LastWord {
    name: &'static str,
    token: CancellationToken,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if self.token.is_cancelled() && !thread::panicking() {
            return;
        }
        let task = self.name;
        if thread::panicking() {
            tracing::error!(task, "a critical task has panicked; stopping the process");
        } else {
            tracing::error!(task, "a critical task has ended before its time; stopping the process");
        }
        self.token.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_critical_task_cancels() {
        let token = CancellationToken::new();
        let task = spawn_critical("test", token.clone(), async { panic!("on purpose") });
        let ended: Result<(), _> = task.await;
        assert!(ended.unwrap_err().is_panic());
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn an_early_end_of_a_critical_task_cancels() {
        let token = CancellationToken::new();
        assert_eq!(spawn_critical("test", token.clone(), async { 7 }).await.unwrap(), 7);
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn an_abort_of_a_critical_task_cancels() {
        let token = CancellationToken::new();
        let task = spawn_critical("test", token.clone(), std::future::pending::<()>());
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert!(token.is_cancelled());
    }

    #[tokio::test]
    async fn a_critical_task_outlives_the_token_and_answers() {
        let token = CancellationToken::new();
        let told = token.clone();
        let task = spawn_critical("test", token.clone(), async move {
            told.cancelled().await;
            "done"
        });
        assert!(!token.is_cancelled());
        token.cancel();
        assert_eq!(task.await.unwrap(), "done");
    }

    // The hook is the process's: the other tests of this crate count nothing.
    #[test]
    fn panics_are_counted_once_the_hook_is_installed() {
        let registry = Registry::new();
        install(&registry).unwrap();
        assert!(install(&registry).is_err());
        let before = panics(&registry);
        thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        assert!(panics(&registry) > before);
    }

    fn panics(registry: &Registry) -> u64 {
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("klatch_panics_total ")).unwrap().parse().unwrap()
    }
}
