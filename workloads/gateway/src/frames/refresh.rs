//! `refresh`: a newer token for the same session.

use klatch_domain::Code;
use klatch_protocol::{Refresh, close};

use super::Client;

impl Client {
    /// A token that is not accepted changes nothing: the connection lives until the old one expires.
    pub(super) fn on_refresh(&mut self, refresh: &Refresh) {
        let core = &self.core;
        if core.settings.limits.enabled
            && core.paces.refreshes.check(&self.refreshes, core.instruments.timer.micros()).is_err()
        {
            return self.error(Code::RateLimited, "tokens come too fast", None);
        }
        let verified = core.keys.verify(&refresh.token, core.now());
        let principal = match verified {
            Ok(principal) => principal,
            Err(error) => return self.error(Code::Unauthenticated, error.to_string(), None),
        };
        if !self.connection.is_of(principal.session) {
            return self.error(Code::Unauthenticated, "the token is of another session", None);
        }
        if self.core.revoked.contains(principal.session) {
            return self.close(close::SESSION_REVOKED, "the session was revoked");
        }
        self.connection.extend(principal.expires_at.as_millis());
    }
}
