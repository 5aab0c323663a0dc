//! Where browsers load the web client's hashed files from when it is not this server.

use axum::http::Uri;

use crate::failure::Failure;

/// An address that can stand in a page, in a script and in a content policy: it has no character that means something there.
#[derive(Debug)]
pub(crate) struct AssetsBase {
    /// `https://HOST/PATH/assets/`
    folder: String,
}

impl AssetsBase {
    /// Reads `https://HOST[:PORT]/PATH/`.
    ///
    /// # Errors
    /// When it is no such address, in words for an owner.
    pub(crate) fn parse(address: &str) -> anyhow::Result<Self> {
        let plain = address.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/.-_~%".contains(&byte));
        let uri = address.parse::<Uri>().ok().filter(|uri| {
            plain
                && matches!(uri.scheme_str(), Some("https" | "http"))
                && uri.host().is_some_and(|host| !host.is_empty())
        });
        if uri.is_none() || !address.ends_with('/') {
            let wrong =
                format!("web.assetsBaseURL is an address like https://cdn.example.org/klatch/, and {address:?} is not");
            return Err(Failure::local(wrong).into());
        }
        Ok(Self { folder: format!("{address}assets/") })
    }

    /// The folder of the hashed files, with a slash at its end: as a source of a content policy it stands for what is in it.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_address_of_a_folder_is_taken() {
        assert_eq!(
            AssetsBase::parse("https://cdn.example.org:8443/a/").unwrap().folder(),
            "https://cdn.example.org:8443/a/assets/"
        );
        for address in [
            "",
            "/",
            "cdn.example.org/",
            "//cdn.example.org/",
            "https://cdn.example.org",
            "https:///a/",
            "ftp://cdn.example.org/",
            "https://cdn.example.org/?a/",
            "https://user@cdn.example.org/",
            "https://cdn.example.org/;script-src */",
            "https://cdn.example.org/\"/",
            "https://cdn.example.org/a b/",
        ] {
            assert!(AssetsBase::parse(address).is_err(), "{address}");
        }
    }
}
