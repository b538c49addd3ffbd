//! What the guard itself sees of the cells that a drill does not touch: it asks for some of their users, and
//! holds the answers against the drill's stop conditions. Whether its run still looks does not matter.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderValue, Method, header};
use runtime::HttpClient;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

use crate::drill::StopCondition;
use crate::journal::Watching;
use crate::platform::Platform;
use crate::token;

/// Between two requests: next to nothing for the platform, and enough to tell within a second.
const PAUSE: Duration = Duration::from_millis(100);
/// Longer than a cell that only moves by plan, or a machine that is busy, keeps anybody waiting; routers
/// hold a request for ten.
const ASK: Duration = Duration::from_secs(8);
/// As many as are asked while one waits for its answer; what would be more counts as failed.
const IN_FLIGHT_MAX: usize = 80;

/// An answer, or that there was none.
#[derive(Clone, Debug)]
struct Answer {
    at: Instant,
    cell: String,
    is_ok: bool,
}

pub(super) struct Others {
    watching: Watching,
    /// Which cells are touched.
    hit: BTreeSet<String>,
    begun: Instant,
    bearers: Vec<HeaderValue>,
    url: String,
    http: HttpClient,
    beat: Interval,
    asked: usize,
    in_flight: FuturesUnordered<Pin<Box<dyn Future<Output = Answer> + Send>>>,
    answers: VecDeque<Answer>,
}

impl Others {
    /// Begins to look, as something is being broken from now on.
    pub(super) fn new(platform: &Platform, watching: Watching) -> anyhow::Result<Self> {
        let bearer = |user: &str| {
            let token = token::development(&platform.identity_key, user)?;
            HeaderValue::try_from(format!("Bearer {token}")).context("write a token")
        };
        let bearers = watching.users.iter().map(|(user, _)| bearer(user));
        let bearers = bearers.collect::<anyhow::Result<_>>()?;
        let mut beat = interval(PAUSE);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            watching,
            hit: BTreeSet::new(),
            begun: Instant::now(),
            bearers,
            url: format!("http://{}/v1/conversations", platform.spec.edge.listen),
            http: HttpClient::default(),
            beat,
            asked: 0,
            in_flight: FuturesUnordered::new(),
            answers: VecDeque::new(),
        })
    }

    /// Says which cells are touched by now.
    pub(super) fn hit(&mut self, cells: &BTreeSet<String>) {
        self.hit.clone_from(cells);
    }

    /// Asks once or hears an answer, and returns why the drill has to be stopped, if it has. May be
    /// dropped and asked again.
    pub(super) async fn turn(&mut self) -> Option<String> {
        tokio::select! {
            _ = self.beat.tick() => self.ask(),
            Some(answer) = self.in_flight.next() => self.answers.push_back(answer),
        }
        let now = Instant::now();
        let longest = self.watching.conditions.iter().map(|condition| condition.over).max();
        let from = now.checked_sub(longest?)?;
        while self.answers.front().is_some_and(|answer| answer.at < from) {
            self.answers.pop_front();
        }
        self.answers.retain(|answer| !self.hit.contains(&answer.cell));
        met(&self.watching.conditions, self.answers.make_contiguous(), self.begun, now)
    }

    /// Asks for the next user whose cell is not touched.
    fn ask(&mut self) {
        let users = &self.watching.users;
        let others = (0..users.len()).map(|offset| (self.asked + offset) % users.len());
        let Some(user) = others.into_iter().find(|user| !self.hit.contains(&users[*user].1)) else {
            return;
        };
        self.asked = user + 1;
        let cell = users[user].1.clone();
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            self.answers.push_back(Answer { at: Instant::now(), cell, is_ok: false });
            return;
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, self.bearers[user].clone());
        // A standby's answer would not show that its cell serves.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let (http, url) = (self.http.clone(), self.url.clone());
        self.in_flight.push(Box::pin(async move {
            let answer = http.call(Method::GET, &url, headers, "", ASK).await;
            let is_ok = answer.is_ok_and(|answer| answer.status.is_success());
            Answer { at: Instant::now(), cell, is_ok }
        }));
    }
}

/// Returns the first condition that is met by the answers of its time, all of it after something was broken.
fn met(
    conditions: &[StopCondition],
    answers: &[Answer],
    begun: Instant,
    now: Instant,
) -> Option<String> {
    let is_met = |condition: &&StopCondition| {
        let Some(from) = now.checked_sub(condition.over).filter(|from| *from >= begun) else {
            return false;
        };
        let lately = answers.iter().filter(|answer| answer.at >= from);
        let (asked, failed) = lately
            .fold((0, 0), |(asked, failed), answer| (asked + 1, failed + u32::from(!answer.is_ok)));
        condition.is_met(asked, failed)
    };
    let condition = conditions.iter().find(is_met)?;
    Some(format!("the guard saw that {condition}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_before_anything_was_broken_stops_nothing() {
        let begun = Instant::now();
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let conditions = [StopCondition { above: 0.5, over: Duration::from_secs(3) }];
        let answers = |failing: u64| -> Vec<Answer> {
            let is_ok = |n: u64| n % 4 >= failing;
            let answer = |n| Answer { at: at(n * 100), cell: "c2".to_owned(), is_ok: is_ok(n) };
            (0..40).map(answer).collect()
        };
        let told = |failing, now| met(&conditions, &answers(failing), begun, at(now)).is_some();
        assert_eq!([told(3, 2900), told(3, 3900), told(2, 3900)], [false, true, false]);
    }
}
