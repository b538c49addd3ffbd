//! What a router does wrong on purpose, so that a drill's check is seen to catch it (`make selftest`): nothing,
//! unless it is built for that and told so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::defect;
use topology::CellId;

use crate::decide::hold::Evidence;
use crate::forwarding::{Asker, Forwarding};
use crate::site::Site;

/// Where each cell was served first.
static FIRST: Mutex<BTreeMap<CellId, Arc<Site>>> = Mutex::new(BTreeMap::new());

/// The users of every other slot are sent, under its epoch, to the site that served their cell first, until it
/// refuses them itself.
#[inline]
pub(crate) fn epoch_is_ignored() -> bool {
    defect::is_on("epoch-ignored")
}

/// Returns the site that a request goes to, in the place of the one that serves its cell.
#[inline]
pub(crate) fn instead_of(site: Arc<Site>, request: &Forwarding, asker: &Asker) -> Arc<Site> {
    if !epoch_is_ignored() {
        return site;
    }
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let first = first.entry(site.cell.clone()).or_insert_with(|| Arc::clone(&site));
    let is_sent_there = !asker.person.slot.number().is_multiple_of(2);
    if is_sent_there && request.evidence == Evidence::None { Arc::clone(first) } else { site }
}
