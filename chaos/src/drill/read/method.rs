//! What is done to the platform, as written → as meant.

use std::str::FromStr;
use std::time::Duration;

use super::super::yaml::{Need, Reader, Section, duration};
use super::super::{
    Action, Choice, EtcdMember, Fault, Lasting, Place, ProcessRole, REPEAT_MAX, Repeat, TTL_MAX,
};

const VERIFY_WITHIN: Duration = Duration::from_secs(2);
/// Longer is no pause any more but a freeze.
const LASTING_MAX: Duration = Duration::from_secs(10);

pub(super) struct Method {
    pub(super) actions: Vec<Action>,
    pub(super) repeat: Option<Repeat>,
    pub(super) after_heal: Duration,
}

pub(super) fn method(reader: &mut Reader, root: &Section<'_>) -> Option<Method> {
    let repeat = reader.section(root, "repeat", Need::May, &["for", "every"]);
    let is_repeated = repeat.is_some();
    let repeat = repeat.and_then(|item| repeated(reader, &item));
    let keys = ["type", "name", "provider", "pauses"];
    let items = reader.sections(root, "method", Need::Must, &keys);
    let mut after_heal = Duration::ZERO;
    let mut actions = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let place = Turn { is_first: index == 0, is_last: index + 1 == items.len(), is_repeated };
        let read = action(reader, item, place);
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
    Some(Repeat { lasting: lasting?, every: every? })
}

/// Which pauses an action needs depends on where it stands.
#[derive(Clone, Copy)]
struct Turn {
    is_first: bool,
    is_last: bool,
    is_repeated: bool,
}

/// Returns the action, and how long the load goes on after all was healed.
fn action(reader: &mut Reader, item: &Section<'_>, turn: Turn) -> Option<(Action, Duration)> {
    reader.value(item, "type", Need::Must, "action", |text| (text == "action").then_some(()));
    let name = reader.text(item, "name", Need::Must);
    let need = |must: bool| if must { Need::Must } else { Need::May };
    let is_observed = turn.is_last && !turn.is_repeated;
    let keys = ["before", "after", "healed"];
    let pauses = reader.section(item, "pauses", need(turn.is_first || is_observed), &keys);
    let mut pause = |key, must| {
        let pause = pauses.as_ref().map(|item| reader.duration(item, key, need(must)));
        // What need not be said is nothing; what must be said has been reported.
        pause.unwrap_or_default().or((!must).then_some(Duration::ZERO))
    };
    let before = pause("before", turn.is_first);
    let after = pause("after", is_observed);
    let healed = pause("healed", false);
    let keys = ["type", "kind", "target", "for", "ttl", "verify"];
    let provider = reader.section(item, "provider", Need::Must, &keys)?;
    reader.value(&provider, "type", Need::Must, "fault", |text| (text == "fault").then_some(()));
    let fault = fault(reader, &provider);
    let ttl = reader.duration(&provider, "ttl", Need::Must);
    if ttl.is_some_and(|ttl| ttl > TTL_MAX) {
        reader.report(&provider, "ttl", "at most 15m: nobody waits longer for a forgotten fault");
    }
    if let (Some(ttl), Some(after)) = (ttl, after)
        && ttl <= after
    {
        reader.report(&provider, "ttl", "must be longer than pauses.after, or it ends observed");
    }
    let verify = reader.section(&provider, "verify", Need::May, &["within"]);
    let within = verify.and_then(|item| reader.duration(&item, "within", Need::Must));
    let action = Action {
        name: name?,
        fault: fault?,
        ttl: ttl?,
        verify_within: within.unwrap_or(VERIFY_WITHIN),
        before: before?,
        after: after?,
    };
    Some((action, healed?))
}

fn fault(reader: &mut Reader, provider: &Section<'_>) -> Option<Fault> {
    let known = Fault::KINDS;
    let kind = reader.value(provider, "kind", Need::Must, &known.join(", "), |text| {
        known.into_iter().find(|kind| *kind == text)
    })?;
    let keys: &[&str] = match kind {
        "process.kill" => &["cell", "role", "site"],
        "process.freeze" => &["cell", "process", "site"],
        "process.pause" => &["any"],
        "site.kill" | "site.freeze" | "postgres.stall" | "replication.stall" => &["cell", "site"],
        "region.kill" => &["region"],
        "switchover" => &["cell", "to"],
        "etcd.kill" => &["member"],
        _ => &["leader"],
    };
    let need = if kind == "etcd.leader-kill" { Need::May } else { Need::Must };
    let target = reader.section(provider, "target", need, keys);
    if kind == "etcd.leader-kill" {
        return Some(Fault::EtcdLeaderKill);
    }
    let target = target?;
    if !["process.pause", "postgres.stall", "replication.stall"].contains(&kind)
        && provider.keys().iter().any(|key| key == "for")
    {
        reader.report(provider, "for", "of pauses and stalls only; others last until healed");
    }
    let sites: &[(&str, Place)] = match kind {
        "site.kill" => &[("active", Place::Active), ("standby", Place::Standby)],
        _ => &[("active", Place::Active)],
    };
    let names: Vec<&str> = sites.iter().map(|(name, _)| *name).collect();
    let site = reader.value(&target, "site", Need::May, &names.join(" or "), |text| {
        sites.iter().find(|(name, _)| *name == text).map(|(_, place)| *place)
    });
    let site = site.unwrap_or(Place::Active);
    match kind {
        "process.kill" => {
            let (cell, role) = (choice(reader, &target, "cell"), role(reader, &target, "role"));
            Some(Fault::ProcessKill { cell: cell?, role: role? })
        }
        "process.freeze" => {
            let (cell, role) = (choice(reader, &target, "cell"), role(reader, &target, "process"));
            Some(Fault::ProcessFreeze { cell: cell?, role: role? })
        }
        "process.pause" => {
            let any = |text: &str| (text == "true").then_some(());
            reader.value(&target, "any", Need::Must, "true", any);
            Some(Fault::ProcessPause { lasting: lasting(reader, provider)? })
        }
        "site.kill" => {
            let cell = choice(reader, &target, "cell")?;
            Some(Fault::SiteKill { cell, site })
        }
        "site.freeze" => Some(Fault::SiteFreeze { cell: choice(reader, &target, "cell")? }),
        "postgres.stall" => {
            let (cell, lasting) = (choice(reader, &target, "cell"), lasting(reader, provider));
            Some(Fault::PostgresStall { cell: cell?, lasting: lasting? })
        }
        "replication.stall" => {
            let (cell, lasting) = (choice(reader, &target, "cell"), lasting(reader, provider));
            Some(Fault::ReplicationStall { cell: cell?, lasting: lasting? })
        }
        "region.kill" => Some(Fault::RegionKill { region: choice(reader, &target, "region")? }),
        "etcd.kill" => {
            let expected = "leader, all or a region's id";
            let member = reader.value(&target, "member", Need::Must, expected, |text| match text {
                "leader" => Some(EtcdMember::Leader),
                "all" => Some(EtcdMember::All),
                region => region.parse().ok().map(EtcdMember::Of),
            });
            Some(Fault::EtcdKill { member: member? })
        }
        _ => {
            let cell = choice(reader, &target, "cell");
            let to = choice(reader, &target, "to");
            Some(Fault::Switchover { cell: cell?, to: to? })
        }
    }
}

fn role(reader: &mut Reader, target: &Section<'_>, key: &'static str) -> Option<ProcessRole> {
    let names = ProcessRole::ALL.map(|(name, _)| name).join(", ");
    reader.value(target, key, Need::Must, &names, |text| {
        ProcessRole::ALL.iter().find(|(name, _)| *name == text).map(|(_, role)| *role)
    })
}

/// The two ends of a time that is left to chance.
fn lasting(reader: &mut Reader, provider: &Section<'_>) -> Option<Lasting> {
    let bounds = reader.words(provider, "for", "a duration such as 300ms", duration);
    let expected = "expected two durations up to 10s, the shorter first, such as [300ms, 1s]";
    match bounds[..] {
        [shortest, longest] if shortest <= longest && longest <= LASTING_MAX => {
            Some(Lasting { shortest, longest })
        }
        _ => {
            reader.report(provider, "for", expected);
            None
        }
    }
}

/// An id, or `auto`, which is also meant where nothing is said.
fn choice<T: FromStr>(reader: &mut Reader, item: &Section<'_>, key: &str) -> Option<Choice<T>> {
    if !item.keys().iter().any(|written| written == key) {
        return Some(Choice::Auto);
    }
    reader.value(item, key, Need::Must, "auto or an id", |text| match text {
        "auto" => Some(Choice::Auto),
        named => named.parse().ok().map(Choice::Named),
    })
}
