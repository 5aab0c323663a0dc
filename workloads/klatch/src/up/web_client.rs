//! The web client: the files that its build made, kept in memory, so that a request can name nothing else of this machine.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, bail};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    middleware::Next,
};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// Bytes of all files together: ours has some 2 MiB with both compressed forms. More is the wrong folder.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Names of files under here hold a hash of their content: they never change (RFC 8246).
const HASHED: &str = "/assets/";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Asked again each time, answered 304 while nothing changed.
const ASK_AGAIN: &str = "no-cache";
/// Only files of this origin, no inline script or style, no strings as code (CSP level 3, Trusted Types). `default` is the
/// policy that lets the one service worker in.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
connect-src 'self'; manifest-src 'self'; worker-src 'self'; font-src 'self'; base-uri 'none'; form-action 'self'; \
frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types default 'allow-duplicates'";

/// Files by path.
pub(crate) struct WebClient {
    files: HashMap<String, File>,
}

struct File {
    media_type: &'static str,
    cache: &'static str,
    tag: HeaderValue,
    plain: Bytes,
    brotli: Option<Bytes>,
    gzip: Option<Bytes>,
}

impl WebClient {
    /// Reads the folder that `npm run build` made.
    ///
    /// # Errors
    /// When it is none, in words for an owner.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Arc<Self>> {
        if !folder.join("index.html").is_file() {
            return Err(Failure::local(format!(
                "{} holds no web client (no index.html); build it with 'make web', or leave --web out",
                folder.display()
            ))
            .into());
        }
        let mut found = Found { bytes: 0, files: HashMap::new() };
        found.walk(folder, "")?;
        let mut files = HashMap::with_capacity(found.files.len());
        for (path, plain) in &found.files {
            let Some(media_type) = media_type(path) else { continue };
            let compressed = |ending: &str| found.files.get(&format!("{path}{ending}")).cloned();
            let tag = HeaderValue::from_str(&format!("\"{}\"", hex(&Sha256::digest(plain)[..16])))?;
            let cache = if path.starts_with(HASHED) { FOR_EVER } else { ASK_AGAIN };
            let file = File {
                media_type,
                cache,
                tag,
                plain: plain.clone(),
                brotli: compressed(".br"),
                gzip: compressed(".gz"),
            };
            files.insert(path.clone(), file);
        }
        Ok(Arc::new(Self { files }))
    }

    fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Response<Body>> {
        // The service worker asks for the page by its name.
        let file = self.files.get(if path == "/" { "/index.html" } else { path })?;
        let (bytes, encoding) = file.best(headers);
        let unchanged = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == file.tag);
        let mut response = Response::new(if unchanged { Body::empty() } else { Body::from(bytes.clone()) });
        if unchanged {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let out = response.headers_mut();
        out.insert(header::ETAG, file.tag.clone());
        for (name, value) in [
            (header::CACHE_CONTROL, file.cache),
            (header::CONTENT_TYPE, file.media_type),
            (header::VARY, "accept-encoding"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ] {
            out.insert(name, HeaderValue::from_static(value));
        }
        if let Some(encoding) = encoding {
            out.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Some(response)
    }
}

impl File {
    fn best(&self, headers: &HeaderMap) -> (&Bytes, Option<&'static str>) {
        let takes = |coding: &str| {
            let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).any(|one| {
                let (name, weight) = one.split_once(';').unwrap_or((one, ""));
                let refused = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.trim().parse() == Ok(0.0));
                name.trim().eq_ignore_ascii_case(coding) && !refused
            })
        };
        match (&self.brotli, &self.gzip) {
            (Some(brotli), _) if takes("br") => (brotli, Some("br")),
            (_, Some(gzip)) if takes("gzip") => (gzip, Some("gzip")),
            _ => (&self.plain, None),
        }
    }
}

/// Answers what is the client's; everything else goes on.
pub(crate) async fn serve(State(client): State<Arc<WebClient>>, request: Request, next: Next) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && let Some(response) = client.answer(request.uri().path(), request.headers())
    {
        return response;
    }
    next.run(request).await
}

struct Found {
    bytes: usize,
    files: HashMap<String, Bytes>,
}

impl Found {
    fn walk(&mut self, folder: &Path, prefix: &str) -> anyhow::Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let path: PathBuf = entry.with_context(|| format!("cannot read {}", folder.display()))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let name = format!("{prefix}/{name}");
            if path.is_dir() {
                self.walk(&path, &name)?;
                continue;
            }
            let content = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            self.bytes += content.len();
            if self.bytes > MOST_BYTES {
                bail!("{} holds more than {MOST_BYTES} bytes: this is no web client", folder.display());
            }
            self.files.insert(name, content.into());
        }
        Ok(())
    }
}

/// What a client's build consists of; other files are not served.
fn media_type(path: &str) -> Option<&'static str> {
    let (_, ending) = path.rsplit_once('.')?;
    Some(match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built() -> (tempfile::TempDir, Arc<WebClient>) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("assets")).unwrap();
        for (name, content) in [
            ("index.html", "<!doctype html>"),
            ("assets/main-1a.js", "plain"),
            ("assets/main-1a.js.br", "brotli"),
            ("assets/main-1a.js.gz", "gzip"),
            ("secret.key", "no"),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let client = WebClient::read(folder.path()).unwrap();
        (folder, client)
    }

    fn asking(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn only_what_was_built_is_served() {
        let (_folder, client) = built();
        assert!(client.answer("/index.html", &HeaderMap::new()).is_some());
        let page = client.answer("/", &HeaderMap::new()).unwrap();
        assert_eq!(page.headers()[header::CACHE_CONTROL], ASK_AGAIN);
        assert!(
            page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().contains("require-trusted-types-for")
        );
        for path in ["/secret.key", "/assets/../secret.key", "/assets", "/assets/main-1a.js.br", "/v1/rooms", ""] {
            assert!(client.answer(path, &HeaderMap::new()).is_none(), "{path}");
        }
    }

    #[test]
    fn the_best_coding_a_browser_takes_is_sent() {
        let (_folder, client) = built();
        for (accepts, coding) in
            [("gzip, deflate, br", Some("br")), ("gzip", Some("gzip")), ("br;q=0, gzip", Some("gzip")), ("zstd", None)]
        {
            let response = client.answer("/assets/main-1a.js", &asking(header::ACCEPT_ENCODING, accepts)).unwrap();
            let sent = response.headers().get(header::CONTENT_ENCODING).map(|coding| coding.to_str().unwrap());
            assert_eq!(sent, coding, "{accepts}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], FOR_EVER);
        }
    }

    #[test]
    fn an_unchanged_file_is_not_sent_again() {
        let (_folder, client) = built();
        let first = client.answer("/", &HeaderMap::new()).unwrap();
        let tag = first.headers()[header::ETAG].to_str().unwrap();
        assert_eq!(client.answer("/", &asking(header::IF_NONE_MATCH, tag)).unwrap().status(), StatusCode::NOT_MODIFIED);
        assert_eq!(client.answer("/", &asking(header::IF_NONE_MATCH, "\"x\"")).unwrap().status(), StatusCode::OK);
    }

    #[test]
    fn a_folder_without_a_client_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let refused = WebClient::read(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("make web"), "{refused}");
    }
}
