//! Whether a refresh token may be used.

use klatch_domain::Timestamp;

use crate::RefreshToken;

/// What is stored of the session a token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredSecret {
    /// Hash of the newest token.
    pub hash: [u8; 32],
    /// Its number.
    pub number: u64,
    /// Not good from then on.
    pub expires_at: Option<Timestamp>,
    /// Ended.
    pub revoked_at: Option<Timestamp>,
}

/// What a presented refresh token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshCheck {
    /// The newest: it may be used, once.
    Fresh,
    /// One that was real and was used before: somebody has a copy, revoke the session (RFC 9700 section 4.14.2).
    Reuse,
    /// Left unused for too long.
    Expired,
    /// Its session has ended.
    Revoked,
    /// Never given out for this session. Its bearer proves nothing: change nothing.
    Wrong,
}

/// Judges a presented token; changes nothing.
#[must_use]
pub fn check_refresh(stored: &StoredSecret, presented: &RefreshToken, now: Timestamp) -> RefreshCheck {
    if !presented.is_of_family(&stored.hash) {
        return RefreshCheck::Wrong;
    }
    if stored.revoked_at.is_some() {
        return RefreshCheck::Revoked;
    }
    if stored.expires_at.is_some_and(|end| now >= end) {
        return RefreshCheck::Expired;
    }
    if presented.number() == stored.number && presented.is(&stored.hash) {
        RefreshCheck::Fresh
    } else {
        RefreshCheck::Reuse
    }
}

#[cfg(test)]
mod tests {
    use klatch_domain::SessionId;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_000)
    }

    fn stored(token: &RefreshToken) -> StoredSecret {
        StoredSecret { hash: token.hash(), number: token.number(), expires_at: None, revoked_at: None }
    }

    #[test]
    fn each_token_works_once() {
        let first = RefreshToken::first(SessionId::now()).unwrap();
        let second = first.next().unwrap();
        assert_eq!(check_refresh(&stored(&first), &first, now()), RefreshCheck::Fresh);
        assert_eq!(check_refresh(&stored(&second), &first, now()), RefreshCheck::Reuse);
        assert_eq!(check_refresh(&stored(&second), &second, now()), RefreshCheck::Fresh);
        // A twin of the same number, made from the same predecessor.
        assert_eq!(check_refresh(&stored(&second), &first.next().unwrap(), now()), RefreshCheck::Reuse);
    }

    #[test]
    fn a_made_up_token_of_a_known_session_is_wrong_and_no_reuse() {
        let session = SessionId::now();
        let real = RefreshToken::first(session).unwrap().next().unwrap();
        let made_up = RefreshToken::first(session).unwrap();
        assert_eq!(check_refresh(&stored(&real), &made_up, now()), RefreshCheck::Wrong);
        let ended = StoredSecret { revoked_at: Some(now()), ..stored(&real) };
        assert_eq!(check_refresh(&ended, &made_up, now()), RefreshCheck::Wrong);
        assert_eq!(check_refresh(&ended, &real, now()), RefreshCheck::Revoked);
    }

    #[test]
    fn it_expires() {
        let token = RefreshToken::first(SessionId::now()).unwrap();
        let stored = StoredSecret { expires_at: Some(now()), ..stored(&token) };
        assert_eq!(check_refresh(&stored, &token, now()), RefreshCheck::Expired);
        assert_eq!(check_refresh(&stored, &token, Timestamp::from_millis(999)), RefreshCheck::Fresh);
    }
}
