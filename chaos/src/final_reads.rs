//! What is there in the end: for its users through the router, and in every site's database.

pub(crate) mod database;
mod ledger;
mod replicas;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};
use topology::SiteId;

use crate::course::{Course, DatabaseRead, FinalState, FinalVersion, Seen};
use crate::history::{Effect, Operation, Outcome, User};
use crate::ledger::LedgerRead;
use crate::load::Client;
use crate::platform::Platform;

/// Reads at once: as fast as the platform answers, without being another load test.
const AT_ONCE: usize = 16;
/// A read that cannot be answered is repeated: here somebody wants to know, not to measure.
const ATTEMPTS: usize = 3;

/// Reads everything back. What cannot be read is recorded as such.
pub(crate) async fn read(platform: &Platform, client: &Client, course: &Course) -> FinalState {
    let acknowledged = course.operations.iter().filter_map(|operation| match &operation.outcome {
        Outcome::Ok(Effect::Ticket { id }) => Some((operation, id)),
        Outcome::Ok(_) | Outcome::Fail(_) | Outcome::Unknown(_) => None,
    });
    let through_router =
        stream::iter(acknowledged.map(|(operation, id)| seen(client, operation, id)))
            .buffer_unordered(AT_ONCE)
            .collect();
    let conversations = stream::iter(
        (0..course.users.len())
            .map(|user| async move { (user, client.read_conversation(user).await) }),
    )
    .buffer_unordered(AT_ONCE)
    .collect();
    let versions = stream::iter(
        (0..course.users.len())
            .map(|user| async move { Some((user, version(client, user).await?)) }),
    )
    .buffer_unordered(AT_ONCE)
    .filter_map(async |version| version)
    .collect();
    let (through_router, conversations, versions) =
        tokio::join!(through_router, conversations, versions);

    let mut databases = BTreeMap::new();
    let mut versions_in = BTreeMap::new();
    let (mut ledger, mut replicas) = (BTreeMap::new(), BTreeMap::new());
    for cell in &platform.spec.cells {
        let sites =
            cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() });
        let sites: Vec<SiteId> = sites.collect();
        for (site, rows) in database::read_cell(platform, client.run(), &sites).await {
            let read = match rows {
                Ok(rows) => {
                    versions_in.insert(site.clone(), of_users(&course.users, &rows.versions));
                    ledger.insert(site.clone(), rows.ledger);
                    DatabaseRead::Tickets(rows.tickets)
                }
                Err(err) => {
                    let why = format!("{err:#}");
                    ledger.insert(site.clone(), LedgerRead::Unread(why.clone()));
                    DatabaseRead::Unread(why)
                }
            };
            databases.insert(site, read);
        }
        replicas.extend(replicas::read(platform, &sites).await);
    }
    FinalState {
        through_router,
        databases,
        versions,
        versions_in,
        ledger,
        replicas,
        conversations,
        ..FinalState::default()
    }
}

/// Names → users.
fn of_users(users: &[User], versions: &BTreeMap<String, u64>) -> BTreeMap<usize, u64> {
    let users = users.iter().enumerate();
    users.filter_map(|(user, of)| Some((user, *versions.get(&of.name)?))).collect()
}

/// Reads the ticket that a user keeps; none where the load had none.
async fn version(client: &Client, user: usize) -> Option<FinalVersion> {
    let mut version = client.kept_version(user).await?;
    for _ in 1..ATTEMPTS {
        if !matches!(version, FinalVersion::Unread(_)) {
            break;
        }
        version = client.kept_version(user).await?;
    }
    Some(version)
}

async fn seen(client: &Client, operation: &Operation, id: &str) -> (u32, Seen) {
    let mut seen = client.see_ticket(operation.user, id).await;
    for _ in 1..ATTEMPTS {
        if !matches!(seen, Seen::Unread(_)) {
            break;
        }
        seen = client.see_ticket(operation.user, id).await;
    }
    (operation.number, seen)
}

#[cfg(test)]
mod tests;
