//! What a request is for, which is what finds its cell.
//!
//! ```text
//!   who asks          path                          goes to the cell that
//!   ───────────────   ───────────────────────────   ────────────────────────────────────
//!   contact           whatever it names             has the contact's own data: owns their slot,
//!                                                   or is theirs apart from it
//!   agent, service    … an id                       owns the slot that the id carries
//!   agent, service    /cells/{cell}/v1/…            is named; an id in it is that cell's
//! ```
//!
//! An id says a slot and not whose it is: what belongs to a user who lives apart is found by an agent
//! who names the cell.
//!
//! A contact who names somebody else's thing is not led to it: the gateway finds that it is not
//! theirs.

use std::collections::BTreeSet;

use topology::public_id::PublicId;
use topology::{CellId, Placement, Role, Slot};

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// What a contact has: theirs by the slot of their own id.
    Own(Slot),
    /// Something that carries its slot in its id.
    Thing(Slot),
    /// Something of a user who lives apart from their slot: in the cell that is named.
    Apart(CellId, Slot),
    /// A whole cell.
    Cell(CellId),
}

/// Who asks, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct By<'a> {
    pub(crate) role: Role,
    /// The slot of their own id.
    pub(crate) slot: Slot,
    /// The cells they may work for; none where nothing is said.
    pub(crate) cells: Option<&'a BTreeSet<CellId>>,
}

/// Why a request goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Astray {
    #[error("an agent's request names what it is for: an id, or a cell as in /cells/c1/v1/tickets")]
    NothingNamed,
    #[error("the path names no cell after /cells/")]
    NotACell,
    #[error("there is no cell {0}")]
    UnknownCell(CellId),
    #[error("the token is not for cell {0}")]
    Forbidden(CellId),
    #[error("the id in the path belongs to cell {owner}, not to {named}")]
    Elsewhere { named: CellId, owner: CellId },
    #[error("this router does not know yet which cell has what")]
    NoTable,
}

impl Aim {
    /// Returns the slot it is about; a cell is about many.
    pub(crate) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Own(slot) | Self::Thing(slot) | Self::Apart(_, slot) => Some(*slot),
            Self::Cell(_) => None,
        }
    }
}

/// Returns what a request for `path` is for, and the path as the cell knows it.
pub(crate) fn aim<'a>(
    by: By<'_>,
    path: &'a str,
    placement: Option<&Placement>,
) -> Result<(Aim, &'a str), Astray> {
    match by.role {
        Role::Contact => return Ok((Aim::Own(by.slot), path)),
        Role::Agent | Role::Service => {}
    }
    let Some((named, path)) = cell_named(path)? else {
        let slot = slot_named(path).ok_or(Astray::NothingNamed)?;
        if let Some(cells) = by.cells {
            let owner = placement.ok_or(Astray::NoTable)?.cell_of(slot);
            if !cells.contains(owner) {
                return Err(Astray::Forbidden(owner.clone()));
            }
        }
        return Ok((Aim::Thing(slot), path));
    };
    if !by.cells.is_some_and(|cells| cells.contains(&named)) {
        return Err(Astray::Forbidden(named));
    }
    let placement = placement.ok_or(Astray::NoTable)?;
    if !placement.cells().contains(&named) {
        return Err(Astray::UnknownCell(named));
    }
    let Some(slot) = slot_named(path) else { return Ok((Aim::Cell(named), path)) };
    match placement.cell_of(slot) {
        owner if *owner == named => Ok((Aim::Thing(slot), path)),
        _ if placement.may_have(&named, slot) => Ok((Aim::Apart(named, slot), path)),
        owner => Err(Astray::Elsewhere { named, owner: owner.clone() }),
    }
}

/// Returns the cell a path names, and the path without it; none where it does not name one.
fn cell_named(path: &str) -> Result<Option<(CellId, &str)>, Astray> {
    let Some(rest) = path.strip_prefix("/cells/") else { return Ok(None) };
    let end = rest.find('/').unwrap_or(rest.len());
    let (cell, path) = rest.split_at(end);
    let cell = cell.parse().map_err(|_not| Astray::NotACell)?;
    if path.starts_with("/v1/") { Ok(Some((cell, path))) } else { Err(Astray::NothingNamed) }
}

/// Returns the slot of the first id in a path: what the others are part of.
fn slot_named(path: &str) -> Option<Slot> {
    path.split('/').find_map(|part| part.parse::<PublicId>().ok()).map(|id| id.slot)
}

#[cfg(test)]
mod tests {
    use topology::Version;
    use topology::public_id::Kind;

    use super::*;

    #[test]
    fn a_contact_goes_to_their_own_cell_whatever_they_name() {
        for path in
            ["/v1/tickets", "/cells/c2/v1/tickets", &format!("/v1/tickets/{}", ticket(9000))]
        {
            check(Role::Contact, Some("c1 c2"), path, &format!("own 47 at {path}"));
        }
    }

    #[test]
    fn an_agent_goes_where_the_id_says_or_to_the_cell_they_name() {
        let (near, far) = (ticket(9), ticket(9000));
        for role in [Role::Agent, Role::Service] {
            let path = format!("/v1/tickets/{far}/history");
            check(role, None, &path, &format!("slot 9000 at {path}"));
            check(role, Some("c2"), &path, &format!("slot 9000 at {path}"));
            check(role, Some("c1"), "/cells/c1/v1/tickets", "cell c1 at /v1/tickets");
            let path = format!("/v1/tickets/{near}");
            check(role, Some("c1"), &format!("/cells/c1{path}"), &format!("slot 9 at {path}"));
        }
    }

    #[test]
    fn an_agent_who_names_nothing_or_what_they_may_not_goes_nowhere() {
        let far = ticket(9000);
        for (cells, path, expected) in [
            (Some("c1"), "/v1/tickets".to_owned(), "an agent's request names what it is for"),
            (Some("c1"), "/v1/tickets/tkt_nonsense".to_owned(), "an agent's request names"),
            (Some("c1"), "/cells/c1".to_owned(), "an agent's request names what it is for"),
            (Some("c1"), "/cells/c1/livez".to_owned(), "an agent's request names what it is for"),
            (Some("c1"), "/cells/C1/v1/tickets".to_owned(), "the path names no cell"),
            (Some("c1"), "/cells//v1/tickets".to_owned(), "the path names no cell"),
            (Some("c1"), "/cells/c2/v1/tickets".to_owned(), "the token is not for cell c2"),
            (None, "/cells/c1/v1/tickets".to_owned(), "the token is not for cell c1"),
            (Some("c1"), format!("/v1/tickets/{far}"), "the token is not for cell c2"),
            (Some("c9"), "/cells/c9/v1/tickets".to_owned(), "there is no cell c9"),
            (
                Some("c1"),
                format!("/cells/c1/v1/tickets/{far}"),
                "the id in the path belongs to cell c2",
            ),
        ] {
            check(Role::Agent, cells, &path, expected);
        }
    }

    #[test]
    fn an_agent_finds_what_belongs_to_a_user_who_lives_apart_by_naming_the_cell() {
        let owners = Slot::all().map(|_| 0).collect();
        let cells: Vec<CellId> = vec!["c1".parse().unwrap(), "c2".parse().unwrap()];
        let placement = Placement::try_new(Version(1), cells.clone(), owners).unwrap();
        let placement = placement.with_override("ada", &cells[1]).unwrap();
        let may = cells.iter().cloned().collect();
        let by = By { role: Role::Agent, slot: Slot::of("eve"), cells: Some(&may) };
        let aim = |path: String| aim(by, &path, Some(&placement)).map(|(aim, _)| aim);
        let ada = Slot::of("ada");
        let theirs = ticket(ada.number());
        assert_eq!(
            aim(format!("/cells/c2/v1/tickets/{theirs}")),
            Ok(Aim::Apart(cells[1].clone(), ada))
        );
        assert_eq!(aim(format!("/v1/tickets/{theirs}")), Ok(Aim::Thing(ada)));
        let elsewhere = Astray::Elsewhere { named: cells[1].clone(), owner: cells[0].clone() };
        assert_eq!(aim(format!("/cells/c2/v1/tickets/{}", ticket(9))), Err(elsewhere));
    }

    #[test]
    fn without_a_table_only_what_needs_none_is_let_through() {
        let path = format!("/v1/tickets/{}", ticket(9));
        let cells = BTreeSet::from(["c1".parse().unwrap()]);
        let by = |cells| By { role: Role::Agent, slot: Slot::of("ada"), cells };
        assert!(aim(by(None), &path, None).is_ok());
        assert_eq!(aim(by(Some(&cells)), &path, None), Err(Astray::NoTable));
        assert_eq!(aim(by(Some(&cells)), "/cells/c1/v1/tickets", None), Err(Astray::NoTable));
    }

    /// c1 owns the slots below 8192, c2 the others; the caller is `ada`, whose slot is 47.
    #[track_caller]
    fn check(role: Role, cells: Option<&str>, path: &str, expected: &str) {
        let cells = cells.map(|cells| cells.split(' ').map(|cell| cell.parse().unwrap()).collect());
        let owners = Slot::all().map(|slot| u16::from(slot.number() >= 8192)).collect();
        let listed = vec!["c1".parse().unwrap(), "c2".parse().unwrap()];
        let placement = Placement::try_new(Version(1), listed, owners).unwrap();
        let by = By { role, slot: Slot::of("ada"), cells: cells.as_ref() };
        let told = match aim(by, path, Some(&placement)) {
            Ok((Aim::Own(slot), path)) => format!("own {slot} at {path}"),
            Ok((Aim::Thing(slot), path)) => format!("slot {slot} at {path}"),
            Ok((Aim::Cell(cell), path)) => format!("cell {cell} at {path}"),
            Ok((Aim::Apart(cell, slot), path)) => format!("slot {slot} in {cell} at {path}"),
            Err(astray) => astray.to_string(),
        };
        assert!(told.starts_with(expected), "{path}: {told}, not {expected}");
    }

    fn ticket(slot: u16) -> String {
        PublicId { kind: Kind::Ticket, slot: Slot::new(slot).unwrap(), id: 42 }.to_string()
    }
}
