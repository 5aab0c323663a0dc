//! `hello`: whose connection this is.

use klatch_identity::TokenError;
use klatch_protocol::{Hello, close};

use super::Client;
use crate::{connection::Identity, sweep::first_ping_ms};

impl Client {
    /// `welcome` follows when presence knows of the user. What the client sends until then is handled all the same.
    pub(super) fn on_hello(&mut self, hello: &Hello) {
        let principal = match self.core.keys.verify(&hello.token, self.core.now()) {
            Ok(principal) => principal,
            Err(TokenError::Expired) => return self.close(close::TOKEN_EXPIRED, "the access token has expired"),
            Err(TokenError::Invalid(_)) => return self.close(close::TOKEN_EXPIRED, "not a valid access token"),
        };
        let limits = &self.core.settings.limits;
        let most = if limits.enabled { limits.connections_per_user } else { usize::MAX };
        let Ok(user) = self.core.registry.join(principal.user, &self.connection, most) else {
            return self.close(close::TOO_MANY, "too many connections of this user");
        };
        let first_ping =
            first_ping_ms(self.connection.id, self.core.instruments.timer.millis(), self.core.settings.heartbeat_ms);
        let identity = Identity { user, session: principal.session };
        self.connection.greet(identity, principal.expires_at.as_millis(), first_ping);
        // Only now: a revocation either finds the connection, or is found here.
        if self.core.revoked.contains(principal.session) {
            return self.close(close::SESSION_REVOKED, "the session was revoked");
        }
        self.core.registrar.arrived(&self.connection);
    }
}
