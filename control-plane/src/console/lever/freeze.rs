//! What a freeze would mean, or its end, in the reader's language.

use runtime::Problem;

use super::catalogue::Lever;
use crate::console::texts::{Texts, fill};
use crate::levers::preview::FreezeAhead;

/// What becomes of the operations that wait for a freeze.
pub(super) struct Operations {
    pub(super) title: &'static str,
    pub(super) names: String,
}

/// Nobody's requests, but of those whom nobody serves as it is.
pub(super) fn affected(t: &Texts, freeze: &FreezeAhead) -> String {
    if freeze.lost.is_empty() {
        return t.affected_none.to_owned();
    }
    fill(t.affected_lost, &[("cells", &freeze.lost.join(", "))])
}

pub(super) fn pause(t: &Texts, freeze: &FreezeAhead) -> String {
    let pause = if freeze.lost.is_empty() { t.pause_none } else { t.pause_lost };
    pause.to_owned()
}

pub(super) fn operations(t: &Texts, lever: &Lever, freeze: &FreezeAhead) -> Operations {
    let names = &freeze.operations;
    let title = if *lever == Lever::Freeze { t.operations_wait } else { t.operations_go_on };
    let names = if names.is_empty() { t.none_waits.to_owned() } else { names.join(", ") };
    Operations { title, names }
}

/// Returns why nobody is asked to confirm what would change nothing.
pub(super) fn in_vain(t: &Texts, lever: &Lever, freeze: Option<&FreezeAhead>) -> Option<Problem> {
    let is_there = freeze.is_none_or(|freeze| freeze.holds);
    (*lever == Lever::Unfreeze && !is_there)
        .then(|| Problem::new(409, "nothing-to-lift", t.nothing_to_lift))
}
