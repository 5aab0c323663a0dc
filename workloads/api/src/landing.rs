//! What a browser finds at `/`: what runs here and how to begin.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, header};
use klatch_identity::rotation::JWKS_CACHED;
use klatch_settings::{ApiSettings, DEFAULT_LISTEN, SignUp};
use sha2::{Digest, Sha256};

use crate::{problem::Failure, shared::Shared};

const PAGE: &str = include_str!("landing.html");
const STYLE: &str = include_str!("landing.css");
const OPEN: &str = r#"<h2>Sign up</h2>
<pre><code>curl {SERVER}/v1/users --json '{"username": "ada", "password": "a long sentence"}'</code></pre>"#;
const CLOSED: &str = r"<h2>Sign up</h2>
<p>Sign-up is closed here. Ask the owner of this server for an account; they make one with:</p>
<pre><code>klatch user add ada</code></pre>";

/// The page, but for the server's address.
pub(crate) struct Landing {
    page: String,
    policy: String,
    public_url: Option<String>,
}

impl Landing {
    pub(crate) fn new(settings: &ApiSettings) -> Self {
        let sign_up = if settings.sign_up == SignUp::Open { OPEN } else { CLOSED };
        let page = PAGE
            .replace("{STYLE}", STYLE)
            .replace("{VERSION}", env!("CARGO_PKG_VERSION"))
            .replace("{SIGN_UP}", sign_up);
        // The page's own style is allowed by its hash (CSP level 3 section 2.3.1), and nothing else at all.
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { page, policy, public_url: settings.public_url.clone() }
    }

    fn render(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(|host| is_plain(host));
        let by_host = || format!("http://{}", host.unwrap_or(DEFAULT_LISTEN));
        let server = self.public_url.clone().filter(|url| is_plain(url)).unwrap_or_else(by_host);
        self.page.replace("{SERVER}", server.trim_end_matches('/'))
    }
}

/// Whether a caller's text may stand in a page as it is: nothing in it means anything to HTML or a shell.
fn is_plain(text: &str) -> bool {
    text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]/".contains(&byte))
}

/// `GET /`
pub(crate) async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, Failure> {
    let policy = HeaderValue::from_str(&shared.landing.policy).map_err(|error| Failure::internal(error.to_string()))?;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let headers_out = [(header::CONTENT_TYPE, html), (header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers_out, shared.landing.render(&headers)).into_response())
}

/// The keys access tokens are signed with (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "server", responses((status = 200, body = Object)))]
pub(crate) async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    // Keys are published a day before they sign: a verifier elsewhere that keeps the set for so long knows them in time.
    let cached = format!("max-age={}", JWKS_CACHED.as_secs());
    ([(header::CACHE_CONTROL, cached)], Json(shared.keys.jwks())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(settings: &ApiSettings, host: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        Landing::new(settings).render(&headers)
    }

    #[test]
    fn the_page_is_whole_and_takes_nothing_over_from_a_caller() {
        let open = rendered(&ApiSettings::default(), "chat.example.org:8480");
        assert!(open.contains("http://chat.example.org:8480/v1/users") && !open.contains("<script"));
        for placeholder in ["{STYLE}", "{VERSION}", "{SIGN_UP}", "{SERVER}"] {
            assert!(!open.contains(placeholder), "{placeholder}");
        }
        assert!(rendered(&ApiSettings::default(), "\"><script>").contains(DEFAULT_LISTEN));
        let closed = ApiSettings { sign_up: SignUp::Closed, ..ApiSettings::default() };
        assert!(rendered(&closed, "x").contains("Sign-up is closed"));
    }
}
