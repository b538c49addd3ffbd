//! Every request as a point of the page: from the run itself, or from its history on disk.

use serde::Deserialize;

use crate::course::Course;
use crate::history::{Failure, Kind, Outcome};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) cell: String,
    /// When it was due, and how long it took from then, in seconds.
    pub(crate) due: f64,
    pub(crate) latency: f64,
    /// How often it was sent; a dropped one never was.
    pub(crate) tries: u32,
    pub(crate) look: Look,
    /// Of one that was not answered well.
    pub(crate) told: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Ticket,
    Message,
    Read,
    Failed,
    /// Failed, and never sent: more were under way than the load allows.
    Dropped,
    Unknown,
}

impl Look {
    pub(crate) fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::Dropped | Self::Unknown => true,
            Self::Ticket | Self::Message | Self::Read => false,
        }
    }
}

/// [`Failure::Dropped`] in a history.
const DROPPED: &str = "dropped";

/// Of a line of the history, what a point needs.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    f: String,
    #[serde(default)]
    cell: String,
    time: u64,
    /// Of a completion.
    latency: Option<u64>,
    /// Of a request that was sent again.
    tries: Option<u32>,
    #[serde(default)]
    op_id: u32,
    error: Option<String>,
}

pub(super) fn of_course(course: &Course) -> Vec<Point> {
    let points = course.operations.iter().map(|operation| {
        let (look, failure) = match (&operation.outcome, operation.kind) {
            (Outcome::Ok(_), Kind::Ticket | Kind::Transition) => (Look::Ticket, None),
            (Outcome::Ok(_), Kind::Message) => (Look::Message, None),
            (Outcome::Ok(_), Kind::StrongRead | Kind::WeakRead) => (Look::Read, None),
            (Outcome::Fail(failure @ Failure::Dropped), _) => (Look::Dropped, Some(failure)),
            (Outcome::Fail(failure), _) => (Look::Failed, Some(failure)),
            (Outcome::Unknown(failure), _) => (Look::Unknown, Some(failure)),
        };
        let told =
            |failure| format!("{} {}: {failure}", operation.kind.function(), operation.number);
        Point {
            cell: course.cell_of(operation).to_string(),
            due: operation.intended.as_secs_f64(),
            latency: operation.latency().as_secs_f64(),
            tries: if look == Look::Dropped { 0 } else { operation.tries.max(1) },
            look,
            told: failure.map(told),
        }
    });
    points.collect()
}

/// Reads them from a history; lines that are no request's end are passed over.
pub(super) fn of_history(text: &str) -> Vec<Point> {
    let points = text.lines().filter_map(|line| {
        let line: Line = serde_json::from_str(line).ok()?;
        let look = match (line.kind.as_str(), line.f.as_str()) {
            ("ok", "ticket" | "cas") => Look::Ticket,
            ("ok", "read" | "weak-read") => Look::Read,
            // Answered well, if not as its user would have liked.
            ("fail", _) if line.error.as_deref() == Some("overtaken") => Look::Ticket,
            ("ok", _) => Look::Message,
            ("fail", _) if line.error.as_deref() == Some(DROPPED) => Look::Dropped,
            ("fail", _) => Look::Failed,
            ("info", _) => Look::Unknown,
            _ => return None,
        };
        let latency = line.latency?;
        // Subtracted while both are whole: what was due at an edge of a column stays on its side.
        let (due, latency) = (seconds(line.time.saturating_sub(latency)), seconds(latency));
        let error = line.error.filter(|_| look.is_failure());
        let told = error.map(|error| format!("{} {}: {error}", line.f, line.op_id));
        let tries = if look == Look::Dropped { 0 } else { line.tries.unwrap_or(1) };
        Some(Point { cell: line.cell, due, latency, tries, look, told })
    });
    points.collect()
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run that lasted minutes")]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::{
        again, connection, ended, heard, message, opened, refused, ticket, users,
    };
    use crate::history::{Clock, End, Operation, history_jsonl};

    #[test]
    fn a_history_shows_the_same_points_as_the_run_it_is_of() {
        let dropped = Outcome::Fail(Failure::Dropped);
        let operations = vec![
            ticket(0, 500, 505),
            message(1, 600, 900, 1),
            refused(2, 700, 701),
            again(1000, ticket(3, 800, 1100)),
            Operation { outcome: dropped, ..refused(4, 900, 900) },
        ];
        // Of streams there are none.
        let streams =
            connection(1, vec![(400, opened(1)), (890, heard(1, 1)), (950, ended(End::Moved))]);
        let course = Course { users: users(), operations, streams, ..Course::default() };
        let (clock, users) = (Clock::start(), &course.users);
        let text = history_jsonl("r", &clock, users, &course.operations, &course.streams, &[]);
        let rounded = |points: Vec<Point>| {
            let mut points: Vec<_> = points
                .into_iter()
                .map(|p| {
                    (format!("{:.3} {:.3} {}", p.due, p.latency, p.tries), p.cell, p.look, p.told)
                })
                .collect();
            points.sort_by(|one, other| one.0.cmp(&other.0));
            points
        };
        assert_eq!(rounded(of_history(&text)), rounded(of_course(&course)));
    }
}
