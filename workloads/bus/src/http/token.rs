//! What workloads show each other.

use std::fmt;

use subtle::ConstantTimeEq;

/// Least length: 32 characters of base64 are 192 bits.
const LEAST_BYTES: usize = 32;
const MOST_BYTES: usize = 512;

/// A secret that all workloads of a Klatch share. `Debug` does not show it.
#[derive(Clone)]
pub struct ServiceToken(String);

/// A text that is no service token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a service token is {LEAST_BYTES} to {MOST_BYTES} visible ASCII characters")]
pub struct TokenError;

impl ServiceToken {
    /// Takes a text without the white space around it, as files end in a line break.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let fits = (LEAST_BYTES..=MOST_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text.to_owned())) } else { Err(TokenError) }
    }

    /// Whether somebody has shown this one. How long it takes tells no more than the length.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        self.0.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for ServiceToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceToken(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_plain_and_never_shown() {
        let text = "0123456789abcdef0123456789abcdef";
        let token = ServiceToken::parse(&format!("{text}\n")).unwrap();
        assert!(token.is(text) && !token.is("") && !token.is(&text.replace('0', "1")) && !token.is(&text[1..]));
        assert_eq!(format!("{token:?}"), "ServiceToken(hidden)");
        for bad in ["", "short", &"ü".repeat(32), "0123456789abcdef 0123456789abcdef", &"x".repeat(513)] {
            assert!(matches!(ServiceToken::parse(bad), Err(TokenError)), "{bad:?}");
        }
    }
}
