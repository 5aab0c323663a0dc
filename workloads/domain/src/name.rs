//! Names people choose, checked once. Bounds follow the reference schema: username 50, e-mail 100, room name 100.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a name was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, max_length = $max, min_length = 1)]
        pub struct $name(String);

        impl $name {
            /// Checks the text, without spaces around it.
            ///
            /// # Errors
            /// [`NameError`] says what is wrong.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                $check(text.trim()).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:?}", self.0)
            }
        }
    };
}

name!(
    /// What a user signs in with: 1 to 50 of `a-z 0-9 . _ -`, kept in lower case, starting with a letter or digit.
    Username, 50, check_username
);
name!(
    /// What others see: 1 to 100 characters, no control or direction-changing ones.
    DisplayName, 100, check_shown
);
name!(
    /// Name of a group: 1 to 100 characters, no control or direction-changing ones.
    RoomName, 100, check_shown
);
name!(
    /// An e-mail address: at most 100 characters, one `@` with something on both sides. Whether it exists is shown only by
    /// a letter that arrives.
    Email, 100, check_email
);

fn check_username(text: &str) -> Result<String, NameError> {
    let text = text.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    if text.is_empty() || text.len() > 50 {
        return Err(NameError("a username has 1 to 50 characters"));
    }
    if !text.bytes().all(allowed) || !text.as_bytes()[0].is_ascii_alphanumeric() {
        return Err(NameError(
            "a username has letters a-z, digits, '.', '_' and '-' only, and starts with a letter or digit",
        ));
    }
    Ok(text)
}

fn check_shown(text: &str) -> Result<String, NameError> {
    if text.is_empty() || text.chars().count() > 100 {
        return Err(NameError("a name has 1 to 100 characters"));
    }
    if text.chars().any(is_deceptive) {
        return Err(NameError("a name has no control characters and none that change the direction of writing"));
    }
    Ok(text.to_owned())
}

/// Control characters and the bidirectional formatting characters of UAX #9 section 2, which let one name look like another.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

fn check_email(text: &str) -> Result<String, NameError> {
    let mut halves = text.split('@');
    let good = matches!((halves.next(), halves.next(), halves.next()), (Some(local), Some(domain), None) if !local.is_empty() && !domain.is_empty());
    if !good || text.chars().count() > 100 || text.chars().any(|c| c.is_whitespace() || is_deceptive(c)) {
        return Err(NameError("an e-mail address has at most 100 characters and looks like name@host"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        assert_eq!(Username::parse(" Ada.L ").unwrap().as_str(), "ada.l");
        for bad in ["", "-a", "a b", "ä", "a\u{202e}b", &"a".repeat(51)] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RoomName::parse("a\u{202e}b").is_err());
        assert!(RoomName::parse(&"ä".repeat(100)).is_ok());
        assert!(Email::parse("a@b").is_ok() && Email::parse("a@b@c").is_err() && Email::parse("@b").is_err());
    }
}
