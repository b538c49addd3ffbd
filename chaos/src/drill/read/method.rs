//! What is done to the platform, as written → as meant.

use std::time::Duration;

use super::super::yaml::{Need, Reader, Section};
use super::super::{Action, Aim, Effect, Expect, Fault, REPEAT_MAX, Repeat, TTL_MAX, When};
use super::fault;

/// What the control plane says of a cell that moves, in the order it does.
const EVENTS: [&str; 4] = ["lease-lost", "electing", "promoting", "steady"];
const VERIFY_WITHIN: Duration = Duration::from_secs(2);

pub(super) struct Method {
    pub(super) actions: Vec<Action>,
    pub(super) repeat: Option<Repeat>,
    pub(super) after_heal: Duration,
}

pub(super) fn method(reader: &mut Reader, root: &Section<'_>) -> Option<Method> {
    let repeat = reader.section(root, "repeat", Need::May, &["for", "every", "target"]);
    let is_repeated = repeat.is_some();
    let repeat = repeat.and_then(|item| repeated(reader, &item));
    let keys = ["type", "name", "background", "when", "provider", "expect", "pauses"];
    let items = reader.sections(root, "method", Need::Must, &keys);
    let mut after_heal = Duration::ZERO;
    let mut actions = Vec::new();
    let mut follows = Follows::Nothing;
    for (index, item) in items.iter().enumerate() {
        let is_last = index + 1 == items.len();
        let place = Turn { follows, is_last, is_repeated };
        let read = action(reader, item, place);
        let is_together = read.as_ref().is_some_and(|(action, _)| action.is_together);
        follows = if is_together { Follows::InBackground } else { Follows::Another };
        after_heal = after_heal.max(read.as_ref().map_or(Duration::ZERO, |(_, healed)| *healed));
        actions.extend(read.map(|(action, _)| action));
    }
    let is_whole = !items.is_empty() && actions.len() == items.len();
    is_whole.then_some(Method { actions, repeat, after_heal })
}

fn repeated(reader: &mut Reader, item: &Section<'_>) -> Option<Repeat> {
    let lasting = reader.duration(item, "for", Need::Must);
    let every = reader.duration(item, "every", Need::Must);
    if lasting.is_some_and(|lasting| lasting > REPEAT_MAX) {
        reader.report(item, "for", "at most 90m: the users' tokens expire");
    }
    if every.is_some_and(|every| every.is_zero()) {
        reader.report(item, "every", "must be longer than nothing");
    }
    let aim = reader.value(item, "target", Need::May, "same or anew", |text| match text {
        "same" => Some(Aim::Same),
        "anew" => Some(Aim::Anew),
        _ => None,
    });
    Some(Repeat { lasting: lasting?, every: every?, aim: aim.unwrap_or(Aim::Anew) })
}

fn when(reader: &mut Reader, item: &Section<'_>, turn: Turn) -> Option<When> {
    let when = reader.section(item, "when", Need::May, &["event", "within"])?;
    if turn.follows != Follows::Another || turn.is_repeated {
        let of = "of a later action only, and of none that is repeated or joins another";
        reader.report(item, "when", of);
    }
    let event = reader.value(&when, "event", Need::Must, &EVENTS.join(", "), |text| {
        EVENTS.contains(&text).then(|| text.to_owned())
    });
    let within = reader.duration(&when, "within", Need::Must);
    Some(When { event: event?, within: within? })
}

/// The Chaos Toolkit's word for what does not keep the next one waiting.
fn background(reader: &mut Reader, item: &Section<'_>, turn: Turn) -> bool {
    let is_together = reader
        .value(item, "background", Need::May, "true or false", |text| text.parse::<bool>().ok());
    let is_together = is_together.unwrap_or(false);
    if is_together && (turn.is_last || turn.is_repeated) {
        reader.report(item, "background", "of none that is the last, or repeated");
    }
    is_together
}

fn expect(reader: &mut Reader, item: &Section<'_>, turn: Turn, is_together: bool) -> Expect {
    let names = Expect::ALL.map(Expect::name).join(" or ");
    let expect = reader.value(item, "expect", Need::May, &names, |text| {
        Expect::ALL.into_iter().find(|expect| expect.name() == text)
    });
    let expect = expect.unwrap_or_default();
    if expect == Expect::RefuseWrites && (turn.is_repeated || is_together) {
        reader.report(item, "expect", "refuse-writes: of none that is repeated, or in background");
    }
    expect
}

/// Which pauses an action needs depends on where it stands.
#[derive(Clone, Copy)]
struct Turn {
    follows: Follows,
    is_last: bool,
    is_repeated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    Nothing,
    Another,
    /// It is done at the same time as the one before it.
    InBackground,
}

/// Returns the action, and how long the load goes on after all was healed.
fn action(reader: &mut Reader, item: &Section<'_>, turn: Turn) -> Option<(Action, Duration)> {
    reader.value(item, "type", Need::Must, "action", |text| (text == "action").then_some(()));
    let name = reader.text(item, "name", Need::Must);
    let need = |must: bool| if must { Need::Must } else { Need::May };
    let is_first = turn.follows == Follows::Nothing;
    let is_observed = turn.is_last && !turn.is_repeated;
    let keys = ["before", "after", "healed"];
    let pauses = reader.section(item, "pauses", need(is_first || is_observed), &keys);
    let mut pause = |key, must| {
        let pause = pauses.as_ref().map(|item| reader.duration(item, key, need(must)));
        // What need not be said is nothing; what must be said has been reported.
        pause.unwrap_or_default().or((!must).then_some(Duration::ZERO))
    };
    let before = pause("before", is_first);
    let after = pause("after", is_observed);
    let healed = pause("healed", false);
    let when = when(reader, item, turn);
    let is_together = background(reader, item, turn);
    let expect = expect(reader, item, turn, is_together);
    if is_together && after.is_some_and(|after| !after.is_zero()) {
        reader.report(item, "pauses", "after is of the last of those that are done together");
    }
    let keys = ["type", "kind", "target", "arguments", "for", "share", "ttl", "verify"];
    let provider = reader.section(item, "provider", Need::Must, &keys)?;
    reader.value(&provider, "type", Need::Must, "fault", |text| (text == "fault").then_some(()));
    let fault = fault::fault(reader, &provider);
    let ttl = reader.duration(&provider, "ttl", Need::Must);
    if ttl.is_some_and(|ttl| ttl > TTL_MAX) {
        reader.report(&provider, "ttl", "at most 15m: nobody waits longer for a forgotten fault");
    }
    if let (Some(ttl), Some(after)) = (ttl, after)
        && ttl <= after
    {
        reader.report(&provider, "ttl", "must be longer than pauses.after, or it ends observed");
    }
    if let (Some(ttl), Some(Fault::Net { effect: Effect::Flap(flap), .. })) = (ttl, &fault)
        && ttl < flap.longest
    {
        reader.report(
            &provider,
            "ttl",
            "must be as long as any cut (`between`), or it ends in one",
        );
    }
    let verify = reader.section(&provider, "verify", Need::May, &["within"]);
    let within = verify.and_then(|item| reader.duration(&item, "within", Need::Must));
    let action = Action {
        name: name?,
        fault: fault?,
        ttl: ttl?,
        is_together,
        expect,
        when,
        verify_within: within.unwrap_or(VERIFY_WITHIN),
        before: before?,
        after: after?,
    };
    Some((action, healed?))
}
