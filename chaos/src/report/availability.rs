//! The availability map: for each cell, rows of its users' slots, columns of time.

use std::collections::BTreeMap;

use super::columns::Columns;
use super::document::{Availability, CellMap, MapRow};
use crate::course::Course;
use crate::metrics::HELD;

/// Each of them has a request in most seconds then, at the rate the drills have.
const ROWS: usize = 8;
/// A column is a second or more, and there are at most this many.
const COLUMNS: f64 = 150.0;
const STEP_MIN: f64 = 1.0;

#[derive(Clone, Copy, Default)]
struct Square {
    asked: u32,
    failed: u32,
    held: u32,
}

pub(super) fn availability(course: &Course) -> Availability {
    let end = course.operations.iter().map(|op| op.intended).max().unwrap_or_default();
    let step = ((end.as_secs_f64() / COLUMNS / STEP_MIN).ceil() * STEP_MIN).max(STEP_MIN);
    let columns = Columns { step };
    let count = columns.of(end.as_secs_f64()) + 1;
    let mut of_cells: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, user) in course.users.iter().enumerate() {
        of_cells.entry(user.cell.to_string()).or_default().push(index);
    }
    let mut cells = Vec::new();
    for (cell, mut users) in of_cells {
        users.sort_by_key(|user| course.users[*user].slot);
        let each = users.len().div_ceil(ROWS).max(1);
        let rows = users.chunks(each).map(|of_row| row(course, of_row, columns, count));
        cells.push(CellMap { cell, rows: rows.collect() });
    }
    Availability { step, cells }
}

fn row(course: &Course, users: &[usize], columns: Columns, count: usize) -> MapRow {
    let mut squares = vec![Square::default(); count];
    for operation in course.operations.iter().filter(|op| users.contains(&op.user)) {
        let square = &mut squares[columns.of(operation.intended.as_secs_f64())];
        square.asked += 1;
        square.failed += u32::from(!operation.is_ok());
        square.held += u32::from(operation.is_ok() && operation.latency() > HELD);
    }
    let slot = |user: Option<&usize>| user.map_or(0, |user| course.users[*user].slot.number());
    MapRow {
        slots: [slot(users.first()), slot(users.last())],
        served: squares.into_iter().map(Square::letter).collect(),
    }
}

impl Square {
    fn letter(self) -> char {
        match self {
            Self { asked: 0, .. } => '-',
            Self { asked, failed, .. } if failed == asked => 'f',
            Self { failed: 1.., .. } => 'p',
            Self { held: 1.., .. } => 'h',
            Self { .. } => 'o',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{ms, refused, ticket, users};

    #[test]
    fn each_square_shows_the_worst_of_it() {
        let operations = vec![
            ticket(0, 0, 5),
            ticket(1, 1200, 2300),
            refused(2, 2200, 2201),
            ticket(3, 2400, 2410),
            refused(4, 4000, 4001),
        ];
        let course = Course { users: users(), operations, ..Course::default() };
        let map = availability(&course);
        let served = |cell: usize| map.cells[cell].rows[0].served.clone();
        assert_eq!((map.step, map.cells[0].cell.as_str()), (1.0, "c1"));
        assert_eq!((served(0), served(1)), ("ohp-f".to_owned(), "-----".to_owned()));
    }

    #[test]
    fn a_long_run_has_wider_columns() {
        let operations = vec![ticket(0, 0, 5), ticket(1, 600_000, 600_005)];
        let course = Course { users: users(), operations, ..Course::default() };
        let map = availability(&course);
        assert_eq!((map.step, map.cells[0].rows[0].served.len()), (4.0, 151));
        assert_eq!(course.operations[1].intended, ms(600_000));
    }
}
