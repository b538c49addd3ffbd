//! Asks the control plane what each cell has lost, once the lost site is back and has looked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};
use topology::public_id::PublicId;
use topology::{CellId, Epoch, RegionId};

use crate::check::lost_weak;
use crate::control_plane::{ControlPlane, LostWrites};
use crate::course::{Course, LostRow, LostWritesRead};
use crate::history::{Effect, Outcome, unmark};

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
    let tickets = course.operations.iter().filter_map(|operation| match &operation.outcome {
        Outcome::Ok(Effect::Ticket { id }) => Some((id.as_str(), operation.number)),
        Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => None,
    });
    let tickets: BTreeMap<u128, u32> =
        tickets.filter_map(|(id, number)| Some((uuid_of(id)?, number))).collect();
    let due = Instant::now() + LISTED;
    loop {
        let mut read = BTreeMap::new();
        let mut is_old = false;
        for cell in &cells {
            let of_cell = match control_plane.lost_writes(cell).await {
                Ok(Some(found)) => understood(run, cell, &found, &tickets),
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

fn understood(
    run: &str,
    cell: &CellId,
    found: &LostWrites,
    tickets: &BTreeMap<u128, u32>,
) -> anyhow::Result<LostWritesRead> {
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
            let number = match write.table.as_str() {
                "messages" => {
                    let mark = write.about.get("client_message_id");
                    mark.and_then(|mark| unmark(run, mark))
                }
                "tickets" => {
                    let id = write.key.get("ticket_id");
                    id.and_then(|id| tickets.get(&uuid(id)?).copied())
                }
                // What goes along with these, and is not acknowledged by itself.
                _ => None,
            };
            let epoch = Epoch(report.epoch);
            rows.extend(number.map(|number| LostRow { number, region: region.clone(), epoch }));
        }
    }
    Ok(LostWritesRead::Reported { rows, gaps })
}

/// A ticket's id as users know it → as the database has it.
fn uuid_of(id: &str) -> Option<u128> {
    id.parse::<PublicId>().ok().map(|public| public.id)
}

fn uuid(text: &str) -> Option<u128> {
    u128::from_str_radix(&text.replace('-', ""), 16).ok()
}

#[cfg(test)]
mod tests {
    use topology::public_id::Kind;
    use topology::wire::lost_writes::{LostWrite, LostWritesReport};

    use topology::Slot;

    use super::*;

    const UUID: &str = "19ab0000-0000-7000-8000-000000000009";

    #[test]
    fn a_row_is_known_by_its_mark_or_id_and_those_of_other_runs_are_let_be() {
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
            writes: vec![
                write("run-1/17"),
                write("run-0/18"),
                LostWrite { table: "idempotency_keys".to_owned(), ..write("run-1/19") },
                LostWrite {
                    table: "tickets".to_owned(),
                    key: [("ticket_id".to_owned(), UUID.to_owned())].into(),
                    about: BTreeMap::new(),
                },
            ],
            truncated: true,
            ..LostWritesReport::default()
        };
        let region: RegionId = "east".parse().unwrap();
        let cell: CellId = "c1".parse().unwrap();
        let (kind, slot) = (Kind::Ticket, Slot::of("ada"));
        let told = PublicId { kind, slot, id: 0x19ab_0000_0000_7000_8000_0000_0000_0009 };
        let tickets = [(uuid_of(&told.to_string()).unwrap(), 20)].into();
        let mut found = LostWrites { data: vec![report], unreachable: Vec::new() };
        assert_eq!(
            understood("run-1", &cell, &found, &tickets).unwrap(),
            LostWritesRead::Reported {
                rows: [17, 20]
                    .map(|number| LostRow { number, region: region.clone(), epoch: Epoch(7) })
                    .into(),
                gaps: vec!["the report of c1@east, epoch 7 is cut short".to_owned()],
            }
        );
        found.unreachable = vec!["north".to_owned()];
        assert_eq!(
            understood("run-1", &cell, &found, &tickets).unwrap(),
            LostWritesRead::Unread("c1@north did not say".to_owned())
        );
    }
}
