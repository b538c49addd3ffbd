//! The load of a drill: how much is asked for by how many, and of what.

use std::time::Duration;

use super::super::yaml::{Need, Reader, Section};
use super::super::{Arrivals, Load, Retries};
use crate::history::Kind;

/// A modest machine serves three cells, the drill and the checks at this rate with room to spare.
const RATE: f64 = 60.0;
const RATE_MAX: f64 = 5_000.0;
const USERS: usize = 90;
const USERS_MAX: usize = 10_000;
/// Longer than any hold, so that a request that hangs is seen as such.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const MAX_IN_FLIGHT: usize = 2_000;
/// With pauses that double, more would wait for longer than any answer takes.
const TRIES_MAX: u32 = 10;
/// Few users are a load too small for shares.
const SAVED: u16 = 10;
/// More would be no bound on what asks again at once.
const SAVED_MAX: u16 = 1_000;
/// Each is a connection of the routers and one of a site, beside those that requests need.
const STREAMS_MAX: usize = 200;

pub(super) fn load(reader: &mut Reader, root: &Section<'_>) -> Load {
    let mut load = Load {
        arrivals: Arrivals::Poisson,
        rate: RATE,
        users: USERS,
        mix: [(Kind::Ticket, 1), (Kind::Message, 1)].into(),
        request_timeout: REQUEST_TIMEOUT,
        max_in_flight: MAX_IN_FLIGHT,
        retries: None,
        streams: 0,
    };
    let keys = [
        "model",
        "rate",
        "users",
        "mix",
        "request-timeout",
        "max-in-flight",
        "client-retry",
        "retries",
        "streams",
    ];
    let Some(item) = reader.section(root, "load", Need::May, &keys) else { return load };
    let model = reader.value(&item, "model", Need::May, "poisson or constant", |text| match text {
        "poisson" => Some(Arrivals::Poisson),
        "constant" => Some(Arrivals::Constant),
        _ => None,
    });
    load.arrivals = model.unwrap_or(load.arrivals);
    load.rate = reader.number(&item, "rate").unwrap_or(load.rate);
    if !(1.0..=RATE_MAX).contains(&load.rate) {
        reader.report(&item, "rate", "out of range: 1 to 5000 requests a second");
    }
    load.users = reader.number(&item, "users").unwrap_or(load.users);
    if !(1..=USERS_MAX).contains(&load.users) {
        reader.report(&item, "users", "out of range: 1 to 10000");
    }
    let kinds = Kind::ALL.map(Kind::name);
    if let Some(mix) = reader.section(&item, "mix", Need::May, &kinds) {
        let share = |kind: Kind| Some((kind, reader.number(&mix, kind.name())?));
        load.mix = Kind::ALL.into_iter().filter_map(share).collect();
        let sum = load.mix.values().try_fold(0_u32, |sum, share| sum.checked_add(*share));
        if sum.is_none_or(|sum| sum == 0) {
            reader.report(&item, "mix", "out of range: at least one kind needs a share");
        }
    }
    let timeout = reader.duration(&item, "request-timeout", Need::May);
    load.request_timeout = timeout.unwrap_or(load.request_timeout);
    load.max_in_flight = reader.number(&item, "max-in-flight").unwrap_or(load.max_in_flight);
    let none = |text: &str| (text == "none").then_some(());
    let never = reader.value(&item, "client-retry", Need::May, "none", none);
    load.retries = retries(reader, &item);
    if never.is_some() && load.retries.is_some() {
        reader.report(&item, "client-retry", "none contradicts `retries`: leave one of them out");
    }
    load.streams = reader.number(&item, "streams").unwrap_or(load.streams);
    let most = load.users.min(STREAMS_MAX);
    if load.streams > most {
        reader.report(
            &item,
            "streams",
            format!("out of range: 0 to {most}, one of a user at most"),
        );
    }
    if load.streams > 0 && !load.has(Kind::Message) {
        let problem = "nothing would be told in them: `mix` has no message";
        reader.report(&item, "streams", problem);
    }
    load
}

fn retries(reader: &mut Reader, load: &Section<'_>) -> Option<Retries> {
    let item =
        reader.section(load, "retries", Need::May, &["tries", "backoff", "budget", "saved"])?;
    let tries = reader.value(&item, "tries", Need::Must, "2 to 10", |text| {
        text.parse().ok().filter(|tries| (2..=TRIES_MAX).contains(tries))
    });
    let backoff = reader.duration(&item, "backoff", Need::Must);
    let budget = reader.value(&item, "budget", Need::Must, "a share such as 0.2", |text| {
        text.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share))
    });
    let saved = reader.value(&item, "saved", Need::May, "1 to 1000", |text| {
        text.parse().ok().filter(|saved| (1..=SAVED_MAX).contains(saved))
    });
    let saved = saved.unwrap_or(SAVED);
    Some(Retries { tries: tries?, backoff: backoff?, budget: budget?, saved })
}
