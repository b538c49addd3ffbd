//! How many connections a service has to its database, and how long is waited for one: more where the
//! voters are far away. A strong commit takes a round trip to one of them, and keeps its connection for
//! so long.

use std::time::Duration;

/// On one machine: twice the cores a cell is given, times the two writes a turn makes.
const CONNECTIONS: usize = 16;
/// Two services that write, the agent and people share the 120 that the server has. A strong transaction
/// that is given up keeps its connection, beside these, until it is over.
const CONNECTIONS_MAX: usize = 30;
/// There are as many again for each of these that is waited for. Opening one takes a core some 20 ms, at
/// the worst of times: when what was held comes at once.
const AGAIN: Duration = Duration::from_millis(200);
/// How long a strong transaction waits for its place: a few strong commits' time while all is well.
const PATIENCE: Duration = Duration::from_millis(500);
/// Where commits wait for voters, so many of these waits besides.
const COMMITS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) connections: usize,
    /// Strong transactions at once. A quarter of the connections stays for the others: when the voters
    /// are gone, strong commits wait, and reads and weak writes go on.
    pub(super) strong: usize,
    /// How long a strong transaction waits for its place.
    pub(super) patience: Duration,
}

impl Places {
    /// Returns what is right where a write mostly waits for voters so long at most.
    pub(super) fn over(waits: Duration) -> Self {
        let share = waits.as_millis() as usize * CONNECTIONS / AGAIN.as_millis() as usize;
        let connections = (CONNECTIONS + share).min(CONNECTIONS_MAX);
        let patience = PATIENCE + waits * COMMITS;
        Self { connections, strong: connections * 3 / 4, patience }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_further_the_voters_the_more_may_wait_for_them_at_once() {
        check(0, (16, 12, 500));
        check(80, (22, 16, 820));
        check(160, (28, 21, 1_140));
    }

    #[test]
    fn there_are_never_more_than_the_server_has_for_a_service() {
        check(1_000, (30, 22, 4_500));
    }

    #[track_caller]
    fn check(waits: u64, (connections, strong, patience): (usize, usize, u64)) {
        let patience = Duration::from_millis(patience);
        let places = Places::over(Duration::from_millis(waits));
        assert_eq!(places, Places { connections, strong, patience });
    }
}
