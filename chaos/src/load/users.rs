//! Makes the simulated users: every cell has its share of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use futures_util::stream::{self, StreamExt as _};
use topology::{CellId, Placement, Slot, Spec, Version};

use super::Client;
use crate::drill::Load;
use crate::history::User;

/// Conversations opened at once: a start, not a test of it.
const AT_ONCE: usize = 8;

/// Opens a conversation per user, and a ticket where the load is about one, and returns the users as the platform sees them: the cell is the
/// one that answered.
pub(crate) async fn users(
    client: &mut Client,
    spec: &Spec,
    identity_key: &str,
    load: &Load,
) -> anyhow::Result<Vec<User>> {
    let count = load.users;
    let names = names(client.run(), spec, count);
    let keeps_ticket = load.mix.keys().any(|kind| kind.is_of_kept_ticket() && load.has(*kind));
    let opening = stream::iter(names.into_iter().map(|name| {
        let client = &*client;
        async move {
            let opened = client.open(&name, identity_key, keeps_ticket).await?;
            anyhow::Ok((name, opened))
        }
    }));
    let opened: Vec<_> = opening.buffered(AT_ONCE).collect().await;
    let mut users = Vec::with_capacity(opened.len());
    for result in opened {
        let (name, opened) = result?;
        let served = opened.served.as_ref();
        let cell = served.map(|served| served.cell.clone());
        let cell = cell.with_context(|| format!("see which cell serves {name}"))?;
        users.push(User { slot: Slot::of(&name), cell, name });
        client.add(opened);
    }
    for cell in spec.cells.iter().filter(|cell| cell.weight > 0) {
        let has_users = users.iter().any(|user| user.cell == cell.id);
        ensure!(has_users, "give every cell users: none of {count} lives in {}", cell.id);
    }
    Ok(users)
}

/// Returns names whose users live evenly in all cells, as far as the plan tells; placements that
/// were changed since only make it less even.
fn names(run: &str, spec: &Spec, count: usize) -> Vec<String> {
    let plan = Placement::plan(&spec.weights(), Version(0));
    let cells = spec.cells.iter().filter(|cell| cell.weight > 0).count().max(1);
    let share = count.div_ceil(cells);
    let mut taken: BTreeMap<CellId, usize> = BTreeMap::new();
    let candidates = (0..u32::MAX).map(|number| format!("{run}-{number}"));
    let even = candidates.filter(|name| {
        let of_cell = taken.entry(plan.cell_of(Slot::of(name)).clone()).or_default();
        *of_cell += 1;
        *of_cell <= share
    });
    even.take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_share_of_the_users() {
        let spec = Spec::parse(include_str!("../../../regions.yaml")).unwrap();
        let names = names("run", &spec, 90);
        let plan = Placement::plan(&spec.weights(), Version(0));
        for cell in &spec.cells {
            let lives = |name: &&String| *plan.cell_of(Slot::of(name)) == cell.id;
            assert_eq!(names.iter().filter(lives).count(), 30, "{}", cell.id);
        }
    }
}
