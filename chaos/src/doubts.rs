//! Asks the control planes whom of them they do not believe, and what those have written down.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};
use topology::RegionId;

use crate::control_plane::ControlPlane;
use crate::course::{Course, Doubts};
use crate::history::Clock;

/// What a control plane writes down of a cell that looks bad while it is not to be believed.
const UNDECIDED: &str = "undecided";
/// A row is good again a few probes after everything is healed.
const GOOD: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

/// Returns what they say once everything is healed, or why it is not known.
pub(crate) async fn read(
    control_plane: &ControlPlane,
    clock: &Clock,
    course: &Course,
) -> anyhow::Result<Doubts> {
    let due = Instant::now() + GOOD;
    let mut doubts = loop {
        let seen = control_plane.vantages(None).await?;
        let blind = seen.blind().map(str::parse).collect::<Result<_, _>>();
        let doubts = Doubts { blind: blind.context("read a region's id")?, ..Doubts::default() };
        if doubts.blind.is_empty() || Instant::now() >= due {
            break doubts;
        }
        sleep(PAUSE).await;
    };
    for cell in course.before.keys() {
        let noted = control_plane.noted(cell).await?;
        let noted = noted.with_context(|| format!("read what was noted of {cell}"))?;
        let of_run = noted.iter().filter(|noted| {
            noted.what == UNDECIDED && clock.at_unix_ms(noted.at_unix_ms).is_some()
        });
        for noted in of_run {
            let vantage: RegionId = noted.vantage.parse().context("read a region's id")?;
            doubts.undecided.entry(vantage).or_default().insert(cell.clone());
        }
    }
    Ok(doubts)
}
