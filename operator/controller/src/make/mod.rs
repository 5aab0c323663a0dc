//! What is in the Secrets that the operator makes. It is made here, sent, and forgotten.

mod certificate;
mod parsed;

use std::collections::BTreeMap;

pub(crate) use certificate::{Made, certificate};
use jiff::Span;
use k8s_openapi::ByteString;
use klatch_desired::{Content, SecretShape};
use klatch_domain::Timestamp;
use klatch_service_kit::Clock;
pub(crate) use parsed::{Parsed, each, parse};

use crate::plan::renewal::LIFE_DAYS;

/// Bytes of a password: as strong as any key.
const PASSWORD_BYTES: usize = 32;

/// Keys of a Secret with a certificate: its own key, itself, and whom to believe.
pub(crate) const KEY: &str = "tls.key";
/// See [`KEY`].
pub(crate) const CERTIFICATE: &str = "tls.crt";
/// See [`KEY`].
pub(crate) const AUTHORITIES: &str = "ca.crt";

/// Why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// Passwords.
    #[error("the system gives no random numbers")]
    Random,
    /// A certificate.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A signing key.
    #[error("cannot make a signing key: {0}")]
    Key(#[from] klatch_identity::KeyError),
}

/// The data of a Secret of this shape. Services are reached by their names in this namespace.
///
/// # Errors
/// [`MakeError`].
pub fn contents(shape: &SecretShape, namespace: &str) -> Result<BTreeMap<String, ByteString>, MakeError> {
    let mut data = BTreeMap::new();
    for (key, content) in &shape.keys {
        match content {
            Content::Password => {
                data.insert(key.clone(), new_password()?);
            }
            Content::Certificate(services) => {
                let made = internal(services, namespace)?;
                let file = |name: &str, text: String| (name.to_owned(), ByteString(text.into_bytes()));
                data.extend([
                    file(KEY, made.key),
                    file(CERTIFICATE, made.certificate),
                    file(AUTHORITIES, made.authority),
                ]);
            }
            Content::SigningKeys => {
                let (file, key) = klatch_identity::new_key_file(now())?;
                data.insert(file, ByteString(key));
            }
        }
    }
    Ok(data)
}

/// A certificate of services of a namespace.
///
/// # Errors
/// [`MakeError`].
pub(crate) fn internal(services: &[String], namespace: &str) -> Result<Made, MakeError> {
    let of =
        |service: &String| [service.clone(), format!("{service}.{namespace}"), format!("{service}.{namespace}.svc")];
    let names: Vec<_> = services.iter().flat_map(of).collect();
    certificate(&names, Span::new().days(LIFE_DAYS))
}

/// A new password, for a Secret that is there.
///
/// # Errors
/// [`MakeError::Random`].
pub(crate) fn new_password() -> Result<ByteString, MakeError> {
    Ok(ByteString(password()?.into_bytes()))
}

/// 32 random bytes in hexadecimal digits.
fn password() -> Result<String, MakeError> {
    let mut bytes = [0_u8; PASSWORD_BYTES];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| MakeError::Random)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What the clock says.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_millis(Clock::system().millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(key: &str, content: Content) -> SecretShape {
        SecretShape {
            name: "chat-x".to_owned(),
            keys: [(key.to_owned(), content)].into(),
            retained: true,
            logins: false,
        }
    }

    #[test]
    fn passwords_differ_and_are_long() {
        let one = contents(&shape("admin", Content::Password), "talk").unwrap();
        let other = contents(&shape("admin", Content::Password), "talk").unwrap();
        assert_eq!(one["admin"].0.len(), 64);
        assert_ne!(one["admin"], other["admin"]);
    }

    #[test]
    fn signing_keys_are_read_by_who_signs() {
        let folder = std::env::temp_dir().join(format!("klatch-keys-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, key) in contents(&shape("signing", Content::SigningKeys), "talk").unwrap() {
            assert!(file.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)), "{file}");
            std::fs::write(folder.join(file), key.0).unwrap();
        }
        let opened = klatch_identity::Keys::open_existing(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(opened.is_ok(), "{opened:?}");
    }
}
