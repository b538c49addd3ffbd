//! What is there in the end: for its users through the router, and in every site's database.

mod database;

use futures_util::stream::{self, StreamExt as _};
use topology::SiteId;

use crate::course::{Course, FinalState, Seen};
use crate::history::{Effect, Operation, Outcome};
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
    let (through_router, conversations) = tokio::join!(through_router, conversations);

    let mut databases = std::collections::BTreeMap::new();
    for cell in &platform.spec.cells {
        let sites =
            cell.regions().map(|region| SiteId { cell: cell.id.clone(), region: region.clone() });
        databases
            .extend(database::read_cell(platform, client.run(), &sites.collect::<Vec<_>>()).await);
    }
    FinalState { through_router, databases, conversations, ..FinalState::default() }
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
