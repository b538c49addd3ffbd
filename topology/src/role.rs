//! In which part somebody asks.

use std::fmt;
use std::str::FromStr;

/// What somebody may ask for: their own things, or those of the contacts they work for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// An end user, whose own id says which cell has their data.
    #[default]
    Contact,
    /// A person who helps contacts; what they ask for says which cell it is in.
    Agent,
    /// A program that acts as agents do.
    Service,
}

/// The text is not a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a role: contact, agent or service")]
pub struct UnknownRole(pub String);

impl Role {
    const ALL: [Self; 3] = [Self::Contact, Self::Agent, Self::Service];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Agent => "agent",
            Self::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let known = Self::ALL.into_iter().find(|role| role.as_str() == text);
        known.ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_reads_as_it_prints_and_nothing_else_is_one() {
        for role in Role::ALL {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        for other in ["", "Agent", "admin", "agent "] {
            assert_eq!(other.parse::<Role>(), Err(UnknownRole(other.to_owned())));
        }
    }
}
