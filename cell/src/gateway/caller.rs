//! Who is asking, and under what right the answer is made.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use runtime::Problem;
use topology::spec::Durability;
use topology::wire::agent::TenureName;
use topology::wire::header;
use topology::{CellId, Epoch, Role, Slot};

use super::decide::admit::{Asking, Mode, Refusal, Right, Said, Strength, identity};
use super::refusal;

/// A contact, as the router authenticated them (I10), who asks for what is theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub user: String,
    pub slot: Slot,
}

/// Who works on the things of one slot: the contact whose they are, or an agent, to whom everybody's
/// are open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub user: String,
    pub slot: Slot,
    role: Role,
}

impl Actor {
    /// Returns whose things these have to be; anybody's where there is none.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match self.role {
            Role::Contact => Some(&self.user),
            Role::Agent | Role::Service => None,
        }
    }
}

/// Under what right an admitted request is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    pub epoch: Epoch,
    mode: Mode,
}

impl Permit {
    pub(super) fn new(epoch: Epoch, mode: Mode) -> Self {
        Self { epoch, mode }
    }

    /// Returns whether strong work comes through. Behind a site that does not serve nothing is
    /// written at all.
    #[must_use]
    pub fn strength(self) -> Strength {
        match self.mode {
            Mode::Serve { strength, .. } => strength,
            Mode::Stale => Strength::Soon,
        }
    }

    /// Returns whether strong work would come through if it waited for the barrier.
    #[must_use]
    pub(super) fn is_before_barrier(self) -> bool {
        matches!(self.mode, Mode::Serve { strength: Strength::Soon, .. })
    }

    /// Returns what is permitted under the right as it is now; none if that is another, or over.
    pub(super) fn under(self, right: Right) -> Option<Self> {
        let serves = right.tenure == TenureName::Serving && right.epoch == self.epoch;
        let mode = Mode::Serve { open: right.open, strength: right.strength() };
        serves.then_some(Self { mode, ..self })
    }

    /// Refuses a strong write, or the replay of one, that would not come through.
    pub fn demand_strong(self) -> Result<(), Problem> {
        Ok(self.strength().demand()?)
    }

    /// Refuses to replay a stored answer before the epoch's barrier, which is about to be passed.
    ///
    /// Where it is not, for want of voters, a weak write's answer is replayed: what is visible here
    /// is on this site's disk, which is all that was promised. A strong one's is not.
    pub fn demand_replay(self, durability: Durability) -> Result<(), Problem> {
        match (self.strength(), durability) {
            (Strength::AtRisk, Durability::Weak) => Ok(()),
            (strength, Durability::Weak | Durability::Strong) => Ok(strength.demand()?),
        }
    }

    /// Returns whether a strong read shows what is durable: on the active site, behind the epoch's
    /// barrier.
    #[must_use]
    pub fn shows_durable(self) -> bool {
        match self.mode {
            Mode::Serve { open, .. } => open,
            Mode::Stale => false,
        }
    }

    /// Refuses what goes on after the answer has begun, where the site does not serve.
    pub fn demand_serving(self) -> Result<(), Problem> {
        match self.mode {
            Mode::Serve { .. } => Ok(()),
            Mode::Stale => Err(Refusal::FailingOver.into()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Permit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get().copied().ok_or_else(|| refusal::routing_headers("not admitted"))
    }
}

/// Behind the gateway the headers are what was admitted; a service of its own process, which
/// listens to its site only, checks again that they agree.
impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        match identity(said(&parts.headers)).map_err(refusal::routing_headers)? {
            Asking { user, role: Role::Contact, slot: Some(slot) } => {
                Ok(Self { user: user.to_owned(), slot })
            }
            Asking { .. } => Err(refusal::contacts_only()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let Asking { user, role, slot } =
            identity(said(&parts.headers)).map_err(refusal::routing_headers)?;
        let slot = slot.ok_or_else(|| refusal::routing_headers("the slot is missing"))?;
        Ok(Self { user: user.to_owned(), slot, role })
    }
}

/// Returns what the router's headers say.
pub(super) fn said(headers: &HeaderMap) -> Said<'_> {
    Said {
        user: text(headers, header::USER),
        role: text(headers, header::ROLE),
        slot: text(headers, header::SLOT),
        cell: text(headers, header::CELL),
        epoch: text(headers, header::EPOCH),
        stale_ok: false,
    }
}

/// Returns a header's value as text. Users' ids are UTF-8, which `HeaderValue::to_str` refuses.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(headers.get(name)?.as_bytes()).ok()
}

/// Returns the epoch under which the gateway has admitted a request.
pub fn admitted_under(headers: &HeaderMap) -> Result<Epoch, Problem> {
    let epoch = text(headers, header::EPOCH)
        .ok_or_else(|| refusal::routing_headers("the epoch is missing"))?;
    let epoch = epoch.parse().map(Epoch);
    epoch.map_err(|_not| refusal::routing_headers("the epoch is no number"))
}

/// Writes the headers of a request that one of the site's services makes of another, for a user.
pub fn write(headers: &mut HeaderMap, caller: &Caller, cell: &CellId, epoch: Epoch) {
    for (name, value) in [
        (header::USER, caller.user.clone()),
        (header::SLOT, caller.slot.to_string()),
        (header::CELL, cell.to_string()),
        (header::EPOCH, epoch.to_string()),
    ] {
        // Ids and numbers have no control characters, and neither has an admitted user.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}
