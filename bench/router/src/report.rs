//! The tables, in Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;

use crate::app::{Plan, Results};
use crate::figure::Figure;
use crate::load::CONNECTIONS;
use crate::memory::IDLE;
use crate::proxy::{Contender, Program, Task};
use crate::round::{Cost, Latencies, RATE};
use crate::shape::Shape;

/// At most so much of Envoy's time …
const GOAL_ENVOY: f64 = 0.5;
/// … and of HAProxy's, though these only hash …
const GOAL_HAPROXY: f64 = 1.8;
/// … or better still.
const STRETCH_HAPROXY: f64 = 1.4;

/// What stands around the tables in the document.
const BEGIN: &str = "<!-- measured: written by make bench-router -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Returns the tables of a run.
pub(crate) fn text(plan: &Plan, results: &Results) -> String {
    let mut text = String::new();
    for line in &results.machine {
        line_to(&mut text, &format!("* {line}"));
    }
    line_to(
        &mut text,
        &format!(
            "* {CONNECTIONS} connections, {} users, {} rounds of {} s; load average {} before and {} after",
            plan.users,
            plan.rounds,
            plan.duration.as_secs(),
            results.load[0],
            results.load[1],
        ),
    );
    for tables in [costs, goals, throughput, latencies, memory] {
        text.push('\n');
        text.push_str(&tables(results));
    }
    text
}

/// Puts the tables into the document, in place of the ones before.
pub(crate) fn put(document: &Path, tables: &str) -> anyhow::Result<()> {
    let path = document.display();
    let text = fs::read_to_string(document).with_context(|| format!("read {path}"))?;
    let replaced = replace(&text, tables).with_context(|| format!("find the tables in {path}"))?;
    fs::write(document, replaced).with_context(|| format!("write {path}"))
}

fn replace(text: &str, tables: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{tables}\n{END}{after}"))
}

fn costs(results: &Results) -> String {
    let heads = Shape::ALL.map(|shape| format!("{} | × HAProxy", shape.as_str()));
    let mut text = table("CPU per request, µs", "proxy", &heads.join(" | "));
    for (place, contender) in results.contenders.iter().enumerate() {
        let cells = results.costs.values().map(|costs| {
            let ratio = costs[place].cpu.over(&costs[haproxy(results)].cpu);
            format!("{} | {ratio}", costs[place].cpu)
        });
        row(&mut text, contender.name(), cells);
    }
    text
}

/// Says of each kind of request whether the goal is met.
fn goals(results: &Results) -> String {
    let mut text = table(
        "Goals: the router with everything on, beside those that only hash",
        "request",
        &format!(
            "× Envoy (goal {GOAL_ENVOY}) | × HAProxy (goal {GOAL_HAPROXY}, \
             stretch {STRETCH_HAPROXY}) | × Pingora alone | the router's verdict | Pingora alone's"
        ),
    );
    let find = |program, task| position(results, program, task);
    let router = find(Program::Router, Task::Everything);
    let smallest = find(Program::Smallest, Task::Hash);
    let (envoy, haproxy) = (find(Program::Envoy, Task::Hash), Some(haproxy(results)));
    for (shape, costs) in Shape::ALL.iter().zip(results.costs.values()) {
        let judged = |own| {
            let (envoy, haproxy) = (ratio(costs, own, envoy), ratio(costs, own, haproxy));
            (verdict(envoy.as_ref(), haproxy.as_ref()).to_owned(), envoy, haproxy)
        };
        let shown = |figure: Option<Figure>| {
            figure.map_or_else(|| "not measured".to_owned(), |figure| figure.to_string())
        };
        let (verdict, over_envoy, over_haproxy) = judged(router);
        let (floor, ..) = judged(smallest);
        let over_smallest = ratio(costs, router, smallest);
        let ratios = [over_envoy, over_haproxy, over_smallest].map(shown);
        row(&mut text, shape.as_str(), ratios.into_iter().chain([verdict, floor]));
    }
    text
}

fn verdict(envoy: Option<&Figure>, haproxy: Option<&Figure>) -> &'static str {
    let haproxy = haproxy.map_or(f64::INFINITY, Figure::median);
    if envoy.is_some_and(|ratio| ratio.median() > GOAL_ENVOY) || haproxy > GOAL_HAPROXY {
        "missed"
    } else if haproxy > STRETCH_HAPROXY {
        "met"
    } else {
        "met, stretch too"
    }
}

fn throughput(results: &Results) -> String {
    let heads = Shape::ALL.map(|shape| format!("{} | share", shape.as_str()));
    let mut text = table(
        "One core, requests a second, and the share of the core that the proxy had",
        "proxy",
        &heads.join(" | "),
    );
    for (place, contender) in results.contenders.iter().enumerate() {
        let cells = results.costs.values().map(|costs| {
            let Cost { throughput, share, .. } = &costs[place];
            format!("{throughput} | {:.0} %", share.median() * 100.0)
        });
        row(&mut text, contender.name(), cells);
    }
    text
}

fn latencies(results: &Results) -> String {
    let each = Shape::ALL.iter().zip(&results.latencies);
    let tables = each.map(|(shape, latencies)| latency(*shape, &results.contenders, latencies));
    tables.collect::<Vec<_>>().join("\n")
}

fn latency(shape: Shape, contenders: &[Contender], latencies: &Latencies) -> String {
    let title = format!("Latency at {RATE} requests a second, µs ({})", shape.as_str());
    let mut text = table(&title, "proxy", "p50 | added | p99 | added");
    let direct = &latencies.direct;
    let shown = |figure: &Figure| figure.to_string();
    let none = || "–".to_owned();
    row(&mut text, "a site alone", [shown(&direct.p50), none(), shown(&direct.p99), none()]);
    for (contender, latency) in contenders.iter().zip(&latencies.through) {
        let (p50, p99) = (latency.p50.above(&direct.p50), latency.p99.above(&direct.p99));
        let cells = [shown(&latency.p50), shown(&p50), shown(&latency.p99), shown(&p99)];
        row(&mut text, contender.name(), cells);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^53")]
fn memory(results: &Results) -> String {
    const MEGABYTE: f64 = 1024.0 * 1024.0;
    let title = format!("Memory with {IDLE} idle connections, MB");
    let mut text = table(&title, "proxy", "before | with them | KB each");
    for (contender, memory) in results.contenders.iter().zip(&results.memories) {
        let (before, idle) = (memory.before as f64, memory.idle as f64);
        let each = (idle - before) / IDLE as f64 / 1024.0;
        let megabytes = |bytes: f64| format!("{:.0}", bytes / MEGABYTE);
        row(
            &mut text,
            contender.name(),
            [megabytes(before), megabytes(idle), format!("{each:.1}")],
        );
    }
    text
}

/// The one that everybody is compared with.
fn haproxy(results: &Results) -> usize {
    position(results, Program::Haproxy, Task::Hash).unwrap_or_default()
}

fn position(results: &Results, program: Program, task: Task) -> Option<usize> {
    results.contenders.iter().position(|contender| *contender == Contender { program, task })
}

fn ratio(costs: &[Cost], own: Option<usize>, other: Option<usize>) -> Option<Figure> {
    Some(costs[own?].cpu.over(&costs[other?].cpu))
}

fn table(title: &str, first: &str, heads: &str) -> String {
    let columns = heads.matches(" | ").count() + 2;
    format!("### {title}\n\n| {first} | {heads} |\n|{}\n", "---|".repeat(columns))
}

fn row(text: &mut String, name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    line_to(text, &format!("| {name} | {} |", cells.join(" | ")));
}

fn line_to(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::round::Latency;

    #[test]
    fn each_kind_of_request_has_its_latencies_beside_those_of_a_site_asked_for_the_same() {
        let kinds = [(1.0, 3.0), (10.0, 14.0), (100.0, 105.0)];
        let latency = |p50, p99| Latency { p50: figure(p50), p99: figure(p99) };
        let latencies = kinds.map(|(direct, through)| Latencies {
            direct: latency(direct, 2.0 * direct),
            through: vec![latency(through, 3.0 * through)],
        });
        let results = Results {
            contenders: vec![Contender { program: Program::Router, task: Task::Everything }],
            costs: BTreeMap::new(),
            latencies: latencies.into(),
            memories: Vec::new(),
            machine: Vec::new(),
            load: ["0".to_owned(), "0".to_owned()],
        };
        let heads = "| proxy | p50 | added | p99 | added |\n|---|---|---|---|---|\n";
        let expected = format!(
            "### Latency at 1000 requests a second, µs (GET, 512 B)\n\n{heads}\
             | a site alone | 1.00 (1.00–1.00) | – | 2.00 (2.00–2.00) | – |\n\
             | router | 3.00 (3.00–3.00) | 2.00 (2.00–2.00) | 9.00 (9.00–9.00) | 7.00 (7.00–7.00) |\n\n\
             ### Latency at 1000 requests a second, µs (GET, 16 KB)\n\n{heads}\
             | a site alone | 10.0 (10.0–10.0) | – | 20.0 (20.0–20.0) | – |\n\
             | router | 14.0 (14.0–14.0) | 4.00 (4.00–4.00) | 42.0 (42.0–42.0) | 22.0 (22.0–22.0) |\n\n\
             ### Latency at 1000 requests a second, µs (POST, 1 KB)\n\n{heads}\
             | a site alone | 100 (100–100) | – | 200 (200–200) | – |\n\
             | router | 105 (105–105) | 5.00 (5.00–5.00) | 315 (315–315) | 115 (115–115) |\n"
        );
        assert_eq!(super::latencies(&results), expected);
    }

    #[test]
    fn a_goal_is_met_only_beside_both() {
        for (envoy, haproxy, expected) in [
            (0.4, 1.4, "met, stretch too"),
            (0.5, 1.8, "met"),
            (0.4, 1.81, "missed"),
            (0.51, 1.3, "missed"),
        ] {
            assert_eq!(verdict(Some(&figure(envoy)), Some(&figure(haproxy))), expected);
        }
    }

    #[test]
    fn tables_are_replaced_and_the_text_around_them_stays() {
        let document = format!("why\n{BEGIN}\nold\n{END}what else\n");
        let expected = format!("why\n{BEGIN}\nnew\n\n{END}what else\n");
        assert_eq!(replace(&document, "new\n"), Some(expected));
        assert_eq!(replace("nothing", "new\n"), None);
    }

    fn figure(value: f64) -> Figure {
        let mut figure = Figure::default();
        figure.push(value);
        figure
    }
}
