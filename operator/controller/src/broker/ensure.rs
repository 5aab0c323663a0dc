//! Puts back what a broker lacks.

use std::{collections::BTreeMap, fmt};

use klatch_desired::{BrokerPlan, Topology};

use super::{Broker, Edit, Request, edits, listing::enter};
use crate::failure::Failure;

/// Who signs in, and whom they believe. Its password never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct BrokerLogin {
    /// The name.
    pub user: String,
    password: String,
    authority: Option<String>,
}

impl BrokerLogin {
    /// With this password.
    #[must_use]
    pub const fn new(user: String, password: String) -> Self {
        Self { user, password, authority: None }
    }

    /// Believes brokers that this authority (PEM) vouches for, and no others.
    #[must_use]
    pub fn believing(self, authority: String) -> Self {
        Self { authority: Some(authority), ..self }
    }

    /// For who sends it.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// For who sends it.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for BrokerLogin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BrokerLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ensured {
    /// Things that were made or put back.
    pub written: usize,
    /// Things with properties that cannot be changed without deleting what is in them.
    pub stuck: Vec<String>,
}

/// Lists every broker, by the first of its logins that it takes, and writes what it lacks. Nothing is ever deleted: queues hold messages.
///
/// # Errors
/// The first broker that cannot be looked after; those before it are done.
pub async fn ensure(
    broker: &dyn Broker,
    topology: &Topology,
    bases: &[String],
    logins: &[Vec<BrokerLogin>],
    passwords: &BTreeMap<String, String>,
) -> Result<Ensured, Failure> {
    let mut ensured = Ensured::default();
    for ((plan, base), logins) in topology.brokers.iter().zip(bases).zip(logins) {
        let (written, stuck) = one(broker, plan, base, logins, passwords).await.map_err(|error| error.failure(base))?;
        ensured.written += written;
        ensured.stuck.extend(stuck);
    }
    Ok(ensured)
}

async fn one(
    broker: &dyn Broker,
    plan: &BrokerPlan,
    base: &str,
    logins: &[BrokerLogin],
    passwords: &BTreeMap<String, String>,
) -> Result<(usize, Vec<String>), super::BrokerError> {
    let (login, there) = enter(broker, plan, base, logins).await?;
    let (edits, stuck) = edits(plan, &login.user, passwords, &there);
    let count = edits.len();
    for Edit { verb, path, body } in edits {
        broker.call(Request { base, verb, path, body: Some(body), login }).await?;
    }
    Ok((count, stuck))
}
