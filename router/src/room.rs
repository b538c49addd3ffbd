//! How many requests may wait, and how much memory they may take: bounded in total, and per cell to
//! an equal share, so that one cell's wait takes no other's place (I8).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;
use topology::spec::edge::Held;

use crate::cell::Memory;

/// Where requests wait.
pub(crate) struct Room {
    limits: Held,
    total: Waiting,
    gauge: IntGauge,
}

/// The requests that wait for one thing, and their bytes.
#[derive(Default)]
pub(crate) struct Waiting {
    requests: Seats,
    bytes: Seats,
}

/// Counts what is in use.
#[derive(Debug, Default)]
pub(crate) struct Seats(AtomicUsize);

impl Seats {
    /// Takes so many of `limit`, if they are free.
    pub(crate) fn take(&self, count: usize, limit: usize) -> bool {
        let more = |taken: usize| taken.checked_add(count).filter(|taken| *taken <= limit);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(crate) fn leave(&self, count: usize) {
        self.0.fetch_sub(count, Ordering::Relaxed);
    }
}

impl Waiting {
    fn enter(&self, bytes: usize, limits: Held) -> bool {
        if !self.requests.take(1, limits.requests as usize) {
            return false;
        }
        let has_bytes = self.bytes.take(bytes, limits.bytes);
        if !has_bytes {
            self.requests.leave(1);
        }
        has_bytes
    }

    fn leave(&self, bytes: usize) {
        self.requests.leave(1);
        self.bytes.leave(bytes);
    }
}

impl Room {
    pub(crate) fn new(limits: Held, gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { limits, total: Waiting::default(), gauge })
    }

    /// Lets a request that takes so many bytes wait, if there is a place in its cell's share of
    /// `cells`; the cell is none before the router has a table.
    pub(crate) fn enter(
        self: &Arc<Self>,
        cell: Option<&Arc<Memory>>,
        cells: usize,
        bytes: usize,
    ) -> Option<Seat> {
        if !self.total.enter(bytes, self.limits) {
            return None;
        }
        let share = share(self.limits, cells);
        if cell.is_some_and(|cell| !cell.waiting.enter(bytes, share)) {
            self.total.leave(bytes);
            return None;
        }
        self.gauge.inc();
        Some(Seat { room: Arc::clone(self), cell: cell.cloned(), bytes })
    }

    pub(crate) fn held(&self) -> u64 {
        u64::try_from(self.gauge.get()).unwrap_or(0)
    }
}

fn share(limits: Held, cells: usize) -> Held {
    let cells = cells.max(1);
    let requests = limits.requests / u32::try_from(cells).unwrap_or(u32::MAX);
    Held { requests: requests.max(1), bytes: (limits.bytes / cells).max(1) }
}

/// A place in the room, given back when dropped.
pub(crate) struct Seat {
    room: Arc<Room>,
    cell: Option<Arc<Memory>>,
    bytes: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.total.leave(self.bytes);
        self.room.gauge.dec();
        if let Some(cell) = &self.cell {
            cell.waiting.leave(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cells_wait_leaves_room_for_another_cell() {
        let room = room();
        let (first, second) = (Arc::default(), Arc::default());
        let seats: Vec<_> = (0..5).map(|_| room.enter(Some(&first), 2, 10).unwrap()).collect();
        assert!(room.enter(Some(&first), 2, 10).is_none());
        assert!(room.enter(Some(&second), 2, 10).is_some());
        drop(seats);
        assert!(room.enter(Some(&first), 2, 10).is_some());
    }

    #[test]
    fn large_requests_fill_a_cells_share_before_its_places_are_taken() {
        let room = room();
        let (first, second) = (Arc::default(), Arc::default());
        let _large = room.enter(Some(&first), 2, 400).unwrap();
        assert!(room.enter(Some(&first), 2, 101).is_none());
        assert!(room.enter(Some(&first), 2, 100).is_some());
        assert!(room.enter(Some(&second), 2, 500).is_some());
    }

    #[test]
    fn all_cells_together_are_bounded() {
        let room = room();
        let cells: [Arc<Memory>; 3] = Default::default();
        let seats: Vec<_> = (0..15)
            .filter_map(|number| room.enter(Some(&cells[number % cells.len()]), 1, 10))
            .collect();
        assert_eq!(seats.len(), 10);
        assert_eq!(room.held(), 10);
    }

    fn room() -> Arc<Room> {
        Room::new(Held { requests: 10, bytes: 1000 }, IntGauge::new("held", "held").unwrap())
    }
}
