//! Refresh tokens and bot tokens: long random secrets that name their session. The directory keeps hashes only.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use klatch_domain::SessionId;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of one random part: nobody guesses 256 bits.
const SECRET_BYTES: usize = 32;
/// Bytes of the hash of each part of a refresh token: finding another secret of the same hash takes 2^128 tries.
const HALF_BYTES: usize = 16;
/// Longest text that is read as a token, bytes: ours have some 150.
const TEXT_BYTES: usize = 256;
const REFRESH_PREFIX: &str = "kr1";
const BOT_PREFIX: &str = "kb1";

/// Why a secret cannot be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not a token of this kind.
    #[error("not a token of this kind")]
    Malformed,
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// Works once for a new access token, and is then followed by the next of its family.
///
/// `kr1.<session>.<number>.<family><secret>`. Session ids are no secret (every entry names its sender's), so the
/// family, the same in all tokens of a session, proves that a used-up token is a real one: without it anybody could
/// have a stranger's session revoked by "reusing" a made-up token.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    session: SessionId,
    number: u64,
    family: [u8; SECRET_BYTES],
    secret: [u8; SECRET_BYTES],
}

impl RefreshToken {
    /// The first token of a session, number 0.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn first(session: SessionId) -> Result<Self, SecretError> {
        Ok(Self { session, number: 0, family: random()?, secret: random()? })
    }

    /// The token that takes this one's place.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn next(&self) -> Result<Self, SecretError> {
        Ok(Self { number: self.number.saturating_add(1), secret: random()?, ..self.clone() })
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`SecretError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let [session, number, secrets] = parts(text, REFRESH_PREFIX)?;
        let secrets: [u8; 2 * SECRET_BYTES] = decode(secrets)?;
        let mut token = Self {
            session: session.parse().map_err(|_| SecretError::Malformed)?,
            number: number.parse().map_err(|_| SecretError::Malformed)?,
            family: [0; SECRET_BYTES],
            secret: [0; SECRET_BYTES],
        };
        token.family.copy_from_slice(&secrets[..SECRET_BYTES]);
        token.secret.copy_from_slice(&secrets[SECRET_BYTES..]);
        Ok(token)
    }

    /// What is given to the device, and nowhere else.
    #[must_use]
    pub fn reveal(&self) -> String {
        let secrets = [self.family, self.secret].concat();
        format!("{REFRESH_PREFIX}.{}.{}.{}", self.session, self.number, URL_SAFE_NO_PAD.encode(secrets))
    }

    /// Which session it is of.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Rises by one with every refresh.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What the directory keeps: half for the family, half for this token.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash[..HALF_BYTES].copy_from_slice(&Sha256::digest(self.family)[..HALF_BYTES]);
        hash[HALF_BYTES..].copy_from_slice(&Sha256::digest(self.secret)[..HALF_BYTES]);
        hash
    }

    pub(crate) fn is_of_family(&self, stored: &[u8; 32]) -> bool {
        self.hash()[..HALF_BYTES].ct_eq(&stored[..HALF_BYTES]).into()
    }

    pub(crate) fn is(&self, stored: &[u8; 32]) -> bool {
        self.hash().ct_eq(stored).into()
    }

    pub(crate) const fn secret(&self) -> &[u8; SECRET_BYTES] {
        &self.secret
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RefreshToken")
            .field("session", &self.session)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

/// A long-lived token for a program: `kb1.<session>.<secret>`.
#[derive(Clone, PartialEq, Eq)]
pub struct BotToken {
    session: SessionId,
    secret: [u8; SECRET_BYTES],
}

impl BotToken {
    /// A new one.
    ///
    /// # Errors
    /// [`SecretError::NoRandomness`].
    pub fn new(session: SessionId) -> Result<Self, SecretError> {
        Ok(Self { session, secret: random()? })
    }

    /// Whether a text means to be a bot token.
    #[must_use]
    pub fn looks_like(text: &str) -> bool {
        text.strip_prefix(BOT_PREFIX).is_some_and(|rest| rest.starts_with('.'))
    }

    /// Reads a token.
    ///
    /// # Errors
    /// [`SecretError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let [session, secret] = parts(text, BOT_PREFIX)?;
        Ok(Self { session: session.parse().map_err(|_| SecretError::Malformed)?, secret: decode(secret)? })
    }

    /// What is shown to its owner, once.
    #[must_use]
    pub fn reveal(&self) -> String {
        format!("{BOT_PREFIX}.{}.{}", self.session, URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// Which session it is.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// What the directory keeps.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.secret).into()
    }

    /// Whether it is the one of this hash, in constant time.
    #[must_use]
    pub fn is(&self, stored: &[u8; 32]) -> bool {
        self.hash().ct_eq(stored).into()
    }
}

impl fmt::Debug for BotToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BotToken").field("session", &self.session).finish_non_exhaustive()
    }
}

fn random() -> Result<[u8; SECRET_BYTES], SecretError> {
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SecretError::NoRandomness)?;
    Ok(bytes)
}

fn parts<'a, const N: usize>(text: &'a str, prefix: &str) -> Result<[&'a str; N], SecretError> {
    let rest = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')).filter(|_| text.len() <= TEXT_BYTES);
    let parts: Vec<_> = rest.ok_or(SecretError::Malformed)?.split('.').collect();
    parts.try_into().map_err(|_| SecretError::Malformed)
}

fn decode<const N: usize>(text: &str) -> Result<[u8; N], SecretError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| SecretError::Malformed)?;
    bytes.try_into().map_err(|_| SecretError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_never_shown() {
        let refresh = RefreshToken::first(SessionId::now()).unwrap();
        assert_eq!(RefreshToken::parse(&refresh.reveal()).unwrap(), refresh);
        let next = refresh.next().unwrap();
        assert_eq!((next.number(), next.session()), (1, refresh.session()));
        assert_ne!(next.hash(), refresh.hash());
        let bot = BotToken::new(SessionId::now()).unwrap();
        assert_eq!(BotToken::parse(&bot.reveal()).unwrap(), bot);
        assert!(BotToken::looks_like(&bot.reveal()) && !BotToken::looks_like(&refresh.reveal()));
        for (shown, secret) in [(format!("{refresh:?}"), refresh.reveal()), (format!("{bot:?}"), bot.reveal())] {
            assert!(!shown.contains(secret.rsplit('.').next().unwrap()), "{shown}");
        }
    }

    #[test]
    fn anything_else_is_malformed() {
        let session = SessionId::now();
        let good = RefreshToken::first(session).unwrap().reveal();
        let bot = BotToken::new(session).unwrap().reveal();
        for bad in
            ["", "kr1", "kr1.", "kr1.x.0.x", &good[..good.len() - 1], &format!("{good}.x"), &format!(" {good}"), &bot]
        {
            assert_eq!(RefreshToken::parse(bad), Err(SecretError::Malformed), "{bad}");
        }
        assert_eq!(RefreshToken::parse(&good.replace(".0.", ".-1.")), Err(SecretError::Malformed));
        assert_eq!(BotToken::parse(&good), Err(SecretError::Malformed));
        assert_eq!(BotToken::parse(&format!("kb1.{}", ".".repeat(1_000_000))), Err(SecretError::Malformed));
    }
}
