//! The last runs of the same drill: verdict, and how long users waited.

use serde_json::Value;

use super::super::document::Document;
use super::axis::{Axis, WIDTH};
use super::tables::{name, told, when};
use super::{TABLE, TABLE_END, both, escape, push, verdict};

/// The measures that are shown of each run.
const SHOWN: [&str; 5] =
    ["recover-99", "first-strong-ack", "longest-hold", "failed", "acked-strong-lost"];
const HEIGHT: f64 = 120.0;
const MARGIN: f64 = 64.0;

pub(super) fn chart(document: &Document, earlier: &[Document]) -> String {
    let runs: Vec<&Document> = earlier.iter().chain([document]).collect();
    let mut page = String::new();
    if runs.len() > 1 {
        dots(&mut page, &runs);
    }
    push(&mut page, &format!("{TABLE}\n<tr>"));
    push(&mut page, &format!("<th>{}</th>", both("begun", "开始")));
    push(&mut page, &format!("<th>{}</th>", both("verdict", "结论")));
    for shown in SHOWN {
        push(&mut page, &format!("<th>{}</th>", name(shown)));
    }
    push(&mut page, "</tr>");
    for run in runs.iter().rev() {
        let (when, class) = (when(run.begun_unix_ms), escape(&run.verdict));
        let verdict = verdict(&run.verdict);
        push(&mut page, &format!("<tr><td>{when}</td><td class=\"{class}\">{verdict}</td>"));
        for shown in SHOWN {
            let claim = run.claims.iter().find(|claim| claim.name == shown);
            let told = claim.map_or_else(|| "–".to_owned(), |c| told(&c.measured, &c.unit));
            push(&mut page, &format!("<td>{told}</td>"));
        }
        push(&mut page, "</tr>");
    }
    push(&mut page, TABLE_END);
    page
}

/// recover-99 of each run, with its limit.
fn dots(page: &mut String, runs: &[&Document]) {
    let of = |run: &Document, pick: fn(&super::super::document::ClaimTold) -> &Value| {
        run.claims
            .iter()
            .find(|claim| claim.name == SHOWN[0])
            .and_then(|claim| pick(claim).as_f64())
    };
    let measured: Vec<Option<f64>> =
        runs.iter().map(|run| of(run, |claim| &claim.measured)).collect();
    if measured.iter().flatten().count() == 0 {
        return;
    }
    let limit = runs.last().and_then(|run| of(run, |claim| &claim.limit));
    let most = measured.iter().flatten().copied().chain(limit).fold(1.0, f64::max) * 1.1;
    let y = |seconds: f64| HEIGHT - 14.0 - seconds / most * (HEIGHT - 24.0);
    let count = f64::from(u32::try_from(runs.len()).unwrap_or(1));
    Axis::open(page, HEIGHT, "recover-99 of the last runs");
    for (seconds, class) in limit.map(|limit| (limit, "limit")).into_iter().chain([(0.0, "grid")]) {
        let (right, y) = (WIDTH - 12.0, y(seconds));
        let (left, below) = (MARGIN - 6.0, y + 3.0);
        push(
            page,
            &format!(
                "<line x1=\"{MARGIN}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" class=\"{class}\"/>\
                 <text x=\"{left}\" y=\"{below:.1}\" class=\"tick\" text-anchor=\"end\">{seconds:.1} s</text>"
            ),
        );
    }
    for (index, (run, seconds)) in runs.iter().zip(&measured).enumerate() {
        let Some(seconds) = seconds else { continue };
        let place = f64::from(u32::try_from(index).unwrap_or(0)) + 0.5;
        let x = MARGIN + place / count * (WIDTH - MARGIN - 12.0);
        let (y, verdict) = (y(*seconds), escape(&run.verdict));
        push(
            page,
            &format!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" class=\"run {verdict}\">\
                 <title>{}: {seconds:.2} s, {verdict}</title></circle>",
                when(run.begun_unix_ms)
            ),
        );
    }
    Axis::close(page);
}
