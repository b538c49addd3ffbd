//! The tables, in Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::app::{Measured, Plan};
use crate::pure::Pure;
use crate::steady::Load;
use crate::timings::{Timings, milliseconds};

/// Deciding may take so long after a region's death …
const GOAL_DECIDE: Duration = Duration::from_millis(100);
/// … looking at everything and reading it so long …
const GOAL_RECONCILE: Duration = Duration::from_secs(1);
/// … and what routers read may be so large.
const GOAL_SNAPSHOT: usize = 1024 * 1024;
/// Ten times the cells may cost so many times as much before it looks quadratic.
const LINEAR: f64 = 30.0;

/// Whose load it is.
type Whose = fn(&Measured) -> Load;

const BEGIN: &str = "<!-- measured: written by make bench-control-plane -->\n";
const END: &str = "<!-- measured: end -->\n";

/// Returns the tables of a run.
pub(crate) fn text(
    plan: &Plan,
    machine: &[String],
    pure: &[Pure],
    measured: &[Measured],
) -> String {
    let mut text = String::new();
    for fact in machine {
        line(&mut text, &format!("* {fact}"));
    }
    let seconds = plan.duration.as_secs();
    line(&mut text, &format!("* nothing happens for {seconds} s, then a region dies"));
    text.push('\n');
    text.push_str(&self::pure(pure));
    text.push('\n');
    text.push_str(&goals(pure));
    if !measured.is_empty() {
        for table in [steady, processes, death] {
            text.push('\n');
            text.push_str(&table(measured));
        }
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

/// Deciding alone.
pub(crate) fn pure(all: &[Pure]) -> String {
    let heads = all.iter().map(|one| one.cells.to_string()).collect::<Vec<_>>().join(" | ");
    let mut text = table("Deciding, without etcd and network: p50 / p99 in ms", "cells", &heads);
    let row = |text: &mut String, name: &str, of: &dyn Fn(&Pure) -> String| {
        row(text, name, all.iter().map(of));
    };
    row(&mut text, "learn one probe's answer", &|one| one.fact.to_string());
    row(&mut text, "understand all that was read, and decide", &|one| one.reading.to_string());
    row(&mut text, "look at all, publish, decide: nothing to do", &|one| one.turn.to_string());
    row(&mut text, "decide: nothing to do", &|one| one.steady.to_string());
    row(&mut text, "decide: a region is lost", &|one| one.region_lost.to_string());
    row(&mut text, "… take-overs", &|one| one.take_overs.to_string());
    row(&mut text, "decide: nobody answers", &|one| one.all_silent.to_string());
    row(&mut text, "read by a control plane, KB", &|one| kilobytes(one.stored));
    row(&mut text, "snapshot as routers read it, KB", &|one| kilobytes(one.snapshot));
    row(&mut text, "… of it the slots of all users, KB", &|one| kilobytes(one.placement));
    text
}

/// Says of each goal whether it is met, with as many cells as were decided about at most.
fn goals(all: &[Pure]) -> String {
    let Some(most) = all.last() else { return String::new() };
    let title = format!("Goals, deciding alone, with {} cells", most.cells);
    let mut text = table(&title, "what", "goal | found | verdict");
    let verdict = |met| verdict(met).to_owned();
    let worst = |timings: &Timings| timings.percentile(99);
    let decide = worst(&most.region_lost).max(worst(&most.all_silent));
    let shown = [
        format!("≤ {} ms", milliseconds(GOAL_DECIDE)),
        format!("{} ms", milliseconds(decide)),
        verdict(decide <= GOAL_DECIDE),
    ];
    row(&mut text, "decide after a region's death, p99", shown);
    let reconcile = worst(&most.reading) + worst(&most.turn);
    let shown = [
        format!("≤ {} ms", milliseconds(GOAL_RECONCILE)),
        format!("{} ms", milliseconds(reconcile)),
        verdict(reconcile <= GOAL_RECONCILE),
    ];
    row(&mut text, "reconcile, reading from etcd not counted, p99", shown);
    let shown = [
        format!("≤ {} KB", kilobytes(GOAL_SNAPSHOT)),
        format!("{} KB", kilobytes(most.snapshot)),
        verdict(most.snapshot <= GOAL_SNAPSHOT),
    ];
    row(&mut text, "snapshot", shown);
    if let Some(tenth) = all.iter().find(|one| one.cells * 10 == most.cells) {
        for (name, many, few) in [
            ("decide: a region is lost", &most.region_lost, &tenth.region_lost),
            ("decide: nobody answers", &most.all_silent, &tenth.all_silent),
            ("look at all", &most.turn, &tenth.turn),
        ] {
            let half = |timings: &Timings| timings.percentile(50).as_secs_f64();
            let ratio = half(many) / half(few);
            let shown = [
                format!("≤ {LINEAR} × that of {} cells", tenth.cells),
                format!("{ratio:.1} ×"),
                verdict(ratio <= LINEAR),
            ];
            row(&mut text, &format!("{name}: in proportion, p50"), shown);
        }
    }
    text
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "missed" }
}

/// One step, as soon as it has been measured.
pub(crate) fn lines(one: &Measured) -> String {
    let one = std::slice::from_ref(one);
    [steady(one), processes(one), death(one)].join("\n")
}

fn heads(all: &[Measured]) -> String {
    let head = |one: &Measured| match one.step.planes {
        5 => one.step.cells.to_string(),
        planes => format!("{}, {planes} control planes", one.step.cells),
    };
    all.iter().map(head).collect::<Vec<_>>().join(" | ")
}

fn steady(all: &[Measured]) -> String {
    let mut text =
        table("Nothing happens: five members of etcd, five control planes", "cells", &heads(all));
    let row = |text: &mut String, name: &str, of: &dyn Fn(&Measured) -> String| {
        row(text, name, all.iter().map(of));
    };
    row(&mut text, "first start, until all cells serve, s", &|one| match one.started {
        Ok(took) => format!("{:.1}", took.as_secs_f64()),
        Err(steady) => format!("not: {steady} do"),
    });
    row(&mut text, "renewals confirmed of those due", &|one| percent(one.steady.renewed));
    row(&mut text, "a renewal, ms, p50 / p99", &|one| {
        one.steady.renewals.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
    });
    row(&mut text, "rights that ran out", &|one| one.steady.lapsed.to_string());
    row(&mut text, "epochs begun for no reason", &|one| one.steady.moves.to_string());
    row(&mut text, "probes answered of those due", &|one| percent(one.steady.probed));
    row(&mut text, "etcd: writes a second", &|one| format!("{:.0}", one.steady.writes));
    row(&mut text, "etcd: KB a second from clients", &|one| kilo(one.steady.asked));
    row(&mut text, "etcd: KB a second to clients", &|one| kilo(one.steady.sent));
    row(&mut text, "etcd: KB a second to the leader's disk", &|one| kilo(one.steady.written));
    row(&mut text, "etcd: a write's fsync, ms, p50", &|one| one.steady.fsync.quantile(0.5));
    row(&mut text, "… p99", &|one| one.steady.fsync.quantile(0.99));
    row(&mut text, "etcd: database, MB", &|one| mega(one.steady.size));
    row(&mut text, "… grows by MB an hour", &|one| mega(one.steady.growth * 3600.0));
    row(&mut text, "… after compaction, MB in use", &|one| mega(one.compaction.after));
    row(&mut text, "… compaction takes, ms", &|one| milliseconds(one.compaction.took));
    row(&mut text, "control plane: reads all, a second", &|one| format!("{:.1}", one.steady.reads));
    row(&mut text, "… a read, ms, p50", &|one| one.steady.reading.quantile(0.5));
    row(&mut text, "… p99", &|one| one.steady.reading.quantile(0.99));
    row(&mut text, "control plane: a look at all, ms, p50", &|one| {
        one.steady.looking.quantile(0.5)
    });
    row(&mut text, "… p99", &|one| one.steady.looking.quantile(0.99));
    row(&mut text, "load average, before – after", &|one| one.load.join(" – "));
    text
}

fn processes(all: &[Measured]) -> String {
    let mut text = table("Cores and MB of memory, while nothing happens", "cells", &heads(all));
    let rows: [(&str, Whose); 4] = [
        ("etcd's leader", |one| one.steady.leader),
        ("another member of etcd", |one| one.steady.follower),
        ("a control plane", |one| one.steady.plane),
        ("the stand-ins for all agents", |one| one.steady.agents),
    ];
    for (name, of) in rows {
        row(&mut text, name, all.iter().map(|one| load(of(one))));
    }
    text
}

fn death(all: &[Measured]) -> String {
    let title = "A region dies: ms after a cell's patience has run out, p50 / p99";
    let mut text = table(title, "cells", &heads(all));
    let shown = |timings: &Option<Timings>| {
        timings.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string)
    };
    let last = |timings: &Option<Timings>| {
        timings.as_ref().map_or_else(|| "–".to_owned(), |all| milliseconds(all.percentile(100)))
    };
    let row = |text: &mut String, name: &str, of: &dyn Fn(&Measured) -> String| {
        row(text, name, all.iter().map(of));
    };
    row(&mut text, "cells that were active there", &|one| one.death.cells.to_string());
    row(&mut text, "etcd's leader was there", &|one| {
        if one.death.led { "yes" } else { "no" }.to_owned()
    });
    row(&mut text, "decided", &|one| shown(&one.death.decided));
    row(&mut text, "… the last one", &|one| last(&one.death.decided));
    row(&mut text, &format!("… goal: p99 ≤ {} ms", milliseconds(GOAL_DECIDE)), &|one| {
        let decided = one.death.decided.as_ref();
        verdict(decided.is_some_and(|all| all.percentile(99) <= GOAL_DECIDE)).to_owned()
    });
    row(&mut text, "old right ended", &|one| shown(&one.death.ended));
    row(&mut text, "successor written", &|one| shown(&one.death.promoted));
    row(&mut text, "… the last one", &|one| last(&one.death.promoted));
    row(&mut text, "successor open", &|one| shown(&one.death.opened));
    row(&mut text, "… the last one", &|one| last(&one.death.opened));
    row(&mut text, "not served within a minute", &|one| one.death.unserved.to_string());
    text
}

#[expect(clippy::cast_precision_loss, reason = "bytes of memory are far below 2^53")]
fn load(load: Load) -> String {
    format!("{:.2} · {}", load.cores, mega(load.memory as f64))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn kilobytes(bytes: usize) -> String {
    bytes.div_ceil(1024).to_string()
}

fn kilo(bytes: f64) -> String {
    format!("{:.0}", bytes / 1024.0)
}

fn mega(bytes: f64) -> String {
    format!("{:.1}", bytes / 1024.0 / 1024.0)
}

fn table(title: &str, first: &str, heads: &str) -> String {
    let columns = heads.matches(" | ").count() + 2;
    format!("### {title}\n\n| {first} | {heads} |\n|{}\n", "---|".repeat(columns))
}

fn row(text: &mut String, name: &str, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    line(text, &format!("| {name} | {} |", cells.join(" | ")));
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_replaced_and_the_text_around_them_stays() {
        let document = format!("why\n{BEGIN}\nold\n{END}what else\n");
        let expected = format!("why\n{BEGIN}\nnew\n\n{END}what else\n");
        assert_eq!(replace(&document, "new\n"), Some(expected));
        assert_eq!(replace("nothing", "new\n"), None);
    }
}
