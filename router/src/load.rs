//! How many of a cell's requests may be at its sites at once: each cell has its own share, and what
//! is beyond it is refused at once, so that no cell can take another's (I8).

use std::sync::Arc;

use crate::cell::Memory;
use crate::room::Seats;

/// One cell's requests at its sites.
#[derive(Default)]
pub(crate) struct Load {
    requests: Seats,
    /// Event streams and `WebSockets`, which last.
    streams: Seats,
}

/// A request's place at its cell's sites, given back when dropped.
pub(crate) struct Place {
    cell: Arc<Memory>,
    is_stream: bool,
}

impl Load {
    fn seats(&self, is_stream: bool) -> &Seats {
        if is_stream { &self.streams } else { &self.requests }
    }
}

impl Place {
    /// Takes a place, if there is one within this share.
    pub(crate) fn take(cell: &Arc<Memory>, is_stream: bool, share: usize) -> Option<Self> {
        let is_taken = cell.load.seats(is_stream).take(1, share);
        is_taken.then(|| Self { cell: Arc::clone(cell), is_stream })
    }

    pub(crate) fn cell(&self) -> &Memory {
        &self.cell
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.cell.load.seats(self.is_stream).leave(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_at_its_share_leaves_the_others_theirs() {
        let (first, second) = (Arc::default(), Arc::default());
        let places: Vec<_> = (0..3).map(|_| Place::take(&first, false, 3).unwrap()).collect();
        assert!(Place::take(&first, false, 3).is_none());
        assert!(Place::take(&first, false, 3).is_none());
        assert!(Place::take(&first, true, 3).is_some());
        assert!(Place::take(&second, false, 3).is_some());
        drop(places);
        assert!(Place::take(&first, false, 3).is_some());
    }
}
