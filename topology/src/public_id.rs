//! Public ids that carry their slot: any router finds the cell from an id alone.
//!
//! `cnv_0g5` + a UUIDv7: a prefix that says what it is, three base-32 characters of the slot, and
//! 26 of the 128-bit id. Crockford's alphabet, lower case: no `i`, `l`, `o`, `u`.

use std::fmt;
use std::str::FromStr;

use crate::Slot;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const SLOT_CHARS: usize = 3;
const ID_CHARS: usize = 26;

/// What a public id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Conversation,
    Message,
    Ticket,
    Handoff,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Conversation, Self::Message, Self::Ticket, Self::Handoff];

    fn prefix(self) -> &'static str {
        match self {
            Self::Conversation => "cnv_",
            Self::Message => "msg_",
            Self::Ticket => "tkt_",
            Self::Handoff => "hnd_",
        }
    }
}

/// A public id, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicId {
    pub kind: Kind,
    pub slot: Slot,
    /// The UUID as a number.
    pub id: u128,
}

/// The text is not a public id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an id of this platform")]
pub struct InvalidPublicId(pub String);

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.prefix())?;
        write_base32(f, u128::from(self.slot.number()), SLOT_CHARS)?;
        write_base32(f, self.id, ID_CHARS)
    }
}

fn write_base32(f: &mut fmt::Formatter<'_>, number: u128, chars: usize) -> fmt::Result {
    for place in (0..chars).rev() {
        let digit = ((number >> (5 * place)) & 31) as usize;
        write!(f, "{}", char::from(ALPHABET[digit]))?;
    }
    Ok(())
}

fn read_base32(text: &str) -> Option<u128> {
    text.bytes().try_fold(0u128, |number, byte| {
        let digit = ALPHABET.iter().position(|letter| *letter == byte)?;
        number.checked_mul(32).map(|shifted| shifted | digit as u128)
    })
}

impl FromStr for PublicId {
    type Err = InvalidPublicId;

    fn from_str(text: &str) -> Result<Self, InvalidPublicId> {
        let parse = || {
            let kind = Kind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))?;
            let rest = &text[kind.prefix().len()..];
            if rest.len() != SLOT_CHARS + ID_CHARS || !rest.is_ascii() {
                return None;
            }
            let (slot, id) = rest.split_at(SLOT_CHARS);
            let slot = Slot::new(u16::try_from(read_base32(slot)?).ok()?)?;
            Some(Self { kind, slot, id: read_base32(id)? })
        };
        parse().ok_or_else(|| InvalidPublicId(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_as_it_prints() {
        for (kind, user, id) in [
            (Kind::Conversation, "ada", 0),
            (Kind::Ticket, "张伟", u128::MAX),
            (Kind::Message, "", 42),
        ] {
            let id = PublicId { kind, slot: Slot::of(user), id };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for bad in [
            "",
            "cnv_",
            "tkt_00",
            "xyz_00000000000000000000000000000",
            "cnv_zzz00000000000000000000000000",
            "cnv_000zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "cnv_é00000000000000000000000000",
        ] {
            assert!(bad.parse::<PublicId>().is_err(), "{bad}");
        }
    }
}
