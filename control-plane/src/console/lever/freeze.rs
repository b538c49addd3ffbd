//! What a freeze, or its end, would mean for what goes on and for what is lost, in the reader's language:
//! read from the state that the API goes by.

use runtime::Problem;
use tokio::time::Instant;
use topology::CellId;

use super::{Lever, Shown};
use crate::console::Console;
use crate::console::texts::{Texts, fill};
use crate::levers::freeze::standing;

/// Returns what it would mean; a problem where there is no freeze to lift.
pub(super) fn looked_at(console: &Console, t: &Texts, lever: &Lever) -> Result<Shown, Problem> {
    let known = console.state.borrow().clone();
    if known.read_at().is_none() {
        return Err(Problem::new(503, "nothing-known", t.nothing_known));
    }
    let standing = standing(&known, Instant::now());
    if *lever == Lever::Unfreeze && !standing.holds {
        return Err(Problem::new(409, "not-frozen", t.not_frozen));
    }
    let lost: Vec<&str> = known.frozen().keys().map(CellId::as_str).collect();
    let operations = known.intent().operations().iter();
    let operations = operations.filter(|(_, seen)| !seen.operation.status.has_ended());
    let operations: Vec<&str> = operations.map(|(id, _)| id.as_str()).collect();
    let (affected, pause) = if lost.is_empty() {
        (t.affected_none.to_owned(), t.pause_none)
    } else {
        (fill(t.affected_lost, &[("cells", &lost.join(", "))]), t.pause_lost)
    };
    Ok(Shown {
        allowed: true,
        broken: Vec::new(),
        affected,
        pause: pause.to_owned(),
        operations: Some(if operations.is_empty() {
            t.none_goes_on.to_owned()
        } else {
            operations.join(", ")
        }),
        moves: Vec::new(),
        headroom: Vec::new(),
        stake: None,
        etag: standing.tag,
    })
}
