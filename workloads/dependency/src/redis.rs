//! `klatch dependency redis`

use std::{convert::Infallible, fmt::Write as _, os::unix::process::CommandExt, process::Command};

use klatch_settings::RedisDependency;
use sha2::{Digest, Sha256};

use crate::{DependencyError, files, find};

/// What Klatch does there, and nothing that an administrator does
/// (<https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/#command-categories>). `ROLE` and `INFO` count as
/// dangerous, and only tell.
const COMMANDS: &str = "-@all +@read +@write +@pubsub +@scripting +@connection +@transaction +time -@dangerous +role +info +cluster|info +cluster|slots";

/// Becomes Redis.
///
/// # Errors
/// Why it cannot be started.
pub fn run(settings: &RedisDependency) -> Result<Infallible, DependencyError> {
    let program = find::redis()?;
    files::own_folder(&settings.run)?;
    let passwords = settings.password_files.iter().map(|file| files::password(file)).collect::<Result<Vec<_>, _>>()?;
    let (users, configuration) = (settings.run.join("users.acl"), settings.run.join("redis.conf"));
    files::write_own(&users, &access_list(&settings.user, &settings.prefix, &passwords))?;
    let said = files::read(&settings.configuration_file)?;
    let run = settings.run.display();
    files::write_own(&configuration, &format!("{said}\ndir {run}\naclfile {}\n", users.display()))?;
    // Redis ends on SIGTERM by itself.
    let source = Command::new(&program).arg(&configuration).exec();
    Err(DependencyError::Start { program, source })
}

/// One user who may use the keys and channels of the prefix; nobody comes in without a name. Passwords are kept as digests.
fn access_list(user: &str, prefix: &str, passwords: &[String]) -> String {
    let mut list = format!("user default reset off\nuser {user} reset on");
    for password in passwords {
        list.push_str(" #");
        for byte in Sha256::digest(password.as_bytes()) {
            // Writing to a string cannot fail.
            let _ = write!(list, "{byte:02x}");
        }
    }
    // Keys of one hash slot begin with a brace.
    let _ = writeln!(list, " ~{prefix}:* ~{{{prefix}:* &{prefix}:* &{{{prefix}:* {COMMANDS}");
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_passwords_open_and_neither_is_written_down() {
        let list = access_list("klatch", "klatch", &["abc".to_owned(), "def".to_owned()]);
        // FIPS 180-2, appendix B.1: the digest of "abc".
        assert!(list.contains("#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "{list}");
        assert_eq!(list.matches(" #").count(), 2);
        assert!(list.starts_with("user default reset off\n") && !list.contains("abc"), "{list}");
    }
}
