//! Decides whether a request may be worked on here, how much of it, and afterwards whether its work
//! may be acknowledged.
//!
//! Whose the request is comes before what the site is doing: a request that is for somebody else
//! learns so even from a site that does not serve.

use runtime::clock::BootTime;
use topology::wire::agent::{TenureLine, TenureName};
use topology::{CellId, Epoch, Placement, Role, Slot};

/// What the router's headers say, as they came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    pub user: Option<&'a str>,
    pub role: Option<&'a str>,
    pub slot: Option<&'a str>,
    pub cell: Option<&'a str>,
    pub epoch: Option<&'a str>,
    /// A read that may be answered by a site that does not serve.
    pub stale_ok: bool,
}

/// What this site knows of itself.
#[derive(Clone, Copy, Debug)]
pub struct Own<'a> {
    pub cell: &'a CellId,
    /// `None` until a snapshot has been heard of for the first time.
    pub placement: Option<&'a Placement>,
    /// `None` until the agent has said something.
    pub right: Option<Right>,
}

/// The site's right to serve, as the agent last told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub tenure: TenureName,
    pub epoch: Epoch,
    /// Until when the site may acknowledge.
    pub until: BootTime,
    /// Whether the epoch's barrier has been passed: before it, what was inherited may be on this
    /// site only.
    pub open: bool,
    /// Whether enough voters replicate for a strong commit to come through.
    pub strong: bool,
    /// Whether the voters are so far behind that weak writes wait for them too.
    pub lagging: bool,
}

/// Whether strong work comes through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strength {
    Now,
    /// It does, late: the voters are so far behind that weak work waits for them as well.
    Lagging,
    /// The epoch's barrier is about to be passed.
    Soon,
    /// Too few voters are there, and nobody knows until when.
    AtRisk,
}

/// A request that may be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub user: String,
    pub role: Role,
    /// What the request is about; none where an agent's is about the whole cell.
    pub slot: Option<Slot>,
    pub epoch: Epoch,
    pub mode: Mode,
}

/// What an admitted request is worked on as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the cell's active site.
    Serve { open: bool, strength: Strength },
    /// A read, by a site that does not serve: as far as this site has heard.
    Stale,
}

/// Why a request may not be worked on. Nothing has happened, so it may always be sent again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The headers are missing, malformed or contradict each other.
    RoutingHeaders(&'static str),
    /// The request is for another cell.
    NotOwner { have: CellId, want: String },
    /// The request follows an epoch that is over.
    StaleEpoch { have: Epoch, want: Epoch },
    /// The site is not active, or not yet, or does not know yet.
    FailingOver,
    /// The site hands over and takes nothing new.
    Draining,
    /// The site's right has run out.
    Fenced,
    /// The work is strong, and too few voters are there for it to survive the loss of this region.
    AtRisk,
}

/// Who asks, and about which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking<'a> {
    pub user: &'a str,
    pub role: Role,
    /// A contact's own; for an agent that of what they have named, and none for the whole cell.
    pub slot: Option<Slot>,
}

/// Longest user id accepted; the identity provider's are shorter.
pub const USER_MAX: usize = 256;

/// Returns who is asking, or why the request is refused.
pub fn admit(said: Said<'_>, own: Own<'_>, now: BootTime) -> Result<Admitted, Refusal> {
    let Asking { user, role, slot } = identity(said).map_err(Refusal::RoutingHeaders)?;
    let cell = said.cell.ok_or(Refusal::RoutingHeaders("the cell is missing"))?;
    let epoch = said.epoch.ok_or(Refusal::RoutingHeaders("the epoch is missing"))?;
    let epoch = epoch.parse().map_err(|_not| Refusal::RoutingHeaders("the epoch is no number"))?;
    let epoch = Epoch(epoch);

    if cell != own.cell.as_str() {
        return Err(Refusal::NotOwner { have: own.cell.clone(), want: cell.to_owned() });
    }
    let placement = own.placement.ok_or(Refusal::FailingOver)?;
    if let Some(owner) = slot.and_then(|slot| other_owner(placement, own.cell, user, role, slot)) {
        return Err(Refusal::NotOwner { have: own.cell.clone(), want: owner.to_string() });
    }
    let right = own.right.ok_or(Refusal::FailingOver)?;
    if said.stale_ok && shows_stale(right, now) {
        // Of whichever epoch: the router asks because it has nobody better to ask.
        let (user, epoch) = (user.to_owned(), right.epoch);
        return Ok(Admitted { user, role, slot, epoch, mode: Mode::Stale });
    }
    if epoch < right.epoch {
        return Err(Refusal::StaleEpoch { have: right.epoch, want: epoch });
    }
    if epoch > right.epoch {
        return Err(Refusal::FailingOver);
    }
    match right.tenure {
        TenureName::Standby => Err(Refusal::FailingOver),
        TenureName::Draining => Err(Refusal::Draining),
        TenureName::Fenced => Err(Refusal::Fenced),
        TenureName::Serving if !may_begin(right, now) => Err(Refusal::Fenced),
        TenureName::Serving => {
            let mode = Mode::Serve { open: right.open, strength: right.strength() };
            Ok(Admitted { user: user.to_owned(), role, slot, epoch, mode })
        }
    }
}

/// Returns the other cell that has what is asked for; none where it is, or may be, this one's.
///
/// A contact's own data is in one cell, their slot's or the one they live in apart from it: no other
/// takes their requests, whatever the router believes. What an agent names has a slot and no user, so
/// the slot's cell takes it as well as one in which a user of that slot lives apart; each has the rows
/// of its own users only.
fn other_owner<'a>(
    placement: &'a Placement,
    cell: &CellId,
    user: &str,
    role: Role,
    slot: Slot,
) -> Option<&'a CellId> {
    let owner = match role {
        Role::Contact => placement.cell_of_user(user, slot),
        Role::Agent | Role::Service if placement.may_have(cell, slot) => return None,
        Role::Agent | Role::Service => placement.cell_of(slot),
    };
    (owner != cell).then_some(owner)
}

/// Returns whether a site may answer reads that say they accept an old answer: not while it serves,
/// and not while it hands over and finishes what it has.
fn shows_stale(right: Right, now: BootTime) -> bool {
    match right.tenure {
        TenureName::Standby | TenureName::Fenced => true,
        TenureName::Serving => !may_begin(right, now),
        TenureName::Draining => false,
    }
}

/// Reads who is asking and what about; says what is wrong with it otherwise. A router that says no
/// role knows contacts only.
pub fn identity(said: Said<'_>) -> Result<Asking<'_>, &'static str> {
    let user = said.user.filter(|user| !user.is_empty()).ok_or("the user is missing")?;
    if user.len() > USER_MAX {
        return Err("the user's id is too long");
    }
    let role = said.role.map_or(Ok(Role::Contact), str::parse);
    let role = role.map_err(|_unknown| "the role is none")?;
    let slot = said.slot.map(|slot| {
        let slot = slot.parse().ok().and_then(Slot::new);
        slot.ok_or("the slot is no slot's number")
    });
    let slot = slot.transpose()?;
    match (role, slot) {
        (Role::Contact, None) => Err("the slot is missing"),
        (Role::Contact, Some(slot)) if slot != Slot::of(user) => Err("the slot is not the user's"),
        (Role::Contact | Role::Agent | Role::Service, slot) => Ok(Asking { user, role, slot }),
    }
}

/// Returns whether work may begin under a right.
#[must_use]
pub fn may_begin(right: Right, now: BootTime) -> bool {
    right.tenure == TenureName::Serving && now < right.until
}

/// Returns whether work that was admitted under `epoch` may be acknowledged: the same right, or
/// what is left of it while draining, still lasts (I1).
#[must_use]
pub fn may_acknowledge(epoch: Epoch, right: Option<Right>, now: BootTime) -> bool {
    right.is_some_and(|right| {
        let serves = match right.tenure {
            TenureName::Serving | TenureName::Draining => true,
            TenureName::Standby | TenureName::Fenced => false,
        };
        serves && right.epoch == epoch && now < right.until
    })
}

impl Right {
    /// Returns whether strong work comes through under this right. Too few voters is the answer
    /// before a barrier too: without them it is not passed.
    #[must_use]
    pub fn strength(self) -> Strength {
        match (self.open, self.strong, self.lagging) {
            (true, true, false) => Strength::Now,
            (true, true, true) => Strength::Lagging,
            (false, true, _) => Strength::Soon,
            (_, false, _) => Strength::AtRisk,
        }
    }
}

impl Strength {
    /// Refuses strong work that would not come through.
    pub fn demand(self) -> Result<(), Refusal> {
        match self {
            Self::Now | Self::Lagging => Ok(()),
            Self::Soon => Err(Refusal::FailingOver),
            Self::AtRisk => Err(Refusal::AtRisk),
        }
    }
}

impl From<&TenureLine> for Right {
    fn from(line: &TenureLine) -> Self {
        Self {
            tenure: line.tenure,
            epoch: Epoch(line.epoch),
            until: BootTime::from_nanos(line.valid_until),
            open: line.open,
            strong: line.strong,
            lagging: line.lagging,
        }
    }
}

#[cfg(test)]
mod tests;
