//! `report.html`: one file that needs nothing else, in light and dark.

use std::fmt::Write as _;

use super::Report;
use super::chart::chart;
use super::json::name;
use super::table::sign;
use crate::check::Finding;
use crate::metrics::Value;

const STYLE: &str = include_str!("report.css");

pub(super) fn page(report: &Report<'_>) -> String {
    let (drill, verdict) = (report.drill, report.verdict);
    let word = name(verdict.exit);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{} — {word}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{}</h1>\n<p class=\"verdict {word}\">{word}</p>\n<p>{}</p>\n",
        escape(&drill.name),
        escape(&drill.title),
        escape(&drill.description),
    );
    list(&mut page, "Why", &verdict.reasons);
    list(&mut page, "Goals missed", &verdict.warnings);
    claims(&mut page, report);
    page.push_str("<h2>Every request</h2>\n");
    page.push_str(&chart(report.course));
    page.push_str(
        "<p class=\"legend\"><span class=\"ticket\">● ticket</span> \
         <span class=\"message\">● message</span> <span class=\"fail\">✕ failed</span> \
         <span class=\"unknown\">✕ outcome unknown</span>; shaded: the fault; lines: what the \
         control plane said. Latency from when a request was due, logarithmic.</p>\n",
    );
    checks(&mut page, report);
    fault(&mut page, report);
    latencies(&mut page, report);
    events(&mut page, report);
    let (id, seed, again) = (report.id, drill.seed, &report.again);
    push(
        &mut page,
        &format!(
            "<h2>Again</h2>\n<p>Run <code>{}</code>, seed {seed}, {} requests, sent at most {:.1} ms late \
         (p99). <code>{}</code></p>\n</body>\n</html>",
            escape(id),
            report.metrics.operations,
            report.metrics.lag_p99.as_secs_f64() * 1000.0,
            escape(again)
        ),
    );
    page
}

fn claims(page: &mut String, report: &Report<'_>) {
    page.push_str(
        "<h2>Claims</h2>\n<table>\n<tr><th>claim</th><th>measured</th><th>limit</th><th>goal</th>\
         <th></th></tr>\n",
    );
    let bound = |bound: Option<Value>| bound.map_or_else(|| "–".to_owned(), |b| b.to_string());
    for claim in &report.verdict.claims {
        push(
            page,
            &format!(
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                claim.measure.name(),
                claim.measured,
                bound(claim.limit),
                bound(claim.goal),
                sign(claim.standing)
            ),
        );
    }
    page.push_str("</table>\n");
}

fn checks(page: &mut String, report: &Report<'_>) {
    page.push_str("<h2>Checks</h2>\n<ul>\n");
    for (check, finding) in &report.verdict.checks {
        let (sign, witnesses) = match finding {
            Finding::Pass => ("✓", &[][..]),
            Finding::Fail(witnesses) => ("✗", &witnesses[..]),
            Finding::Unknown(missing) => ("?", &missing[..]),
        };
        push(page, &format!("<li>{sign} <b>{}</b>: {}", check.name(), escape(check.claim())));
        for witness in witnesses {
            push(page, &format!("<br><small>{}</small>", escape(witness)));
        }
        page.push_str("</li>\n");
    }
    page.push_str("</ul>\n");
}

fn fault(page: &mut String, report: &Report<'_>) {
    let Some(injection) = &report.course.fault() else { return };
    push(
        page,
        &format!(
            "<h2>Fault</h2>\n<p><b>{}</b> of {}, {:.2} s into the run, healed at {} s.</p>",
            escape(&injection.kind),
            escape(&injection.target),
            injection.begun.as_secs_f64(),
            report
                .course
                .healed
                .map_or_else(|| "–".to_owned(), |at| format!("{:.2}", at.as_secs_f64()))
        ),
    );
    let steps =
        injection.steps.iter().map(|(at, step)| format!("{:.3} s: {step}", at.as_secs_f64()));
    list(page, "Done", &steps.collect::<Vec<_>>());
    list(page, "Proof", &injection.proof);
}

fn latencies(page: &mut String, report: &Report<'_>) {
    page.push_str(
        "<h2>Latency of answered requests</h2>\n<table>\n<tr><th>cell</th><th>before: p50</th>\
         <th>p99</th><th>after: p50</th><th>p99</th><th>max</th></tr>\n",
    );
    let ms = |micros: u128| format!("{}.{} ms", micros / 1000, micros % 1000 / 100);
    for (cell, (before, after)) in &report.metrics.cells {
        push(
            page,
            &format!(
                "<tr><td>{cell}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                ms(before.p50_us),
                ms(before.p99_us),
                ms(after.p50_us),
                ms(after.p99_us),
                ms(after.max_us)
            ),
        );
    }
    page.push_str("</table>\n");
}

fn events(page: &mut String, report: &Report<'_>) {
    let begun = report.course.begun().unwrap_or_default().as_secs_f64();
    let told = report.course.events.iter().map(|event| {
        format!(
            "{:+.3} s {} {} {} epoch {}: {} {}",
            event.at.as_secs_f64() - begun,
            event.cell,
            event.name,
            event.region.as_ref().map_or_else(String::new, ToString::to_string),
            event.epoch,
            event.reason,
            event.evidence
        )
    });
    list(page, "What the control plane said", &told.collect::<Vec<_>>());
}

fn list(page: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    push(page, &format!("<h3>{title}</h3>\n<ul>"));
    for line in lines {
        push(page, &format!("<li>{}</li>", escape(line)));
    }
    page.push_str("</ul>\n");
}

fn push(page: &mut String, text: &str) {
    writeln!(page, "{text}").expect("a string takes any text");
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
