//! What the controller saw, and `klatch plan` assumes.

/// Which of a workload's two logins is in use. A rotation makes the other one new, then changes over, then makes this one new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Login {
    /// The first, with which a cluster begins.
    #[default]
    A,
    /// The second.
    B,
}

impl Login {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// From its letter; what is none is the first.
    #[must_use]
    pub fn of(letter: &str) -> Self {
        if letter == Self::B.letter() { Self::B } else { Self::A }
    }

    /// As names end with it.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// What is so in the cluster, as far as what is to be depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// Made once for a ChatCluster, kept on its volumes and credentials: data of another one is never taken for ours.
    pub cluster_id: String,
    /// Which logins are in use.
    pub login: Login,
    /// How often logins were made new: databases are told of each by a Job of its own.
    pub rotations: u32,
    /// Whether the cluster knows HTTPRoutes.
    pub http_routes: bool,
}

impl Observed {
    /// By which superuser the Job of this half signs in: the one of the login that is in use when the half begins. Each login is in use for the
    /// end of one rotation and the beginning of the next, so it stays the same while workloads change over, and no other Job is made then.
    #[must_use]
    pub(crate) const fn superuser(&self) -> Login {
        if (self.rotations / 2).is_multiple_of(2) { Login::A } else { Login::B }
    }

    /// What a manifest is planned with while there is no cluster to look at.
    #[must_use]
    pub fn offline() -> Self {
        Self { cluster_id: "made-once".to_owned(), login: Login::A, rotations: 0, http_routes: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_signs_in_by_who_is_not_being_made_new() {
        // The login in use when a half's passwords are made, half by half: it is the other one that gets them.
        let in_use = [Login::A, Login::B, Login::B, Login::A, Login::A, Login::B];
        for (number, login) in (1..).zip(in_use) {
            let observed = Observed { rotations: number, ..Observed::offline() };
            assert_eq!(observed.superuser(), login, "half {number}");
        }
        assert_eq!(Observed::offline().superuser(), Login::A, "before any");
    }
}
