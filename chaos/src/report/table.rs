//! The claims as a table for a terminal.

use super::Report;
use super::json::name;
use crate::check::Finding;
use crate::verdict::{Claim, Standing};

/// Returns what was claimed and what was measured, and the verdict as the last line.
pub(crate) fn table(report: &Report<'_>) -> String {
    let verdict = report.verdict;
    let mut rows = vec![["claim", "measured", "limit", "goal", ""].map(str::to_owned)];
    rows.extend(verdict.claims.iter().map(row));
    let mut lines: Vec<String> = vec![String::new()];
    let widths: Vec<usize> = (0..5)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&widths);
        let padded = cells.map(|(cell, width)| format!("{cell:<width$}"));
        lines.push(padded.collect::<Vec<_>>().join("  ").trim_end().to_owned());
    }
    for (check, finding) in &verdict.checks {
        let (sign, witnesses) = match finding {
            Finding::Pass => ("✓", &[][..]),
            Finding::Fail(witnesses) => ("✗", &witnesses[..]),
            Finding::Unknown(missing) => ("?", &missing[..]),
        };
        lines.push(format!("{sign} {}: {}", check.name(), check.claim()));
        lines.extend(witnesses.iter().map(|witness| format!("    {witness}")));
    }
    for (whose, classes) in [
        ("failed", &report.metrics.failed_by_class),
        ("failed in other cells", &report.metrics.others_failed_by_class),
    ] {
        if !classes.is_empty() {
            let classes = classes.iter().map(|(class, count)| format!("{count} × {class}"));
            lines.push(format!("{whose}: {}", classes.collect::<Vec<_>>().join(", ")));
        }
    }
    let held = &report.metrics.held;
    if held.count > 0 {
        let (median, longest) = (held.median.as_secs_f64(), held.longest.as_secs_f64());
        lines.push(format!(
            "held over 1 s, then answered: {} requests, median {median:.2} s, longest {longest:.2} s",
            held.count
        ));
    }
    let (all, again) = (report.metrics.operations, report.metrics.retries);
    if again > 0 {
        lines.push(format!("asked again: {again} times, of {all} requests"));
    }
    lines.extend(verdict.warnings.iter().map(|warning| format!("goal missed: {warning}")));
    lines.extend(verdict.reasons.iter().map(|reason| format!("because: {reason}")));
    let name = name(verdict.exit);
    lines.push(format!("{}: {} ({} requests)", report.drill.name, name, report.metrics.operations));
    lines.join("\n")
}

fn row(claim: &Claim) -> [String; 5] {
    let bound = |bound: Option<crate::metrics::Value>| {
        bound.map_or_else(|| "–".to_owned(), |bound| bound.to_string())
    };
    let name = claim.measure.name().to_owned();
    let sign = sign(claim.standing).to_owned();
    [name, claim.measured.to_string(), bound(claim.limit), bound(claim.goal), sign]
}

pub(super) fn sign(standing: Standing) -> &'static str {
    match standing {
        Standing::Met => "✓",
        Standing::GoalMissed => "✓ goal missed",
        Standing::Exceeded => "✗",
        Standing::Unproven => "?",
        Standing::Shown => "",
    }
}
