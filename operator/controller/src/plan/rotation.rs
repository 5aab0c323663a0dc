//! New passwords, in two halves. Every workload has two logins: the idle one gets a new password, whoever is signed in to hears of it,
//! workloads change over to it, and then the other gets one, which makes the old one invalid. How far that has come stands in one annotation, and which Secrets were
//! renewed in a half stands on each of them, written together with its new passwords: a process that ends anywhere goes on there.

use klatch_desired::Login;
use serde::{Deserialize, Serialize};

use crate::observe::{OwnSecret, World};

/// Annotation of a ChatCluster: each new value asks for new passwords once, as `kubectl rollout restart` does for pods.
pub const ROTATE: &str = "klatch.dev/rotate-credentials";
/// Annotation of the Secret that [`klatch_desired::rotation_secret`] names: a [`Rotation`].
pub use klatch_desired::ROTATION as STATE;
/// Annotation of each Secret with logins: the number of the half in which it was renewed last.
pub const RENEWED: &str = "klatch.dev/renewed";

/// Annotation of the Secrets of signing keys and of the certificate: the value of [`ROTATE`] for which one was made last.
pub const ASKED: &str = "klatch.dev/asked";

/// The value that asks, unless this Secret has answered it.
#[must_use]
pub fn unanswered<'a>(asked: Option<&'a str>, secret: &OwnSecret) -> Option<&'a str> {
    asked.filter(|asked| secret.annotation(ASKED) != Some(asked))
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Half {
    /// Nothing is under way.
    #[default]
    Rest,
    /// The idle login gets new passwords.
    RenewIdle,
    /// Whoever is signed in to hears of them: databases, brokers, Redis, and api of its service tokens.
    Announce,
    /// Workloads change over.
    ChangeOver,
    /// The login that was in use gets new passwords.
    RenewOld,
    /// Whoever is signed in to hears of those.
    Finish,
}

/// What was asked for, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rotation {
    /// The value that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// `a` or `b`: the login in use.
    pub login: String,
    /// Halves that were done.
    pub rotations: u32,
    /// How far it has come.
    pub half: Half,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing, or wait.
    Rest,
    /// Renew the passwords of a login in these Secrets, and note this number with them.
    Renew {
        /// Names of Secrets.
        secrets: Vec<String>,
        /// Whose passwords.
        login: Login,
        /// Which half.
        number: u32,
    },
    /// Note that it has come so far.
    Note(Rotation),
}

impl Rotation {
    /// As a Secret tells it. What cannot be read is not guessed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(secret: Option<&OwnSecret>) -> Result<Self, String> {
        let fresh = || Self { login: Login::A.letter().to_owned(), ..Self::default() };
        match secret.and_then(|secret| secret.annotation(STATE)) {
            None => Ok(fresh()),
            Some(text) => serde_json::from_str(text).map_err(|error| format!("annotation {STATE}: {error}")),
        }
    }

    /// The login in use.
    #[must_use]
    pub fn login(&self) -> Login {
        Login::of(&self.login)
    }

    /// What to do, given what the user asks for and in which half each Secret with logins was renewed last. `settled`: everything
    /// runs as this state wants it, and nothing of the state before runs any more.
    #[must_use]
    pub fn next(&self, asked: Option<&str>, secrets: &[(&str, u32)], settled: bool) -> Next {
        let number = self.rotations + 1;
        let late = || -> Vec<String> {
            secrets.iter().filter(|(_, renewed)| *renewed < number).map(|(name, _)| (*name).to_owned()).collect()
        };
        let other = self.login().other();
        let note = |half, login: Login, rotations| {
            Next::Note(Self { asked: self.asked.clone(), login: login.letter().to_owned(), rotations, half })
        };
        match self.half {
            Half::Rest if asked.is_some() && asked != self.asked.as_deref() => {
                Next::Note(Self { asked: asked.map(str::to_owned), half: Half::RenewIdle, ..self.clone() })
            }
            Half::RenewIdle | Half::RenewOld => match (late(), self.half) {
                (late, _) if !late.is_empty() => Next::Renew { secrets: late, login: other, number },
                (_, Half::RenewIdle) => note(Half::Announce, self.login(), number),
                _ => note(Half::Finish, self.login(), number),
            },
            Half::Announce if settled => note(Half::ChangeOver, other, self.rotations),
            Half::ChangeOver if settled => note(Half::RenewOld, self.login(), self.rotations),
            Half::Finish if settled => note(Half::Rest, self.login(), self.rotations),
            Half::Rest | Half::Announce | Half::ChangeOver | Half::Finish => Next::Rest,
        }
    }
}

/// In which half a Secret was renewed last.
#[must_use]
pub fn renewed(world: &World, name: &str) -> u32 {
    world.secret(name).and_then(|secret| secret.annotation(RENEWED)?.parse().ok()).unwrap_or(0)
}

/// Where the state of a rotation stands.
#[must_use]
pub fn state_secret<'a>(world: &'a World, names: &klatch_desired::Names) -> Option<&'a OwnSecret> {
    world.secret(&klatch_desired::rotation_secret(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Until nothing is left to do; everything that happened, in words.
    fn run(mut state: Rotation, asked: Option<&str>, renewed: &mut [(&str, u32)]) -> (Rotation, Vec<String>) {
        let mut story = Vec::new();
        loop {
            match state.next(asked, renewed, true) {
                Next::Rest => return (state, story),
                Next::Note(new) => {
                    story.push(format!("{:?} {}", new.half, new.login));
                    state = new;
                }
                Next::Renew { secrets, login, number } => {
                    story.push(format!("renew {} of {login:?}", secrets.join(" ")));
                    let named = renewed.iter_mut().filter(|(name, _)| secrets.iter().any(|one| one == name));
                    named.for_each(|(_, last)| *last = number);
                }
            }
        }
    }

    #[test]
    fn each_value_asks_for_two_halves_once() {
        let mut secrets = [("databases", 0), ("brokers", 0)];
        let first = Rotation::read(None).unwrap();
        assert_eq!(first.next(None, &secrets, true), Next::Rest);
        let (second, story) = run(first, Some("1"), &mut secrets);
        assert_eq!(
            story,
            [
                "RenewIdle a",
                "renew databases brokers of B",
                "Announce a",
                "ChangeOver b",
                "RenewOld b",
                "renew databases brokers of A",
                "Finish b",
                "Rest b",
            ]
        );
        assert_eq!((second.rotations, second.login()), (2, Login::B));
        assert_eq!(second.next(Some("1"), &secrets, true), Next::Rest, "it was asked for once");
        let (third, _) = run(second, Some("2"), &mut secrets);
        assert_eq!((third.rotations, third.login(), secrets), (4, Login::A, [("databases", 4), ("brokers", 4)]));
    }

    #[test]
    fn what_was_renewed_is_not_renewed_again_and_nothing_goes_on_before_all_has_changed_over() {
        let half = Rotation { half: Half::RenewIdle, login: "a".to_owned(), ..Rotation::default() };
        let next = half.next(None, &[("databases", 1), ("brokers", 0)], false);
        assert_eq!(next, Next::Renew { secrets: vec!["brokers".to_owned()], login: Login::B, number: 1 });
        for half in [Half::Announce, Half::ChangeOver, Half::Finish] {
            let waiting = Rotation { half, login: "b".to_owned(), rotations: 1, asked: None };
            assert_eq!(waiting.next(Some("later"), &[("brokers", 1)], false), Next::Rest);
        }
    }
}
