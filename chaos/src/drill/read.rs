//! A drill file as written → as meant.

use std::collections::BTreeMap;
use std::time::Duration;

use super::yaml::{self, Need, Reader, Section, duration};
use super::{Action, Drill, Expect, Finding, Probe, Scope, StopCondition, Validity};
use crate::check::Check;
use crate::metrics::{Measure, Unit, Value};

mod fault;
mod load;
mod method;

const KEYS: [&str; 17] = [
    "version",
    "title",
    "description",
    "tags",
    "steady-state-hypothesis",
    "method",
    "repeat",
    "rollbacks",
    "load",
    "limits",
    "goals",
    "checks",
    "allow-logs",
    "stop-conditions",
    "expect",
    "scope",
    "seed",
];

/// What else is expected is so for a while only.
const EXPECT: &str = "serve; refuse-writes is said of an action";

/// Two cores shared with the platform under test schedule a due request this late at worst; more
/// would falsify latencies.
const LAG_P99: Duration = Duration::from_millis(50);
/// Less would allow what nobody has thought of.
const ALLOWED_MIN: usize = 8;
const OPS_BEFORE: usize = 100;
const OPS_IN_WINDOW: usize = 100;

pub(super) fn read(name: &str, text: &str) -> Result<Drill, Vec<Finding>> {
    let root = yaml::parse(text).map_err(|finding| vec![finding])?;
    let mut reader = Reader::default();
    let drill = drill(&mut reader, name, &root);
    let findings = reader.into_findings();
    match drill {
        Some(drill) if findings.is_empty() => Ok(drill),
        Some(_) | None => Err(findings),
    }
}

fn drill(reader: &mut Reader, name: &str, root: &marked_yaml::Node) -> Option<Drill> {
    let keys: Vec<&str> = KEYS.into_iter().chain(["validity"]).collect();
    let root = reader.root(root, &keys)?;
    let one_of = |word: &'static str| move |text: &str| (text == word).then_some(());
    reader.value(&root, "version", Need::May, "\"1.0.0\"", one_of("1.0.0"));
    reader.value(&root, "expect", Need::May, EXPECT, one_of("serve"));
    if !reader.sections(&root, "rollbacks", Need::May, &[]).is_empty() {
        reader.report(&root, "rollbacks", "what a fault did is undone by itself; leave it empty");
    }
    let title = reader.text(&root, "title", Need::Must);
    let description = reader.text(&root, "description", Need::May).unwrap_or_default();
    let tags = reader.words(&root, "tags", "a word", |word| Some(word.to_owned()));
    let steady_state = steady_state(reader, &root);
    let method = method::method(reader, &root);
    let load = load::load(reader, &root);
    let limits = claims(reader, &root, "limits");
    let goals = claims(reader, &root, "goals");
    let checks = reader.words(&root, "checks", Check::NAMES, Check::named);
    if checks.contains(&Check::StreamOrder) && load.streams == 0 {
        let problem = "stream-order is about streams: say in `load: streams` how many there are";
        reader.report(&root, "checks", problem);
    }
    let allow_logs = allow_logs(reader, &root, &checks);
    let stop_conditions = stop_conditions(reader, &root);
    let scope = scope(reader, &root);
    let seed = reader.number(&root, "seed").unwrap_or(1);
    let validity = validity(reader, &root);
    let method = method?;
    refusals(reader, &root, &method.actions, &checks);
    Some(Drill {
        name: name.to_owned(),
        title: title?,
        description,
        tags,
        steady_state,
        actions: method.actions,
        repeat: method.repeat,
        after_heal: method.after_heal,
        load,
        limits,
        goals,
        checks,
        allow_logs,
        stop_conditions,
        scope,
        seed,
        validity,
    })
}

/// Where writes are to be refused it is looked at how, and only there.
fn refusals(reader: &mut Reader, root: &Section<'_>, actions: &[Action], checks: &[Check]) {
    let is_expected = actions.iter().any(|action| action.expect == Expect::RefuseWrites);
    for check in Check::OF_REFUSALS {
        let name = check.name();
        match (is_expected, checks.contains(&check)) {
            (true, false) => {
                let problem = format!("{name} is missing: an action says expect: refuse-writes");
                reader.report(root, "checks", problem);
            }
            (false, true) => {
                let problem = format!("{name}: no action says expect: refuse-writes");
                reader.report(root, "checks", problem);
            }
            (true, true) | (false, false) => {}
        }
    }
}

fn allow_logs(reader: &mut Reader, root: &Section<'_>, checks: &[Check]) -> Vec<String> {
    let expected = "a part of a line of a log, of 8 characters at least";
    let part = |text: &str| (text.len() >= ALLOWED_MIN).then(|| text.to_owned());
    let parts = reader.words(root, "allow-logs", expected, part);
    if !parts.is_empty() && !checks.contains(&Check::LogPatterns) {
        reader.report(root, "allow-logs", "of the check log-patterns: name that in `checks`, too");
    }
    parts
}

fn steady_state(reader: &mut Reader, root: &Section<'_>) -> Vec<Probe> {
    let key = "steady-state-hypothesis";
    let Some(hypothesis) = reader.section(root, key, Need::Must, &["title", "probes"]) else {
        return Vec::new();
    };
    reader.text(&hypothesis, "title", Need::Must);
    let keys = ["type", "name", "tolerance", "provider"];
    let probes = reader.sections(&hypothesis, "probes", Need::Must, &keys);
    probes.iter().filter_map(|item| probe(reader, item)).collect()
}

fn probe(reader: &mut Reader, item: &Section<'_>) -> Option<Probe> {
    reader.value(item, "type", Need::May, "probe", |text| (text == "probe").then_some(()));
    let name = reader.text(item, "name", Need::Must);
    let provider = reader.section(item, "provider", Need::Must, &["type", "measure"])?;
    let kind = reader.value(&provider, "type", Need::Must, "platform or load", |text| {
        ["platform", "load"].into_iter().find(|known| *known == text)
    })?;
    if kind == "platform" {
        let known = |text: &str| ["redundant", "settled"].into_iter().find(|known| *known == text);
        let measure =
            reader.value(&provider, "measure", Need::Must, "redundant or settled", known)?;
        let held = |text: &str| (text == "true").then_some(());
        reader.value(item, "tolerance", Need::Must, "true", held)?;
        let name = name?;
        return Some(match measure {
            "settled" => Probe::Settled { name },
            _ => Probe::Redundant { name },
        });
    }
    let ratio = |text: &str| (text == "ok-ratio").then_some(());
    reader.value(&provider, "measure", Need::Must, "ok-ratio", ratio)?;
    let tolerance = reader.section(item, "tolerance", Need::Must, &["type", "range"])?;
    reader.value(&tolerance, "type", Need::Must, "range", |text| (text == "range").then_some(()));
    let range = reader.words(&tolerance, "range", "a number", |text| text.parse::<f64>().ok());
    let [at_least, _] = range[..] else {
        reader.report(&tolerance, "range", "expected two numbers, such as [0.99, 1.0]");
        return None;
    };
    Some(Probe::OkRatio { name: name?, at_least })
}

fn claims(reader: &mut Reader, root: &Section<'_>, key: &'static str) -> BTreeMap<Measure, Value> {
    let names = Measure::ALL.map(Measure::name);
    let Some(item) = reader.section(root, key, Need::May, &names) else { return BTreeMap::new() };
    let written = item.keys();
    let mut claims = BTreeMap::new();
    for measure in
        Measure::ALL.into_iter().filter(|measure| written.iter().any(|name| name == measure.name()))
    {
        let bound = match measure.unit() {
            Unit::Time => reader.duration(&item, measure.name(), Need::Must).map(Value::Time),
            Unit::Count => reader.number(&item, measure.name()).map(Value::Count),
        };
        claims.extend(bound.map(|bound| (measure, bound)));
    }
    claims
}

fn stop_conditions(reader: &mut Reader, root: &Section<'_>) -> Vec<StopCondition> {
    let keys = ["source", "name", "above", "for"];
    let items = reader.sections(root, "stop-conditions", Need::May, &keys);
    let mut conditions = Vec::new();
    for item in &items {
        let metric = |text: &str| (text == "metric").then_some(());
        reader.value(item, "source", Need::Must, "metric", metric);
        let rate = |text: &str| (text == "other-cells-error-rate").then_some(());
        reader.value(item, "name", Need::Must, "other-cells-error-rate", rate);
        let above = reader.value(item, "above", Need::Must, "a share such as 0.5", |text| {
            text.parse::<f64>().ok().filter(|share| (0.0..1.0).contains(share))
        });
        let over = reader.value(item, "for", Need::Must, "a duration such as 3s", duration);
        conditions.extend(above.zip(over).map(|(above, over)| StopCondition { above, over }));
    }
    conditions
}

fn scope(reader: &mut Reader, root: &Section<'_>) -> Scope {
    let keys = ["max-cells", "max-regions", "environment"];
    let item = reader.section(root, "scope", Need::May, &keys);
    let environment = item.as_ref().and_then(|item| reader.text(item, keys[2], Need::May));
    let mut number = |key| item.as_ref().and_then(|item| reader.number(item, key)).unwrap_or(1);
    Scope { max_cells: number(keys[0]), max_regions: number(keys[1]), environment }
}

fn validity(reader: &mut Reader, root: &Section<'_>) -> Validity {
    let mut validity = Validity {
        min_ops_before: OPS_BEFORE,
        min_ops_in_window: OPS_IN_WINDOW,
        max_generator_lag_p99: LAG_P99,
    };
    let keys = ["min-ops-before", "min-ops-in-window", "max-generator-lag-p99"];
    let Some(item) = reader.section(root, "validity", Need::May, &keys) else { return validity };
    let (before, window) = (reader.number(&item, keys[0]), reader.number(&item, keys[1]));
    validity.min_ops_before = before.unwrap_or(validity.min_ops_before);
    validity.min_ops_in_window = window.unwrap_or(validity.min_ops_in_window);
    let lag = reader.duration(&item, keys[2], Need::May);
    validity.max_generator_lag_p99 = lag.unwrap_or(validity.max_generator_lag_p99);
    validity
}
