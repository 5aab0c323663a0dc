//! Who asks, as the apiserver tells it.

use std::collections::BTreeMap;

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::trust::Trust;

/// Members of this group may do everything, whatever roles say: the apiserver itself asks no role for them
/// (<https://kubernetes.io/docs/reference/access-authn-authz/rbac/#user-facing-roles>).
const MASTERS: &str = "system:masters";
/// Everybody whom the apiserver knows is in it.
const AUTHENTICATED: &str = "system:authenticated";
/// A name of nobody.
const ANONYMOUS: &str = "system:anonymous";

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller {
    /// Their name.
    pub user: String,
    /// Their identity, where there is one.
    pub uid: Option<String>,
    /// Their groups.
    pub groups: Vec<String>,
    /// More about them.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Caller {
    /// From the headers of a request whose certificate is trusted. `None`: it names nobody.
    #[must_use]
    pub fn read(trust: &Trust, headers: &HeaderMap) -> Option<Self> {
        let all = |names: &[String]| -> Vec<String> {
            let values = names.iter().flat_map(|name| headers.get_all(name.as_str()));
            values.filter_map(|value| value.to_str().ok()).filter(|text| !text.is_empty()).map(str::to_owned).collect()
        };
        let user = all(&trust.user_headers).into_iter().next()?;
        let mut groups = all(&trust.group_headers);
        if user != ANONYMOUS && !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in headers {
            let key = trust.extra_prefixes.iter().find_map(|prefix| name.as_str().strip_prefix(prefix.as_str()));
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                // A header's name may hold no slash.
                extra
                    .entry(percent_decode_str(key).decode_utf8_lossy().into_owned())
                    .or_default()
                    .push(value.to_owned());
            }
        }
        Some(Self { user, uid: all(&trust.uid_headers).into_iter().next(), groups, extra })
    }

    /// Whether nobody need be asked.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust() -> Trust {
        Trust {
            authority: String::new(),
            names: Vec::new(),
            user_headers: vec!["x-remote-user".to_owned()],
            uid_headers: vec!["x-remote-uid".to_owned()],
            group_headers: vec!["x-remote-group".to_owned()],
            extra_prefixes: vec!["x-remote-extra-".to_owned()],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn everything_about_the_caller_is_read() {
        let headers = headers(&[
            ("x-remote-user", "ann"),
            ("x-remote-uid", "7"),
            ("x-remote-group", "staff"),
            ("x-remote-group", "chat"),
            ("x-remote-extra-example.org%2fscopes", "read"),
        ]);
        let caller = Caller::read(&trust(), &headers).unwrap();
        assert_eq!((caller.user.as_str(), caller.uid.as_deref()), ("ann", Some("7")));
        assert_eq!(caller.groups, ["staff", "chat", AUTHENTICATED]);
        assert_eq!(caller.extra["example.org/scopes"], ["read"]);
        assert!(!caller.is_master());
    }

    #[test]
    fn nobody_is_nobody() {
        assert_eq!(Caller::read(&trust(), &headers(&[("x-remote-group", MASTERS)])), None);
        let anonymous = Caller::read(&trust(), &headers(&[("x-remote-user", ANONYMOUS)])).unwrap();
        assert!(anonymous.groups.is_empty());
    }
}
