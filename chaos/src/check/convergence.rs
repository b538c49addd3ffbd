//! In the end every site's database of a cell has the same in it, and follows the primary's history: what has been
//! acknowledged is no safer than the copies are equal, and a copy that follows nobody is none.

use std::collections::{BTreeMap, BTreeSet};

use topology::{CellId, SiteId};

use super::Finding;
use crate::course::Course;
use crate::replica::{Contents, Replica, ReplicaRead};

/// Of a checksum, enough to see that it is another one.
const DIGITS: usize = 8;

pub(super) fn check(course: &Course) -> Finding {
    let read = &course.final_state.replicas;
    let cells: BTreeSet<&CellId> = course.users.iter().map(|user| &user.cell).collect();
    let unread_cells = cells.into_iter().filter(|cell| !read.keys().any(|s| s.cell == **cell));
    let mut missing: Vec<String> =
        unread_cells.map(|cell| format!("no database of {cell} was compared")).collect();
    missing.extend(read.iter().filter_map(|(site, read)| match read {
        ReplicaRead::Is(_) => None,
        ReplicaRead::Unread(why) => Some(format!("database of {site}: {why}")),
    }));
    let known = of_cells(read);
    let headless = known.iter().filter(|(_, replicas)| primary(replicas).is_none());
    missing.extend(headless.map(|(cell, _)| format!("no primary of {cell} was read")));
    Finding::from_evidence(apart(read), missing)
}

/// Returns how databases of a cell differ from its primary; nothing of those that could not be read.
pub(crate) fn apart(read: &BTreeMap<SiteId, ReplicaRead>) -> Vec<String> {
    let mut broken = Vec::new();
    for replicas in of_cells(read).values() {
        let Some((at, of_primary)) = primary(replicas) else { continue };
        for (site, replica) in replicas.iter().filter(|(site, _)| *site != at) {
            if replica.is_primary {
                broken.push(format!("{at} and {site} are both primary"));
            }
            if replica.timeline != of_primary.timeline {
                let (own, its) = (replica.timeline, of_primary.timeline);
                broken.push(format!("{site} is on timeline {own}, and {at} is on {its}"));
            }
            let tables: BTreeSet<&String> =
                of_primary.tables.keys().chain(replica.tables.keys()).collect();
            for table in tables {
                let (its, own) = (of_primary.tables.get(table), replica.tables.get(table));
                if its != own {
                    let (its, own) = (told(its), told(own));
                    broken.push(format!("{table}: {at} has {its}, and {site} has {own}"));
                }
            }
        }
    }
    broken
}

type Replicas<'a> = Vec<(&'a SiteId, &'a Replica)>;

fn of_cells(read: &BTreeMap<SiteId, ReplicaRead>) -> BTreeMap<&CellId, Replicas<'_>> {
    let mut cells: BTreeMap<&CellId, Replicas<'_>> = BTreeMap::new();
    for (site, read) in read {
        if let ReplicaRead::Is(replica) = read {
            cells.entry(&site.cell).or_default().push((site, replica));
        }
    }
    cells
}

fn primary<'a>(replicas: &Replicas<'a>) -> Option<(&'a SiteId, &'a Replica)> {
    replicas.iter().copied().find(|(_, replica)| replica.is_primary)
}

fn told(contents: Option<&Contents>) -> String {
    contents.map_or_else(
        || "none".to_owned(),
        |Contents { rows, checksum }| {
            let digits: String = checksum.chars().take(DIGITS).collect();
            format!("{rows} rows ({digits})")
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::fixture::users;

    fn replica(is_primary: bool) -> Replica {
        let of = |rows, checksum: &str| Contents { rows, checksum: checksum.to_owned() };
        let tables = [("messages", of(4, "aaaabbbbcccc")), ("tickets", of(0, ""))];
        let tables = tables.map(|(name, contents)| (name.to_owned(), contents)).into();
        Replica { is_primary, timeline: 5, tables }
    }

    /// One user's cell, of which east is the primary.
    fn course(change: impl FnOnce(&mut BTreeMap<SiteId, ReplicaRead>)) -> Course {
        let mut course = Course { users: users()[..1].to_vec(), ..Course::default() };
        for (site, is_primary) in [("c1@east", true), ("c1@north", false), ("c1@south", false)] {
            let read = ReplicaRead::Is(replica(is_primary));
            course.final_state.replicas.insert(id(site), read);
        }
        change(&mut course.final_state.replicas);
        course
    }

    fn id(site: &str) -> SiteId {
        site.parse().unwrap()
    }

    #[track_caller]
    fn broken(change: impl FnOnce(&mut Replica), expected: &str) {
        let mut south = replica(false);
        change(&mut south);
        let course = course(|read| {
            read.insert(id("c1@south"), ReplicaRead::Is(south));
        });
        assert_eq!(check(&course), Finding::Fail(vec![expected.to_owned()]));
    }

    #[test]
    fn databases_that_are_equal_are_right() {
        assert_eq!(check(&course(|_| ())), Finding::Pass);
    }

    #[test]
    fn a_row_that_is_another_one_is_caught() {
        broken(
            |south| {
                let messages = Contents { rows: 4, checksum: "ddddeeeeffff".to_owned() };
                south.tables.insert("messages".to_owned(), messages);
            },
            "messages: c1@east has 4 rows (aaaabbbb), and c1@south has 4 rows (ddddeeee)",
        );
    }

    #[test]
    fn a_table_that_is_not_there_is_caught() {
        broken(
            |south| drop(south.tables.remove("tickets")),
            "tickets: c1@east has 0 rows (), and c1@south has none",
        );
    }

    #[test]
    fn a_standby_on_another_timeline_is_caught_though_it_has_the_same_rows() {
        broken(|south| south.timeline = 4, "c1@south is on timeline 4, and c1@east is on 5");
    }

    #[test]
    fn a_second_primary_is_caught() {
        broken(|south| south.is_primary = true, "c1@east and c1@south are both primary");
    }

    #[test]
    fn what_could_not_be_read_proves_nothing() {
        let unread = ReplicaRead::Unread("it is away".to_owned());
        let unread = course(|read| drop(read.insert(id("c1@south"), unread)));
        let told = Finding::Unknown(vec!["database of c1@south: it is away".to_owned()]);
        assert_eq!(check(&unread), told);
        let headless = course(|read| drop(read.remove(&id("c1@east"))));
        let told = Finding::Unknown(vec!["no primary of c1 was read".to_owned()]);
        assert_eq!(check(&headless), told);
        let nobody = course(BTreeMap::clear);
        let told = Finding::Unknown(vec!["no database of c1 was compared".to_owned()]);
        assert_eq!(check(&nobody), told);
    }
}
