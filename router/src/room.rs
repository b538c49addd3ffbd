//! How many requests may wait: bounded per cell, so that one cell's wait takes no other's place
//! (I8), and in total.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use prometheus::IntGauge;

use crate::cell::Memory;

/// At some 16 KiB for a waiting request and its connection, 32 MiB of one cell …
const CELL_MAX: usize = 2000;
/// … and twice that of all.
const TOTAL_MAX: usize = 4000;

/// Where requests wait.
pub(crate) struct Room {
    total: Seats,
    gauge: IntGauge,
}

/// Counts the requests that wait for one thing.
#[derive(Default)]
pub(crate) struct Seats(AtomicUsize);

impl Seats {
    fn take(&self, limit: usize) -> bool {
        let more = |taken| (taken < limit).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Room {
    pub(crate) fn new(gauge: IntGauge) -> Arc<Self> {
        Arc::new(Self { total: Seats::default(), gauge })
    }

    /// Lets a request wait, if there is a place; `cell` is none before the router has a table.
    pub(crate) fn enter(self: &Arc<Self>, cell: Option<&Arc<Memory>>) -> Option<Seat> {
        if !self.total.take(TOTAL_MAX) {
            return None;
        }
        if cell.is_some_and(|cell| !cell.seats.take(CELL_MAX)) {
            self.total.leave();
            return None;
        }
        self.gauge.inc();
        Some(Seat { room: Arc::clone(self), cell: cell.cloned() })
    }

    pub(crate) fn held(&self) -> u64 {
        u64::try_from(self.gauge.get()).unwrap_or(0)
    }
}

/// A place in the room, given back when dropped.
pub(crate) struct Seat {
    room: Arc<Room>,
    cell: Option<Arc<Memory>>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.total.leave();
        self.room.gauge.dec();
        if let Some(cell) = &self.cell {
            cell.seats.leave();
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
        let seats: Vec<_> = (0..CELL_MAX).map(|_| room.enter(Some(&first)).unwrap()).collect();
        assert!(room.enter(Some(&first)).is_none());
        assert!(room.enter(Some(&second)).is_some());
        drop(seats);
        assert!(room.enter(Some(&first)).is_some());
    }

    #[test]
    fn all_cells_together_are_bounded() {
        let room = room();
        let cells: [Arc<Memory>; 3] = Default::default();
        let seats: Vec<_> = (0..TOTAL_MAX + 5)
            .filter_map(|number| room.enter(Some(&cells[number % cells.len()])))
            .collect();
        assert_eq!(seats.len(), TOTAL_MAX);
        assert_eq!(room.held(), TOTAL_MAX as u64);
    }

    fn room() -> Arc<Room> {
        Room::new(IntGauge::new("held", "held").unwrap())
    }
}
