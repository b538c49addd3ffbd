//! Asks sites that stand still for tickets and messages, past the routers, so that the requests are there
//! when the sites wake up: before anybody could have told them that they were succeeded.
//!
//! Of both, because a ticket proves too little: it waits for voters who have turned away, whether or not the
//! site knows that its right has run out. A message waits for nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use topology::SiteId;
use topology::address::Port;

use super::Run;
use crate::course::Course;
use crate::history::{Kind, Operation, Outcome};
use crate::load::Client;

/// Requests to each site: more than its services work on at once.
const EACH: usize = 20;
/// From before the thaw until any answer that would still mean something.
const WITHIN: Duration = Duration::from_secs(5);
/// Until the requests have reached the sites, before these are let go.
pub(super) const ARRIVE: Duration = Duration::from_millis(500);

/// Returns the requests with their answers, in numbers that the load does not reach.
pub(super) async fn ask(run: &Run<'_>, client: &Client, course: &Course) -> Vec<Operation> {
    let frozen: Vec<SiteId> = course.fault().map(|fault| fault.frozen).unwrap_or_default();
    let mut asked = Vec::new();
    let mut number = u32::MAX;
    for site in &frozen {
        let gateway = run.platform.spec.site_address(&site.cell, &site.region, Port::Gateway);
        let epoch = course.before.get(&site.cell).map(|tally| tally.epoch);
        let (Some(gateway), Some(epoch)) = (gateway, epoch) else { continue };
        let users = course.users.iter().enumerate().filter(|(_, user)| user.cell == site.cell);
        for (index, user) in users.take(EACH) {
            number -= 1;
            let kind = if number.is_multiple_of(2) { Kind::Ticket } else { Kind::Message };
            asked.push(async move {
                let sent = run.clock.now();
                let asking =
                    client.ask_directly(gateway, (index, user), epoch, (kind, number), WITHIN);
                let (outcome, served) = asking.await;
                let ended = run.clock.now();
                Operation {
                    number,
                    kind,
                    user: index,
                    from: None,
                    tries: 1,
                    intended: sent,
                    sent,
                    last_try: Duration::ZERO,
                    ended,
                    outcome,
                    served,
                }
            });
        }
    }
    join_all(asked).await
}

/// Returns how they were answered, for people.
pub(super) fn told(direct: &[Operation]) -> Option<String> {
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for operation in direct {
        let said = match (&operation.outcome, &operation.served) {
            (Outcome::Ok(_), Some(served)) => format!("acknowledged under epoch {}", served.epoch),
            (Outcome::Ok(_), None) => "acknowledged".to_owned(),
            (Outcome::Fail(failure) | Outcome::Unknown(failure), _) => failure.to_string(),
        };
        *answers.entry(format!("{}: {said}", operation.kind.name())).or_default() += 1;
    }
    let listed: Vec<String> =
        answers.into_iter().map(|(answer, count)| format!("{count} × {answer}")).collect();
    (!listed.is_empty()).then(|| format!("asked directly as it was let go: {}", listed.join(", ")))
}
