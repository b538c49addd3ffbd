//! What the cells have noted of each write agrees with what was answered: every acknowledged write is there, under
//! the epoch that its answer names, each epoch has one writer, and in the log none comes after a later one (I1).
//!
//! The rows are those of the history that survived. What a zombie has written and nobody kept is not among them;
//! its answers are, and `single-writer` and `no-late-ack` hold them against each other.

use std::collections::{BTreeMap, BTreeSet};

use topology::{CellId, Epoch, SiteId};

use super::Finding;
use crate::course::{ConversationRead, Course};
use crate::history::{Effect, Failure, Kind, Operation, Outcome, Served};
use crate::ledger::{By, LedgerRead, Noted, place};

/// A site's database, with what it has noted of each write by its number.
type Database<'a> = (&'a SiteId, BTreeMap<u32, &'a Noted>);

pub(super) fn check(course: &Course) -> Finding {
    let mut broken = BTreeSet::new();
    let mut missing = BTreeSet::new();
    let read = &course.final_state.ledger;
    let cells: BTreeSet<&CellId> = writes(course).map(|write| course.cell_of(write)).collect();
    for cell in cells.into_iter().filter(|cell| !read.keys().any(|site| site.cell == **cell)) {
        missing.insert(format!("no ledger of {cell} was read"));
    }
    let acknowledged: BTreeSet<u32> =
        writes(course).filter(|write| has_done(write)).map(|write| write.number).collect();
    let mut of_cells: BTreeMap<&CellId, Vec<Database<'_>>> = BTreeMap::new();
    for (site, read) in read {
        let rows = match read {
            LedgerRead::Rows(rows) => rows,
            LedgerRead::Unread(why) => {
                missing.insert(format!("ledger of {site}: {why}"));
                continue;
            }
        };
        missing.extend(unsigned(site, rows));
        broken.extend(out_of_order(site, rows, &acknowledged));
        broken.extend(two_writers(site, rows));
        let numbered = rows.iter().filter_map(|row| Some((row.number?, row))).collect();
        of_cells.entry(&site.cell).or_default().push((site, numbered));
    }
    let unserved = writes(course).filter(|write| has_done(write) && write.served.is_none());
    missing.extend(
        unserved.map(|write| format!("the answer to {} does not say whose it is", name(write))),
    );
    for write in writes(course) {
        let databases = of_cells.get(course.cell_of(write)).map_or(&[][..], Vec::as_slice);
        match expected(course, write) {
            Ok(Expected::There) => broken.extend(not_there(course, write, databases)),
            Ok(Expected::Nowhere(why)) => broken.extend(somewhere(write, why, databases)),
            Ok(Expected::Either) => {}
            Err(why) => {
                missing.insert(why);
            }
        }
    }
    Finding::from_evidence(broken.into_iter().collect(), missing.into_iter().collect())
}

/// What the ledger has to have of a write.
enum Expected {
    There,
    /// And why.
    Nowhere(&'static str),
    /// It may have been done or not.
    Either,
}

fn writes(course: &Course) -> impl Iterator<Item = &Operation> {
    course.operations.iter().filter(|operation| match operation.kind {
        Kind::Ticket | Kind::Message | Kind::Transition => true,
        Kind::StrongRead | Kind::WeakRead => false,
    })
}

fn has_done(write: &Operation) -> bool {
    match &write.outcome {
        Outcome::Ok(Effect::Ticket { .. } | Effect::Message { .. } | Effect::Changed { .. }) => {
            true
        }
        Outcome::Ok(Effect::Overtaken { .. } | Effect::Read { .. })
        | Outcome::Fail(_)
        | Outcome::Unknown(_) => false,
    }
}

/// A message may be lost with its site: its row goes with it, and stays with it.
fn expected(course: &Course, write: &Operation) -> Result<Expected, String> {
    match &write.outcome {
        Outcome::Ok(Effect::Message { .. }) => {
            match course.final_state.conversations.get(&write.user) {
                Some(ConversationRead::Messages(kept)) => {
                    let is_kept = kept.iter().any(|(_, number)| *number == write.number);
                    Ok(if is_kept { Expected::There } else { Expected::Nowhere("is lost") })
                }
                Some(ConversationRead::Unread(why)) => Err(format!("{}: {why}", name(write))),
                None => Err(format!("{} was not read back", name(write))),
            }
        }
        Outcome::Ok(Effect::Ticket { .. } | Effect::Changed { .. }) => Ok(Expected::There),
        Outcome::Ok(Effect::Overtaken { .. }) => Ok(Expected::Nowhere("came too late")),
        // A message may be kept and its answer be refused.
        Outcome::Fail(failure) if write.kind.is_strong_write() && *failure != Failure::Dropped => {
            Ok(Expected::Nowhere("was refused"))
        }
        Outcome::Ok(Effect::Read { .. }) | Outcome::Fail(_) | Outcome::Unknown(_) => {
            Ok(Expected::Either)
        }
    }
}

fn not_there(course: &Course, write: &Operation, databases: &[Database<'_>]) -> BTreeSet<String> {
    let slot = course.users[write.user].slot.number();
    let mut broken = BTreeSet::new();
    for (site, rows) in databases {
        let Some(row) = rows.get(&write.number) else {
            broken.insert(format!("{} is acknowledged, and {site} has no row of it", name(write)));
            continue;
        };
        if row.slot != slot {
            let noted = row.slot;
            broken.insert(format!("{} is of slot {slot}, and is noted in {noted}", name(write)));
        }
        if let (Some(by), Some(served)) = (&row.by, &write.served) {
            broken.extend(disagree(by, served).map(|how| format!("{} {how}", name(write))));
        }
    }
    broken
}

/// Returns how an answer is not that of a write. To whoever asks again a later epoch answers for an earlier one.
fn disagree(by: &By, served: &Served) -> Option<String> {
    let is_there = by.site.cell == served.cell && by.site.region == served.region;
    let is_its = is_there && by.epoch == served.epoch;
    if is_its || (served.replayed && by.epoch < served.epoch) {
        return None;
    }
    let (site, epoch) = (&by.site, by.epoch);
    Some(format!(
        "was answered by {}@{} under epoch {}, and is noted of {site} under epoch {epoch}",
        served.cell, served.region, served.epoch
    ))
}

fn somewhere(write: &Operation, why: &str, databases: &[Database<'_>]) -> Vec<String> {
    let there = databases.iter().filter(|(_, rows)| rows.contains_key(&write.number));
    there.map(|(site, _)| format!("{} {why}, and {site} has a row of it", name(write))).collect()
}

/// Returns the writes that do not say by whom.
fn unsigned(site: &SiteId, rows: &[Noted]) -> Option<String> {
    let count = rows.iter().filter(|row| row.by.is_none()).count();
    let first = rows.iter().find(|row| row.by.is_none())?;
    Some(format!("{count} rows of {site} do not say who wrote, the first is {}", first.key))
}

/// Returns the writes that come after one of a later epoch. What began under an epoch may be committed by the same
/// site after it has opened the next one in place; it is not acknowledged then.
fn out_of_order(site: &SiteId, rows: &[Noted], acknowledged: &BTreeSet<u32>) -> Vec<String> {
    let mut signed: Vec<(&By, &Noted)> =
        rows.iter().filter_map(|row| Some((row.by.as_ref()?, row))).collect();
    signed.sort_unstable();
    let mut latest: BTreeMap<&CellId, (&By, &Noted)> = BTreeMap::new();
    let mut broken = Vec::new();
    for (by, row) in signed {
        let of_cell = latest.entry(&by.site.cell).or_insert((by, row));
        if by.epoch >= of_cell.0.epoch {
            *of_cell = (by, row);
            continue;
        }
        let (later, after) = *of_cell;
        let is_acknowledged = row.number.is_some_and(|number| acknowledged.contains(&number));
        if by.site != later.site || is_acknowledged {
            broken.push(format!(
                "in the log of {} {} comes after {}",
                site.cell,
                told(by, row),
                told(later, after)
            ));
        }
    }
    broken
}

fn told(by: &By, row: &Noted) -> String {
    format!("{} of {} under epoch {} at {}", row.key, by.site, by.epoch, place(by.lsn))
}

/// Returns the epochs under which more than one site wrote.
fn two_writers(site: &SiteId, rows: &[Noted]) -> BTreeSet<String> {
    let mut writers: BTreeMap<(&CellId, Epoch), &SiteId> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for by in rows.iter().filter_map(|row| row.by.as_ref()) {
        let first = *writers.entry((&by.site.cell, by.epoch)).or_insert(&by.site);
        if *first != by.site {
            let (cell, epoch, other) = (&site.cell, by.epoch, &by.site);
            let (one, two) = if first < other { (first, other) } else { (other, first) };
            broken.insert(format!("{one} and {two} both wrote in {cell} under epoch {epoch}"));
        }
    }
    broken
}

fn name(write: &Operation) -> String {
    format!("{} {}", write.kind.name(), write.number)
}

#[cfg(test)]
mod tests;
