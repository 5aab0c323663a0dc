//! Which passwords are taken: NIST SP 800-63B section 5.1.1.2: a length, no composition rules, none that everybody tries.

use klatch_domain::{Code, Refusal, Username};

/// Fewest characters of a password.
pub const PASSWORD_CHARS: usize = 8;
/// Most bytes of a password: sentences fit, and hashing it costs no more than hashing a short one.
pub const PASSWORD_BYTES: usize = 1_024;

/// What is tried first against every account, in lower case, eight characters and more. (Public rankings of leaked
/// passwords agree on these; a list of millions would be a service of its own.)
const COMMONEST: &[&str] = &[
    "0123456789",
    "00000000",
    "11111111",
    "111111111",
    "1111111111",
    "11223344",
    "1122334455",
    "12121212",
    "12123434",
    "123123123",
    "12341234",
    "1234554321",
    "12344321",
    "12345678",
    "123456789",
    "1234567890",
    "12345678910",
    "1234567a",
    "123456789a",
    "12345qwert",
    "123qwe123",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "1qazxsw2",
    "22222222",
    "55555555",
    "66666666",
    "77777777",
    "87654321",
    "88888888",
    "987654321",
    "9876543210",
    "99999999",
    "a1234567",
    "a12345678",
    "a123456789",
    "aa123456",
    "aaaaaaaa",
    "abc12345",
    "abcd1234",
    "abcdefgh",
    "adminadmin",
    "administrator",
    "asdasdasd",
    "asdfasdf",
    "asdfghjkl",
    "asdf1234",
    "baseball",
    "basketball",
    "butterfly",
    "changeme",
    "charlie1",
    "chocolate",
    "computer",
    "corvette",
    "dragon123",
    "facebook",
    "football",
    "football1",
    "iloveyou",
    "iloveyou1",
    "internet",
    "jennifer",
    "jordan23",
    "letmein1",
    "letmeinn",
    "liverpool",
    "master123",
    "michael1",
    "michelle",
    "mercedes",
    "p@ssw0rd",
    "p@ssword",
    "pa$$w0rd",
    "passw0rd",
    "password",
    "password!",
    "password.",
    "password1",
    "password12",
    "password123",
    "password1234",
    "pokemon1",
    "princess",
    "princess1",
    "q1w2e3r4",
    "q1w2e3r4t5",
    "qazwsxedc",
    "qqqqqqqq",
    "qwer1234",
    "qwerty12",
    "qwerty123",
    "qwerty1234",
    "qwertyui",
    "qwertyuiop",
    "samantha",
    "starwars",
    "sunshine",
    "sunshine1",
    "superman",
    "superman1",
    "test1234",
    "testtest",
    "trustno1",
    "welcome1",
    "welcome123",
    "whatever",
    "woaini1314",
    "xxxxxxxx",
    "zaq12wsx",
    "zxcvbnm1",
    "zxcvbnm123",
];

/// Whether a new password is taken for this user.
///
/// # Errors
/// `weak_password` with what to do instead.
pub fn check_password(password: &str, username: &Username) -> Result<(), Refusal> {
    let weak = |detail: &'static str| Err(Refusal::new(Code::WeakPassword, detail));
    if password.len() > PASSWORD_BYTES {
        return weak("a password has at most 1,024 bytes");
    }
    if password.chars().count() < PASSWORD_CHARS {
        return weak("a password has at least 8 characters");
    }
    let lower = password.to_lowercase();
    if lower == username.as_str() {
        return weak("the username is no password");
    }
    if COMMONEST.contains(&lower.as_str()) {
        return weak("this password is among the first that are tried; choose another");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_long_common_and_own_names_are_weak() {
        let username = Username::parse("ada.lovelace").unwrap();
        for bad in ["", "1234567", "Password1", "ADA.lovelace", &"x".repeat(PASSWORD_BYTES + 1), "ööööööö"] {
            assert_eq!(check_password(bad, &username).unwrap_err().code, Code::WeakPassword, "{bad:.40}");
        }
        for good in ["correct horse", "öööööööö", &"x".repeat(PASSWORD_BYTES), "ada.lovelace1"] {
            check_password(good, &username).unwrap();
        }
        assert!(COMMONEST.iter().all(|word| word.len() >= PASSWORD_CHARS && *word == word.to_lowercase()));
    }
}
