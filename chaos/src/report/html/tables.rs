//! Everything that is told in words and numbers.

use serde_json::Value;

use super::super::document::Document;
use super::{TABLE, TABLE_END, both, escape, list, push};
use crate::check::Check;
use crate::metrics::Measure;
use crate::verdict::words;

pub(super) fn claims(page: &mut String, document: &Document) {
    let heads = [
        both("claim", "断言"),
        both("measured", "实测"),
        both("limit", "上限"),
        both("goal", "目标"),
        String::new(),
    ];
    push(page, &format!("{TABLE}\n<tr><th>{}</th></tr>", heads.join("</th><th>")));
    for claim in &document.claims {
        let sign = match claim.standing.as_str() {
            "met" => "✓".to_owned(),
            "goal-missed" => format!("✓ {}", both("goal missed", "未达目标")),
            "exceeded" => "✗".to_owned(),
            "unproven" => "?".to_owned(),
            _ => String::new(),
        };
        let known = Measure::ALL.into_iter().find(|measure| measure.name() == claim.name);
        let means = known.map_or_else(String::new, |measure| {
            let means = words::means(measure);
            both(means.english, means.chinese)
        });
        let [measured, limit, goal] =
            [&claim.measured, &claim.limit, &claim.goal].map(|bound| told(bound, &claim.unit));
        push(
            page,
            &format!(
                "<tr><td>{}<br><small>{means}</small></td><td>{measured}</td><td>{limit}</td>\
                 <td>{goal}</td><td class=\"{}\">{sign}</td></tr>",
                name(&claim.name),
                escape(&claim.standing)
            ),
        );
    }
    push(page, TABLE_END);
}

/// Which versions the run was about.
pub(super) fn versions(page: &mut String, document: &Document) {
    push(page, TABLE);
    for ([english, chinese], version) in document.all_versions() {
        let version = version.map_or_else(|| both("not known", "未知"), escape);
        push(page, &format!("<tr><th>{}</th><td>{version}</td></tr>", both(english, chinese)));
    }
    push(page, TABLE_END);
}

pub(super) fn checks(page: &mut String, document: &Document) {
    push(page, "<ul class=\"checks\">");
    for check in &document.checks {
        let sign = match check.result.as_str() {
            "pass" => "✓",
            "fail" => "✗",
            _ => "?",
        };
        let (result, name) = (escape(&check.result), escape(&check.name));
        let claim = Check::named(&check.name).map_or_else(
            || escape(&check.claim),
            |known| both(&check.claim, words::claim(known).chinese),
        );
        push(page, &format!("<li class=\"{result}\">{sign} <b>{name}</b>: {claim}"));
        for witness in &check.witnesses {
            push(page, &format!("<br><small>{}</small>", escape(witness)));
        }
        push(page, "</li>");
    }
    push(page, "</ul>");
}

pub(super) fn fault(page: &mut String, document: &Document) {
    let Some(fault) = &document.fault else { return };
    super::heading(page, "Fault", "故障");
    let healed = fault.healed_at.map_or_else(|| "–".to_owned(), |at| format!("{at:.2} s"));
    push(
        page,
        &format!(
            "<p><b>{}</b>: {}; {} {:.2} s, {} {healed}</p>",
            escape(&fault.kind),
            escape(&fault.target),
            both("took effect at", "生效于"),
            fault.at,
            both("healed at", "恢复于"),
        ),
    );
    for [from, until] in &fault.refusing {
        let (english, chinese) = (
            format!("From {from:.2} s to {until:.2} s writes were to be refused."),
            format!("{from:.2} s 至 {until:.2} s 期间应拒绝写入。"),
        );
        push(page, &format!("<p>{}</p>", both(&english, &chinese)));
    }
    let steps: Vec<String> =
        fault.steps.iter().map(|step| format!("{:.3} s: {}", step.at, step.step)).collect();
    list(page, &both("Done", "已执行"), &steps);
    list(page, &both("Proof", "证据"), &fault.proof);
    let unproven: Vec<String> = fault.unproven.iter().cloned().collect();
    list(page, &both("Not proven", "未证实"), &unproven);
}

pub(super) fn latencies(page: &mut String, document: &Document) {
    let (before, after) = (both("before", "之前"), both("after", "之后"));
    push(
        page,
        &format!(
            "{TABLE}\n<tr><th></th><th>{before} p50</th><th>p99</th><th>{after} p50</th>\
             <th>p99</th><th>max</th></tr>"
        ),
    );
    let ms = |seconds: f64| format!("{:.1} ms", seconds * 1000.0);
    for (cell, latency) in &document.latency {
        let (before, after) = (&latency.before, &latency.after);
        let cells = [before.p50, before.p99, after.p50, after.p99, after.max].map(ms);
        push(
            page,
            &format!("<tr><td>{}</td><td>{}</td></tr>", escape(cell), cells.join("</td><td>")),
        );
    }
    push(page, TABLE_END);
}

pub(super) fn clean_up(page: &mut String, document: &Document) {
    let clean_up = &document.clean_up;
    let undone = clean_up.undone;
    let told = if clean_up.left.is_empty() {
        both(
            &format!("{undone} faults of the journal were taken away, and nothing is left."),
            &format!("日志中的 {undone} 项故障已全部撤销,没有残留。"),
        )
    } else {
        both("Something is left:", "有残留:")
    };
    push(page, &format!("<p>{told}</p>"));
    list(page, &both("Left", "残留"), &clean_up.left);
    list(page, &both("Looked for", "已查找"), &clean_up.looked_for);
}

pub(super) fn events(page: &mut String, document: &Document) {
    let begun = document.fault.as_ref().map_or(0.0, |fault| fault.at);
    let told: Vec<String> = document
        .events
        .iter()
        .map(|event| {
            let region = event.region.as_deref().unwrap_or_default();
            format!(
                "{:+.3} s {} {} {region} epoch {}: {} {}",
                event.at - begun,
                event.cell,
                event.name,
                event.epoch,
                event.reason,
                event.evidence
            )
        })
        .collect();
    if told.is_empty() {
        return;
    }
    let title = both("What the control plane said", "控制面事件");
    push(page, &format!("<details><summary>{title} ({})</summary>", told.len()));
    list(page, "", &told);
    push(page, "</details>");
}

/// The name of a measure, as drills have it; in Chinese with what it is called there.
pub(super) fn name(name: &str) -> String {
    let known = Measure::ALL.into_iter().find(|measure| measure.name() == name);
    let told = |measure| both(name, &format!("{} {name}", words::name(measure).chinese));
    known.map_or_else(|| escape(name), told)
}

/// [`value`] in both languages.
pub(super) fn told(of: &Value, unit: &str) -> String {
    if of == "never" { both("never", "从未") } else { value(of, unit) }
}

/// A measured value or a bound, for people.
pub(crate) fn value(value: &Value, unit: &str) -> String {
    match (value, value.as_f64()) {
        (Value::String(word), _) => escape(word),
        (_, Some(number)) if unit == "time" && number < 1.0 => format!("{:.0} ms", number * 1000.0),
        (_, Some(number)) if unit == "time" => format!("{number:.2} s"),
        (_, Some(number)) => format!("{number:.0}"),
        (_, None) => "–".to_owned(),
    }
}

/// A wall time, in UTC.
pub(super) fn when(unix_ms: u64) -> String {
    let days = i64::try_from(unix_ms / 86_400_000).unwrap_or(0);
    let minutes = unix_ms / 60_000 % 1440;
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

/// Days since 1970 → year, month, day of the Gregorian calendar (Hinnant, "chrono-compatible
/// low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_its_date() {
        assert_eq!(when(0), "1970-01-01 00:00 UTC");
        assert_eq!(when(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(when(1_795_655_460_000), "2026-11-26 01:11 UTC");
    }
}
