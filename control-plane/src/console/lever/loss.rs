//! What a failover could lose, in words, and what it takes to accept that.

use std::time::Duration;

use crate::console::Console;
use crate::console::texts::{Texts, fill};
use crate::console::words::{bytes, duration};
use crate::levers::history::Expected;
use crate::levers::preview::Loss;

/// What is at stake.
pub(super) struct AtStake {
    pub(super) winner: String,
    /// What of strong writes.
    pub(super) strong: String,
    /// What of weak ones.
    pub(super) weak: String,
    /// Acknowledged strong writes may be lost: a person has to accept that, and to say why.
    pub(super) must_accept: bool,
}

impl AtStake {
    /// Of what is asked in earnest only with data loss accepted (`is_forced`), that has to be accepted
    /// whatever is at stake by now.
    pub(super) fn of(console: &Console, t: &Texts, loss: &Loss, is_forced: bool) -> Self {
        let unheard: Vec<String> =
            loss.unheard.iter().map(|region| console.region_name(region)).collect();
        let (votes, needed) = (loss.votes.to_string(), loss.votes_needed.to_string());
        let values =
            [("votes", votes.as_str()), ("needed", &needed), ("unheard", &unheard.join(", "))];
        let strong = if loss.acknowledged_writes { t.loss_strong } else { t.loss_no_strong };
        let weak = match loss.behind_bytes {
            Some(0) => t.loss_no_weak.to_owned(),
            Some(count) => fill(t.loss_weak, &[("bytes", &bytes(count))]),
            None => t.loss_weak_unknown.to_owned(),
        };
        let nobody = || t.nobody_answers.to_owned();
        Self {
            winner: loss.winner.as_ref().map_or_else(nobody, |region| console.region_name(region)),
            strong: fill(strong, &values),
            weak,
            must_accept: is_forced || loss.acknowledged_writes,
        }
    }
}

/// How long the users of a lost site wait.
pub(super) fn pause(t: &Texts, expected: Option<&Expected>) -> String {
    let Some(expected) = expected else { return t.pause_election.to_owned() };
    let took = duration(Duration::from_millis(expected.took_ms));
    fill(t.pause_election_of, &[("time", &took), ("count", &expected.moves.to_string())])
}
