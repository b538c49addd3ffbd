//! What a site has said of the renewals it sends, before etcd said that they are in force.
//!
//! A leader of etcd that dies may have passed on a renewal that nobody knows to be in force; its
//! successor puts it in force with its own first entry, a second or two later. Who has heard from the
//! site itself that it was being sent knows how old it is by then, and needs nobody's clock for it but its
//! own: what was heard of was not sent later.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::store::Lease;

/// How many are kept: four seconds' worth at half a second each, twice what etcd takes to have another
/// leader.
const KEPT: usize = 8;

/// The last renewals that a cell's sites said they were sending, and when that was heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Renewals(VecDeque<(Lease, Instant)>);

impl Renewals {
    /// Notes that a renewal is being sent.
    pub(super) fn sent(&mut self, lease: Lease, now: Instant) {
        if self.said(&lease).is_none() {
            self.0.truncate(KEPT - 1);
            self.0.push_front((lease, now));
        }
    }

    /// Returns when this very renewal was first heard to be sent. A later one says nothing of it: a
    /// restarted machine counts from another beginning.
    #[must_use]
    pub(super) fn said(&self, lease: &Lease) -> Option<Instant> {
        self.0.iter().find(|(sent, _)| sent == lease).map(|(_, heard)| *heard)
    }
}
