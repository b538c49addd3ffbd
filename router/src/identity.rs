//! Who asks: a bearer token first, then a visitor's cookie; checked without a network.
//!
//! ```text
//! token ─▶ checked before? ─▶ its issuer ─▶ a key of that name, for that algorithm ─▶ signature
//!               │ yes                                                                    │
//!               ▼                                                                        ▼
//!             who asks ◀────────────────────────────────────────── end, audience, user, role
//! ```
//!
//! What a token says is believed only after its signature; before, it says whose key to try. Keys
//! are read in the background, and the last good ones stay.

mod fetch;
mod issuer;
mod key;
mod key_set;
mod person;
mod refresh;
mod source;
mod token;
mod unidentified;
mod verified;
pub(crate) mod visitor;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use http::HeaderMap;
use http::header::{AUTHORIZATION, UPGRADE};
use http::request::Parts;
use topology::spec::edge::identity::{self as spec, Algorithm, Trust, VISITOR_ISSUER};
use tracing::{info, warn};

use crate::decide::origin::Origin;
use issuer::Issuer;
use key_set::KeySet;
use person::{Claims, Speaks};
use source::Source;
use token::Token;
use verified::Verified;
use visitor::Pass;

pub(crate) use person::Person;
pub(crate) use refresh::keep_fresh;
pub(crate) use unidentified::Unidentified;

/// What the development issuer calls itself.
const DEVELOPMENT_ISSUER: &str = "bulkhead-development";
const DEVELOPMENT_AUDIENCE: &str = "bulkhead";
/// How far the clocks of this platform's own machines may be off.
const OWN_LEEWAY: std::time::Duration = std::time::Duration::from_secs(5);

/// Everybody whose tokens count, and what has been checked of them.
#[derive(Default)]
pub(crate) struct Identities {
    issuers: Vec<Issuer>,
    verified: Verified,
}

/// Where keys of this router's own machine are.
pub(crate) struct Places<'a> {
    pub(crate) run_dir: &'a Path,
    /// The development issuer's key.
    pub(crate) development: &'a Path,
    /// Where fetched keys are kept for the next start.
    pub(crate) kept: &'a Path,
}

impl Identities {
    /// Reads all keys that are on this machine; those that are not are fetched later.
    pub(crate) fn open(trust: &Trust, places: &Places<'_>) -> anyhow::Result<Self> {
        let mut issuers = match trust {
            Trust::Development => {
                let spec = own_issuer(DEVELOPMENT_ISSUER, DEVELOPMENT_AUDIENCE);
                let source = Source::Secret(places.development.to_owned());
                vec![Issuer::new(&spec, Speaks::ForUsers, source)]
            }
            Trust::Issuers(issuers) => issuers
                .iter()
                .enumerate()
                .map(|(number, spec)| {
                    let source = Source::of(&spec.keys, places.run_dir, places.kept, number);
                    Issuer::new(spec, Speaks::ForUsers, source)
                })
                .collect(),
        };
        let visitors = places.run_dir.join("secrets").join("visitor.keys");
        if visitors.exists() {
            let spec = own_issuer(VISITOR_ISSUER, visitor::AUDIENCE);
            issuers.push(Issuer::new(&spec, Speaks::ForVisitors, Source::Secret(visitors)));
        } else {
            info!(file = %visitors.display(), "no visitors are admitted: they have no key");
        }
        let identities = Self { issuers, verified: Verified::default() };
        for issuer in &identities.issuers {
            let read = issuer.source.read_here(&issuer.algorithms);
            let read = read.with_context(|| format!("read the keys of issuer {}", issuer.name))?;
            if let Some(keys) = read {
                identities.trust(issuer, keys);
            } else {
                warn!(issuer = issuer.name, "its keys have yet to be fetched");
            }
        }
        Ok(identities)
    }

    /// Trusts one issuer with one key, for the benchmarks.
    pub(crate) fn of_one(spec: &spec::Issuer, text: &str) -> anyhow::Result<Self> {
        let keys = match spec.algorithms[..] {
            [Algorithm::Hs256] => KeySet::secrets(text)?,
            _ => KeySet::pems(&[text.as_bytes().to_vec()], &spec.algorithms)?,
        };
        let issuer = Issuer::new(spec, Speaks::ForUsers, Source::Pem(Vec::new()));
        issuer.trust(keys);
        Ok(Self { issuers: vec![issuer], verified: Verified::default() })
    }

    /// Forgets what has been checked.
    pub(crate) fn forget(&self) {
        self.verified.forget();
    }

    fn issuers(&self) -> &[Issuer] {
        &self.issuers
    }

    /// Returns how many issuers there are: each has its own task to keep its keys fresh.
    pub(crate) fn count(&self) -> usize {
        self.issuers.len()
    }

    /// Puts an issuer's keys to use. What a key has proved that is gone is forgotten.
    fn trust(&self, issuer: &Issuer, keys: KeySet) {
        let count = keys.len();
        if issuer.trust(keys) {
            self.forget();
            info!(issuer = issuer.name, count, "keys changed; one is trusted no more");
        }
    }

    /// Returns who asks, at `now` in seconds since 1970.
    pub(crate) fn identify(&self, head: &Parts, now: u64) -> Result<Arc<Person>, Unidentified> {
        if let Some(token) = bearer(&head.headers)? {
            return self.check(token, now);
        }
        let token = visitor::token(&head.headers).ok_or(Unidentified::Missing)?;
        // A WebSocket begins with a GET, and then says whatever its page wants.
        let only_reads = head.method.is_safe() && !head.headers.contains_key(UPGRADE);
        if !only_reads && Origin::of(head) != Origin::Same {
            return Err(Unidentified::CrossSite);
        }
        self.check(token, now)
    }

    /// Returns whom a token names.
    pub(crate) fn check(&self, text: &str, now: u64) -> Result<Arc<Person>, Unidentified> {
        let token = Token::split(text)?;
        let print = Verified::print(text);
        if let Some(person) = self.verified.find(&print, now) {
            return Ok(person);
        }
        let generation = self.verified.generation();
        let (head, algorithm) = token.head()?;
        let claims: Claims = token.body()?;
        let issuer = self.issuers.iter().find(|issuer| claims.iss == *issuer.name);
        let issuer = issuer.ok_or(Unidentified::Issuer)?;
        let (person, until) = issuer.check(&token, (&head, algorithm), claims, now)?;
        let person = Arc::new(person);
        self.verified.keep(print, Arc::clone(&person), until, generation);
        Ok(person)
    }

    /// Makes a visitor, or gives one who proves to be one more time. None where visitors are not
    /// admitted.
    pub(crate) fn admit_visitor(
        &self,
        head: &Parts,
        now: u64,
    ) -> Result<Option<Pass>, Unidentified> {
        let Some(issuer) = self.issuers.iter().find(|issuer| issuer.name == VISITOR_ISSUER) else {
            return Ok(None);
        };
        let known = match bearer(&head.headers)? {
            Some(token) => Some(self.check(token, now)?),
            // A cookie that is over is what is to be replaced; another page's request has none.
            None => visitor::token(&head.headers)
                .filter(|_| Origin::of(head) == Origin::Same)
                .and_then(|token| self.check(token, now).ok()),
        };
        let known =
            known.as_ref().and_then(|person| std::str::from_utf8(person.user.as_bytes()).ok());
        let known = known.filter(|user| user.starts_with(visitor::PREFIX));
        Ok(visitor::admit(&issuer.keys(), known, now))
    }
}

fn own_issuer(name: &str, audience: &str) -> spec::Issuer {
    spec::Issuer {
        name: name.to_owned(),
        audience: audience.to_owned(),
        algorithms: vec![Algorithm::Hs256],
        // Not used: the file is in the run directory, wherever that is.
        keys: spec::Keys::Secret(std::path::PathBuf::new()),
        leeway: OWN_LEEWAY,
    }
}

/// Returns the bearer token, if one is sent. Two headers are nobody's word.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Unidentified> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unidentified::Malformed);
    }
    let text = std::str::from_utf8(value.as_bytes()).ok().ok_or(Unidentified::Malformed)?;
    match text.trim().split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        None if text.trim().eq_ignore_ascii_case("bearer") => Err(Unidentified::Missing),
        Some(_) | None => Ok(None),
    }
}

#[cfg(test)]
mod tests;
