//! What whoever starts the tests asks of them, by environment variables.

use std::{env, fmt::Debug, str::FromStr};

/// The number that this variable says; none where it is not set, or empty.
///
/// # Panics
/// When it says something else: a run that was asked for is not to be another.
#[must_use]
pub fn number<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let said = env::var(name).ok().filter(|said| !said.is_empty())?;
    Some(said.parse().unwrap_or_else(|error| panic!("{name}={said}: {error:?}")))
}

/// The seed that this variable says, or one drawn by chance.
///
/// # Panics
/// When it says no number.
#[must_use]
pub fn seed(name: &str) -> u64 {
    number(name).unwrap_or_else(rand::random)
}
