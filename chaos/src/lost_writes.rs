//! Asks the control plane what each cell has lost, once the lost site is back and has looked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};
use topology::{CellId, RegionId};

use crate::check::lost_weak;
use crate::control_plane::{ControlPlane, LostWrites};
use crate::course::{Course, LostRow, LostWritesRead};
use crate::history::unmark;

/// A site that is back lists its losses right after it has rejoined.
const LISTED: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

/// Returns what each cell reports of this run. Reports may come late: as long as a site does not
/// say, or a message is missing that none of them has, they are read again, within bounds.
pub(crate) async fn read(
    control_plane: &ControlPlane,
    run: &str,
    course: &Course,
) -> BTreeMap<CellId, LostWritesRead> {
    let lost: BTreeSet<u32> =
        lost_weak(course).into_iter().flatten().map(|operation| operation.number).collect();
    let cells: BTreeSet<&CellId> = course.users.iter().map(|user| &user.cell).collect();
    let due = Instant::now() + LISTED;
    loop {
        let mut read = BTreeMap::new();
        let mut is_old = false;
        for cell in &cells {
            let of_cell = match control_plane.lost_writes(cell).await {
                Ok(Some(found)) => understood(run, cell, &found),
                Ok(None) => {
                    is_old = true;
                    let why = "the control plane answered 404: it does not know of lost writes";
                    Ok(LostWritesRead::Unread(why.to_owned()))
                }
                Err(err) => Err(err),
            };
            let unread = |err: anyhow::Error| LostWritesRead::Unread(format!("{err:#}"));
            read.insert((*cell).clone(), of_cell.unwrap_or_else(unread));
        }
        if is_old || is_whole(&read, &lost) || Instant::now() >= due {
            return read;
        }
        sleep(PAUSE).await;
    }
}

/// Whether everybody said, and all that is lost is among it.
fn is_whole(read: &BTreeMap<CellId, LostWritesRead>, lost: &BTreeSet<u32>) -> bool {
    let mut listed = BTreeSet::new();
    for of_cell in read.values() {
        match of_cell {
            LostWritesRead::Reported { rows, .. } => listed.extend(rows.iter().map(|r| r.number)),
            LostWritesRead::Unread(_) => return false,
        }
    }
    lost.is_subset(&listed)
}

fn understood(run: &str, cell: &CellId, found: &LostWrites) -> anyhow::Result<LostWritesRead> {
    if let Some(region) = found.unreachable.first() {
        return Ok(LostWritesRead::Unread(format!("{cell}@{region} did not say")));
    }
    let (mut rows, mut gaps) = (Vec::new(), Vec::new());
    for report in &found.data {
        let region: RegionId = report.region.parse().context("read a report's region")?;
        let place = format!("the report of {}@{region}, epoch {}", report.cell, report.epoch);
        gaps.extend(report.incomplete.iter().map(|why| format!("{place} has no rows: {why}")));
        if report.truncated {
            gaps.push(format!("{place} is cut short"));
        }
        for write in &report.writes {
            // Whatever column it is in: a mark is like nothing else.
            let mut texts = write.key.values().chain(write.about.values());
            let number = texts.find_map(|text| unmark(run, text));
            let epoch = topology::Epoch(report.epoch);
            rows.extend(number.map(|number| LostRow { number, region: region.clone(), epoch }));
        }
    }
    Ok(LostWritesRead::Reported { rows, gaps })
}

#[cfg(test)]
mod tests {
    use topology::Epoch;
    use topology::wire::lost_writes::{LostWrite, LostWritesReport};

    use super::*;

    #[test]
    fn a_row_is_known_by_its_mark_and_those_of_other_runs_are_let_be() {
        let about = |mark: &str| [("client_message_id".to_owned(), mark.to_owned())].into();
        let write = |mark: &str| LostWrite {
            table: "messages".to_owned(),
            key: [("id".to_owned(), "msg_1".to_owned())].into(),
            about: about(mark),
        };
        let report = LostWritesReport {
            cell: "c1".to_owned(),
            region: "east".to_owned(),
            epoch: 7,
            writes: vec![write("run-1/17"), write("run-0/18"), write("something")],
            truncated: true,
            ..LostWritesReport::default()
        };
        let region = "east".parse().unwrap();
        let cell: CellId = "c1".parse().unwrap();
        let mut found = LostWrites { data: vec![report], unreachable: Vec::new() };
        assert_eq!(
            understood("run-1", &cell, &found).unwrap(),
            LostWritesRead::Reported {
                rows: vec![LostRow { number: 17, region, epoch: Epoch(7) }],
                gaps: vec!["the report of c1@east, epoch 7 is cut short".to_owned()],
            }
        );
        found.unreachable = vec!["north".to_owned()];
        assert_eq!(
            understood("run-1", &cell, &found).unwrap(),
            LostWritesRead::Unread("c1@north did not say".to_owned())
        );
    }
}
