//! A server: can it be reached, is it ready, does a WebSocket get through what stands before it?

use std::time::Duration;

use klatch_client_sdk::Roots;
use reqwest::{Client, StatusCode, header};
use tokio_tungstenite::{Connector, connect_async_tls_with_config, tungstenite::client::IntoClientRequest};

use super::finding::Finding;

/// How long one question may take; a proxy that has lost its server answers within that.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Clocks further apart than this make fresh tokens look expired soon.
const SKEW_SECONDS: i64 = 60;

/// Looks as the other commands would: `roots` are believed beside the system's authorities.
pub(super) async fn look(url: &str, roots: &Roots) -> Vec<Finding> {
    let url = url.trim_end_matches('/');
    let tls = match roots.config() {
        Ok(tls) => tls,
        Err(error) => return vec![Finding::fail("authorities", error.to_string(), "mend this system's certificates")],
    };
    let client = match Client::builder().tls_backend_preconfigured((*tls).clone()).timeout(TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => return vec![Finding::fail("server", format!("no HTTP client: {error}"), "report this")],
    };
    let (alive, clock) = health(&client, url).await;
    if alive.state == super::State::Fail {
        return vec![alive];
    }
    let mut findings = vec![alive];
    findings.extend(clock);
    findings.push(ready(&client, url).await);
    findings.push(socket(url, Connector::Rustls(tls)).await);
    findings
}

async fn health(client: &Client, url: &str) -> (Finding, Option<Finding>) {
    let answer = match client.get(format!("{url}/healthz")).send().await {
        Ok(answer) => answer,
        Err(error) => {
            let detail = format!("{url} cannot be reached: {}", crate::chat::reason(&error));
            return (Finding::fail("server", detail, "is the address right, and does 'klatch up' run there?"), None);
        }
    };
    let clock = answer.headers().get(header::DATE).and_then(|date| skew(date.to_str().ok()?));
    if answer.status() != StatusCode::OK {
        let detail = format!("{url}/healthz answers {}", answer.status());
        return (Finding::fail("server", detail, "is this a Klatch server, or a proxy that has lost it?"), clock);
    }
    (Finding::ok("server", format!("{url} answers")), clock)
}

/// The `Date` header (RFC 9110 section 6.6.1) against this machine's clock.
fn skew(date: &str) -> Option<Finding> {
    let theirs = date_seconds(date)?;
    let ours =
        i64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs()).ok()?;
    let apart = ours - theirs;
    Some(if apart.abs() > SKEW_SECONDS {
        Finding::warn(
            "server_clock",
            format!("this machine's clock and the server's are {} s apart", apart.abs()),
            "set the wrong one: tokens look expired, or not yet valid",
        )
    } else {
        Finding::ok("server_clock", format!("within {SKEW_SECONDS} s of this machine's"))
    })
}

/// Seconds since 1970 of an IMF-fixdate (`Sun, 06 Nov 1994 08:49:37 GMT`).
fn date_seconds(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.split_once(", ")?.1.split(' ');
    let day: u32 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? + 1;
    let year: u32 = words.next()?.parse().ok()?;
    let time = words.next()?;
    let text = format!("{year:04}-{month:02}-{day:02}T{time}.000Z");
    text.parse::<klatch_domain::Timestamp>().ok().map(|time| time.as_millis() / 1_000)
}

async fn ready(client: &Client, url: &str) -> Finding {
    match client.get(format!("{url}/readyz")).send().await {
        Ok(answer) if answer.status() == StatusCode::OK => Finding::ok("ready", "the server takes messages"),
        Ok(answer) => {
            let status = answer.status();
            let why = answer.text().await.unwrap_or_default();
            let why: String = why.chars().take(200).collect();
            Finding::fail(
                "ready",
                format!("the server is not ready ({status}): {}", why.trim()),
                "it is starting, draining or short of something: look at its log",
            )
        }
        Err(error) => {
            Finding::fail("ready", format!("no answer: {}", crate::chat::reason(&error)), "look at the server's log")
        }
    }
}

/// Proxies that do not pass WebSockets are the commonest fault of an installation.
async fn socket(url: &str, connector: Connector) -> Finding {
    let target = format!("{}/v1/connect", url.replacen("http", "ws", 1));
    let request = target.into_client_request().map(|mut request| {
        request
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, header::HeaderValue::from_static(klatch_protocol::SUBPROTOCOL));
        request
    });
    let advice = "let the proxy pass WebSockets (Upgrade and Connection headers) to /v1/connect";
    let request = match request {
        Ok(request) => request,
        Err(error) => return Finding::fail("websocket", error.to_string(), "give --server as http://HOST:PORT"),
    };
    let opening = connect_async_tls_with_config(request, None, true, Some(connector));
    match tokio::time::timeout(TIMEOUT, opening).await {
        Ok(Ok(_)) => Finding::ok("websocket", "/v1/connect takes connections"),
        Ok(Err(error)) => Finding::fail("websocket", format!("/v1/connect: {error}"), advice),
        Err(_) => Finding::fail("websocket", format!("/v1/connect: no answer in {} s", TIMEOUT.as_secs()), advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_date_of_rfc_9110() {
        assert_eq!(date_seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(date_seconds("yesterday"), None);
    }
}
