//! The access token: refreshed before it expires, replaced on a live connection, asked for once at a time.

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

use super::backoff::Backoff;

/// A token this close to its end, milliseconds, is not shown to a server: it would expire on the way.
const SLACK_MS: u64 = 5_000;
/// Refreshed this long before its end at the latest, milliseconds: room for some failed tries.
const AHEAD_MS: u64 = 60_000;

#[derive(Clone)]
struct Token {
    text: String,
    expires_at: u64,
    refresh_at: u64,
}

/// What the core knows of its session's access token.
#[derive(Clone, Default)]
pub(crate) struct Session {
    token: Option<Token>,
    asking: bool,
    retry_at: Option<u64>,
    backoff: Backoff,
}

impl Session {
    /// The token, while a server would still take it.
    pub(crate) fn token(&self, now: u64) -> Option<&str> {
        self.token.as_ref().filter(|token| now.saturating_add(SLACK_MS) < token.expires_at).map(|token| &*token.text)
    }

    /// A server did not take it.
    pub(crate) fn rejected(&mut self) {
        self.token = None;
    }

    /// A newer token came.
    pub(crate) fn refreshed(&mut self, now: u64, text: String, lives_ms: u64, random: &mut Xoshiro256PlusPlus) {
        // A short-lived token keeps most of its life; the jitter keeps devices that signed in together apart.
        let ahead = AHEAD_MS.min(lives_ms / 4) + random.random_range(0..=lives_ms / 20);
        let expires_at = now.saturating_add(lives_ms);
        self.token = Some(Token { text, expires_at, refresh_at: expires_at.saturating_sub(ahead) });
        self.asking = false;
        self.retry_at = None;
        self.backoff.reset();
    }

    /// The question failed; it may be put again after a wait.
    pub(crate) fn refresh_failed(&mut self, now: u64, hint: Option<u64>, random: &mut Xoshiro256PlusPlus) {
        self.asking = false;
        self.retry_at = Some(now.saturating_add(self.backoff.next_or(hint, random)));
    }

    /// When a refresh is due; none while one is on its way.
    pub(crate) fn due(&self) -> Option<u64> {
        if self.asking {
            return None;
        }
        self.retry_at.or_else(|| Some(self.token.as_ref().map_or(0, |token| token.refresh_at)))
    }

    /// Whether to ask now; notes that it is asked.
    pub(crate) fn ask(&mut self, now: u64) -> bool {
        let ask = self.due().is_some_and(|due| due <= now);
        self.asking |= ask;
        ask
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const LIFE: u64 = 900_000;

    #[test]
    fn a_token_is_refreshed_before_it_expires_and_asked_for_once() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut session = Session::default();
        assert!(session.ask(0));
        assert!(!session.ask(0), "one question at a time");
        session.refreshed(1_000, "one".into(), LIFE, &mut random);
        assert_eq!(session.token(1_000), Some("one"));
        let due = session.due().unwrap();
        assert!(due < 1_000 + LIFE - AHEAD_MS && due > 1_000 + LIFE - AHEAD_MS - LIFE / 20 - 1, "{due}");
        assert!(!session.ask(due - 1));
        assert!(session.ask(due));
        assert_eq!(session.token(1_000 + LIFE - SLACK_MS), None, "too close to its end");
    }

    #[test]
    fn a_failed_question_waits_and_a_rejected_token_is_asked_for_at_once() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut session = Session::default();
        session.refreshed(0, "one".into(), LIFE, &mut random);
        session.rejected();
        assert_eq!(session.token(1), None);
        assert!(session.ask(1));
        session.refresh_failed(1, Some(7_000), &mut random);
        assert!(!session.ask(7_000));
        assert!(session.ask(7_001));
    }
}
