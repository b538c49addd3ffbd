//! The smallest thing that is owned.

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

/// How many slots there are.
pub const SLOTS: usize = 16_384;

/// A share of the users: `xxh3_64(user id bytes) & 0x3FFF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// Returns the slot of a user. The same everywhere and for ever: rows are stored under it.
    #[must_use]
    pub fn of(user: &str) -> Self {
        let low = xxh3_64(user.as_bytes()) & (SLOTS as u64 - 1);
        Self(u16::try_from(low).expect("14 bits fit in 16"))
    }

    /// Returns the slot with this number, or `None` beyond the last one.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (usize::from(number) < SLOTS).then_some(Self(number))
    }

    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..u16::try_from(SLOTS).expect("14 bits fit in 16")).map(Self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored rows depend on these values: a change here loses every user's data.
    #[test]
    fn a_users_slot_never_changes() {
        let slots: Vec<u16> =
            ["ada", "张伟", "", "user-000001"].iter().map(|user| Slot::of(user).number()).collect();
        assert_eq!(slots, EXPECTED);
    }

    const EXPECTED: [u16; 4] = [47, 7787, 5314, 13289];
}
