//! What the benchmarks measure. Nothing else of the router is for others to use.

use std::sync::Arc;

use client::follow::Followed;
use http::HeaderValue;
use tokio::time::Instant;
use topology::spec::edge::identity::{Algorithm, Issuer, Keys};
use topology::{Slot, Snapshot};

use crate::decide::aim::Aim;
use crate::identity::Identities;
use crate::table::{Table, Whose};

/// Checks tokens of one issuer.
pub struct Tokens(Identities);

impl Tokens {
    /// Trusts the issuer `bench`, whose tokens are for `bench`, with the key in `text`: a public one
    /// in PEM, or a secret.
    pub fn trusting(algorithm: Algorithm, text: &str) -> anyhow::Result<Self> {
        let spec = Issuer {
            name: "bench".to_owned(),
            audience: "bench".to_owned(),
            algorithms: vec![algorithm],
            keys: Keys::Pem(Vec::new()),
            leeway: std::time::Duration::ZERO,
        };
        Ok(Self(Identities::of_one(&spec, text)?))
    }

    /// Returns whether a token is good at `now`, in seconds since 1970.
    pub fn are_good(&self, token: &str, now: u64) -> bool {
        self.0.check(token, now).is_ok()
    }

    /// Forgets what has been checked.
    pub fn forget(&self) {
        self.0.forget();
    }
}

/// Finds cells.
pub struct Routes(Table);

impl Default for Routes {
    fn default() -> Self {
        Self(Table::new(None))
    }
}

impl Routes {
    /// Swaps the table for another.
    pub fn apply(&self, snapshot: Arc<Snapshot>) {
        self.0.apply(&Followed { snapshot, stale: false, rolled_back: None }, Instant::now());
    }

    /// Finds a slot's cell as a request does, and returns the epoch it is served under.
    pub fn find(&self, slot: Slot) -> Option<u64> {
        let applied = self.0.current()?;
        let user = HeaderValue::from_static("ada");
        let (target, _) = applied.find(Whose { aim: &Aim::Own(slot), user: &user })?;
        target.has_site.then_some(target.epoch.0)
    }
}
