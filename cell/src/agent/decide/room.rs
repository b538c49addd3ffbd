//! Whether PostgreSQL has room for what it writes. A server without room goes on where it has some left in its
//! tables and its log, and refuses the rest: its process says nothing of it.

use topology::wire::report::Room;

/// What a busy cell writes between two looks. Less is none: it is gone before anybody could have been told.
const NEEDED: u64 = 16 * 1024 * 1024;
/// What is full has room again with so many times that: what was freed for a moment is no room.
const OVER: u64 = 2;

#[derive(Clone, Copy, Debug, Default)]
pub struct Rooms {
    is_full: bool,
}

impl Rooms {
    /// Learns what is left, and returns what is told of it.
    pub fn saw(&mut self, left_bytes: u64) -> Room {
        self.is_full = left_bytes < if self.is_full { NEEDED * OVER } else { NEEDED };
        Room { left_bytes, full: self.is_full }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_full_until_there_is_clearly_room_again() {
        let mut rooms = Rooms::default();
        let looks = [NEEDED, NEEDED - 1, NEEDED, 2 * NEEDED - 1, 2 * NEEDED, NEEDED];
        let told = looks.map(|left| rooms.saw(left).full);
        assert_eq!(told, [false, true, true, true, false, false]);
    }
}
