//! One issuer: what its tokens have to say, and the keys that are trusted now.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use topology::spec::edge::identity::{self as spec, Algorithm};

use super::Unidentified;
use super::key_set::KeySet;
use super::person::{Claims, Person, Speaks, Terms};
use super::source::Source;
use super::token::{Head, Token};

pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) terms: Terms,
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) source: Source,
    /// Empty until they were read for the first time.
    keys: ArcSwap<KeySet>,
    /// Told when a token names a key that is not among them.
    pub(crate) missed: Notify,
}

impl Issuer {
    pub(crate) fn new(spec: &spec::Issuer, speaks: Speaks, source: Source) -> Self {
        let terms =
            Terms { audience: spec.audience.clone(), leeway: spec.leeway.as_secs(), speaks };
        Self {
            name: spec.name.clone(),
            terms,
            algorithms: spec.algorithms.clone(),
            source,
            keys: ArcSwap::default(),
            missed: Notify::new(),
        }
    }

    pub(crate) fn keys(&self) -> Arc<KeySet> {
        self.keys.load_full()
    }

    /// Puts keys to use. Returns whether one is gone by that.
    pub(crate) fn trust(&self, keys: KeySet) -> bool {
        let keys = Arc::new(keys);
        let before = self.keys.swap(Arc::clone(&keys));
        keys.lacks_some_of(&before)
    }

    /// Returns whom a token names and until when, if this issuer has signed it.
    pub(crate) fn check(
        &self,
        token: &Token<'_>,
        (head, algorithm): (&Head, Algorithm),
        claims: Claims,
        now: u64,
    ) -> Result<(Person, u64), Unidentified> {
        let keys = self.keys.load();
        if keys.len() == 0 {
            return Err(Unidentified::NoKeysYet);
        }
        let checked = keys.check(token, head, algorithm);
        if checked == Err(Unidentified::Key) {
            self.missed.notify_one();
        }
        checked?;
        claims.judge(&self.terms, now)
    }
}
