//! Tokens whose signature has been checked: once per token, not once per request.
//!
//! Known by the hash of the whole token, so that a single changed bit is another token, and so that
//! nobody's token lies in memory. What a key has proved that is gone counts no more: entries carry
//! the generation of the keys they were checked under.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::person::Person;

/// Bytes for all entries: tens of thousands of people, which is more than a router serves within a
/// token's life.
const BYTES_MAX: u64 = 32 * 1024 * 1024;
/// An entry without what its person has outside: bookkeeping, key and counters, rounded up. Bounds
/// the entries as well, to 65,536.
const ENTRY_BYTES: u64 = 512;
const ENTRIES: usize = 65_536;

pub(crate) struct Verified {
    entries: Cache<Print, Entry, Weight>,
    generation: AtomicU64,
}

/// The hash of a whole token.
pub(crate) type Print = [u8; 32];

/// Which keys were trusted, counted by their removals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u64);

#[derive(Clone)]
struct Entry {
    person: Arc<Person>,
    /// In seconds since 1970.
    until: u64,
    generation: Generation,
}

#[derive(Clone)]
struct Weight;

impl Weighter<Print, Entry> for Weight {
    fn weight(&self, _print: &Print, entry: &Entry) -> u64 {
        // A cell's id has at most 20 bytes, in a tree's node of twice that.
        let cells = entry.person.cells.as_ref().map_or(0, |cells| cells.len() * 64);
        ENTRY_BYTES + (entry.person.user.len() + cells) as u64
    }
}

impl Default for Verified {
    fn default() -> Self {
        Self {
            entries: Cache::with_weighter(ENTRIES, BYTES_MAX, Weight),
            generation: AtomicU64::default(),
        }
    }
}

impl Verified {
    pub(crate) fn print(token: &str) -> Print {
        Sha256::digest(token).into()
    }

    /// Returns whom a token that was checked before names, at `now` in seconds since 1970.
    pub(crate) fn find(&self, print: &Print, now: u64) -> Option<Arc<Person>> {
        let entry = self.entries.get(print)?;
        if entry.until > now && entry.generation == self.generation() {
            return Some(entry.person);
        }
        self.entries.remove(print);
        None
    }

    /// Returns the generation of the keys that are loaded from now on; asked before loading them.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    pub(crate) fn keep(
        &self,
        print: Print,
        person: Arc<Person>,
        until: u64,
        generation: Generation,
    ) {
        self.entries.insert(print, Entry { person, until, generation });
    }

    /// Forgets everything. Called after the keys were replaced: who has loaded the old ones has also
    /// asked for the old generation.
    pub(crate) fn forget(&self) {
        self.generation.fetch_add(1, Ordering::Release);
        self.entries.clear();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use topology::{Role, Slot};

    use super::*;

    #[test]
    fn a_token_is_known_until_its_end_and_no_longer() {
        let verified = Verified::default();
        let print = Verified::print("a.b.c");
        verified.keep(print, ada(), 100, verified.generation());
        assert_eq!(verified.find(&print, 99), Some(ada()));
        assert_eq!(verified.find(&Verified::print("a.b.C"), 99), None);
        assert_eq!(verified.find(&print, 100), None);
        assert_eq!(verified.len(), 0);
    }

    #[test]
    fn what_was_checked_with_keys_that_were_replaced_meanwhile_is_not_known() {
        let verified = Verified::default();
        let print = Verified::print("a.b.c");
        let before = verified.generation();
        verified.forget();
        verified.keep(print, ada(), 100, before);
        assert_eq!(verified.find(&print, 1), None);
    }

    #[test]
    fn entries_are_bounded_however_many_tokens_are_checked() {
        let verified = Verified::default();
        for number in 0..2 * ENTRIES {
            let print = Verified::print(&number.to_string());
            verified.keep(print, ada(), 100, verified.generation());
        }
        assert!(verified.len() <= ENTRIES, "{}", verified.len());
        assert!(verified.entries.weight() <= BYTES_MAX);
    }

    fn ada() -> Arc<Person> {
        let user = HeaderValue::from_static("ada");
        Arc::new(Person { user, slot: Slot::of("ada"), role: Role::Contact, cells: None })
    }
}
