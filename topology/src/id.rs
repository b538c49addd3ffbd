//! Names of regions, cells and sites: parsed once, at the edge.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Longest id accepted: it becomes part of host names, file names and PostgreSQL's
/// `application_name` (63 bytes with cell, region and epoch in it).
pub const ID_MAX: usize = 20;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid id: 1 to {ID_MAX} of a-z, 0-9 and -, starting with a letter and not ending with -"
)]
pub struct InvalidId(pub String);

fn parse(text: &str) -> Result<Arc<str>, InvalidId> {
    let shaped = text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.len() <= ID_MAX
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if shaped { Ok(text.into()) } else { Err(InvalidId(text.to_owned())) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id! {
    /// A geography; failures inside one are correlated.
    RegionId
}

id! {
    /// One complete, independent service chain with its own database.
    CellId
}

/// A cell's presence in one region, written `c1@east`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId {
    pub cell: CellId,
    pub region: RegionId,
}

impl fmt::Display for SiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.cell, self.region)
    }
}

impl FromStr for SiteId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (cell, region) = text.split_once('@').ok_or_else(|| InvalidId(text.to_owned()))?;
        Ok(Self { cell: cell.parse()?, region: region.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_lowercase_and_short_is_no_id() {
        for bad in
            ["", "East", "1east", "east-", "ea st", "ost/west", "äst", "a23456789012345678901"]
        {
            assert_eq!(bad.parse::<RegionId>(), Err(InvalidId(bad.to_owned())), "{bad:?}");
        }
    }

    #[test]
    fn a_site_reads_as_it_prints() {
        let site: SiteId = "c1@east".parse().unwrap();
        assert_eq!(site.to_string(), "c1@east");
    }
}
