//! The cookie that keeps a browser's refresh token out of its scripts' reach.

use http::{HeaderMap, HeaderValue, header};
use klatch_domain::limits::REFRESH_TOKEN_LIFETIME;
use klatch_identity::RefreshToken;

use crate::{problem::Failure, shared::Shared};

/// Its name.
const NAME: &str = "klatch_refresh";
/// The one path it is sent to.
const PATH: &str = "/v1/sessions/refresh";

/// The refresh token a browser sent.
pub(crate) fn refresh_token(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned())
}

/// Keeps a refresh token in the browser (RFC 6265): no script reads it, no other site sends it.
pub(crate) fn keep(shared: &Shared, headers: &HeaderMap, token: &RefreshToken) -> Result<HeaderValue, Failure> {
    cookie(shared, headers, &token.reveal(), REFRESH_TOKEN_LIFETIME.as_secs())
}

/// Takes it away again.
pub(crate) fn forget(shared: &Shared, headers: &HeaderMap) -> Result<HeaderValue, Failure> {
    cookie(shared, headers, "", 0)
}

fn cookie(shared: &Shared, headers: &HeaderMap, value: &str, seconds: u64) -> Result<HeaderValue, Failure> {
    let secure = if is_secure(shared.settings.public_url.as_deref(), headers) { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path={PATH}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| Failure::internal("a refresh token that fits no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Always `Secure`, but for a browser on the same machine that speaks http: some keep no secure cookie then.
fn is_secure(public_url: Option<&str>, headers: &HeaderMap) -> bool {
    let by_https = public_url.is_some_and(|url| url.starts_with("https://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let loopback = name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    by_https || !loopback
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_without_secure() {
        let secure = |url, host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_secure(url, &headers)
        };
        for host in ["localhost", "localhost:8480", "127.0.0.1:8480", "[::1]:8480"] {
            assert!(!secure(None, host), "{host}");
            assert!(secure(Some("https://chat.example.org"), host), "{host}");
        }
        for host in ["chat.example.org", "127.0.0.1.example.org", "10.0.0.1:80", "localhost.example.org", ""] {
            assert!(secure(None, host), "{host}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; klatch_refresh_old=x".parse().unwrap());
        assert_eq!(refresh_token(&headers), None);
        headers.append(header::COOKIE, "c=d; klatch_refresh=kr1.x".parse().unwrap());
        assert_eq!(refresh_token(&headers).as_deref(), Some("kr1.x"));
    }
}
