//! `chaos compare A B`: two reports side by side.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::report::Document;
use crate::report::value_told;

/// Returns the lines of the comparison. What only one of them has is told, too.
pub(crate) fn lines(a: &Document, b: &Document) -> Vec<String> {
    let mut lines = vec![
        format!("A  {} ({}, seed {})", a.id, a.verdict, a.seed),
        format!("B  {} ({}, seed {})", b.id, b.verdict, b.seed),
    ];
    if a.drill != b.drill {
        lines.push(format!("two drills: {} and {}", a.drill, b.drill));
    }
    for (([of, _], one), (_, two)) in a.all_versions().into_iter().zip(b.all_versions()) {
        if one != two {
            let told = |version: Option<&str>| version.unwrap_or(NOT_KNOWN).to_owned();
            lines.push(format!("two versions of {of}: {} and {}", told(one), told(two)));
        }
    }
    lines.push(format!("{:<22} {:>10} {:>10} {:>10}", "measure", "A", "B", "B − A"));
    for claim in either(&a.claims, &b.claims, |claim| &claim.name) {
        let (name, unit) = (&claim.name, &claim.unit);
        let measured = |document: &Document| {
            let claim = document.claims.iter().find(|claim| claim.name == *name);
            claim.map(|claim| claim.measured.clone())
        };
        lines.push(line(name, unit, [measured(a), measured(b)]));
    }
    let held = |document: &Document, of: fn(&Document) -> Value| Some(of(document));
    for (name, unit, of) in WAITS {
        lines.push(line(name, unit, [held(a, of), held(b, of)]));
    }
    lines.extend(stages(a, b));
    for check in either(&a.checks, &b.checks, |check| &check.name) {
        let name = &check.name;
        let result = |document: &Document| {
            let check = document.checks.iter().find(|check| check.name == *name);
            check.map_or_else(|| NOT_THERE.to_owned(), |check| check.result.clone())
        };
        let (one, two) = (result(a), result(b));
        if one != two {
            lines.push(format!("{name}: {one} → {two}"));
        }
    }
    lines
}

/// What is told of a claim, a check or a stage that only the other report has.
const NOT_THERE: &str = "not there";

/// What is told of a version that a report does not have.
const NOT_KNOWN: &str = "not known";

/// A line that both have: its name, its unit and where it is.
type Shared = (&'static str, &'static str, fn(&Document) -> Value);

/// Requests that waited long, yet were answered.
const WAITS: [Shared; 3] = [
    ("held", "count", |document| json!(document.requests.held.count)),
    ("held, p50", "time", |document| wait(document, document.requests.held.p50)),
    ("held, longest", "time", |document| wait(document, document.requests.held.max)),
];

/// Where nothing was held, nobody waited for any time at all.
fn wait(document: &Document, seconds: f64) -> Value {
    if document.requests.held.count == 0 { Value::Null } else { json!(seconds) }
}

/// Returns what either has, in the order of A, and then of B.
fn either<'a, T>(a: &'a [T], b: &'a [T], name: fn(&T) -> &String) -> Vec<&'a T> {
    let mut seen = BTreeSet::new();
    a.iter().chain(b).filter(|of| seen.insert(name(of))).collect()
}

/// Returns when each stage was reached in each cell that was hit in either.
fn stages(a: &Document, b: &Document) -> Vec<String> {
    let all = |document: &Document| -> Vec<(String, f64)> {
        let of_cells = document.stages.iter().flat_map(|stages| {
            stages
                .reached
                .iter()
                .map(|reached| (format!("{} {}", stages.cell, reached.stage.name()), reached.after))
        });
        of_cells.collect()
    };
    let (a, b) = (all(a), all(b));
    let after = |of: &[(String, f64)], name: &str| {
        of.iter().find(|(stage, _)| stage == name).map(|(_, after)| json!(after))
    };
    let names = either(&a, &b, |(stage, _)| stage);
    names
        .into_iter()
        .map(|(name, _)| line(name, "time", [after(&a, name), after(&b, name)]))
        .collect()
}

/// What is not in a report has no number, nor a difference.
fn line(name: &str, unit: &str, [one, two]: [Option<Value>; 2]) -> String {
    let number = |value: Option<&Value>| value.and_then(Value::as_f64);
    let difference = match (number(one.as_ref()), number(two.as_ref())) {
        (Some(one), Some(two)) if unit == "time" => format!("{:+.2} s", two - one),
        (Some(one), Some(two)) => format!("{:+.0}", two - one),
        (None, _) | (_, None) => String::new(),
    };
    let [one, two] = [one, two]
        .map(|value| value.map_or_else(|| NOT_THERE.to_owned(), |value| value_told(&value, unit)));
    format!("{name:<22} {one:>10} {two:>10} {difference:>10}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::tests::example;

    #[test]
    fn what_differs_is_told_and_what_nobody_measured_is_no_number() {
        let a = example();
        let mut b = example();
        b.id = "region-loss-2".to_owned();
        for claim in &mut b.claims {
            match claim.name.as_str() {
                "longest-hold" => claim.measured = json!(3.45),
                "failed" => claim.measured = json!(4),
                _ => {}
            }
        }
        b.checks[0].result = "fail".to_owned();
        let told = lines(&a, &b);
        assert!(
            told.contains(&"longest-hold               2.20 s     3.45 s    +1.25 s".to_owned()),
            "{told:#?}"
        );
        assert!(
            told.contains(&"failed                          1          4         +3".to_owned())
        );
        assert!(told.contains(&"detect                          –          –".to_owned()));
        assert!(told.contains(&"no-lost-ack: unknown → fail".to_owned()));
    }

    #[test]
    fn versions_that_differ_are_named_and_others_are_not() {
        let (mut a, mut b) = (example(), example());
        (a.version, b.version) = ("0.1.0".to_owned(), "0.2.0".to_owned());
        a.versions.etcd = Some("3.5.28".to_owned());
        b.versions.etcd = Some("3.6.9".to_owned());
        b.versions.kernel = Some("6.18.0".to_owned());
        for document in [&mut a, &mut b] {
            document.versions.postgresql = Some("15.18".to_owned());
        }
        let told = lines(&a, &b);
        let versions: Vec<&str> =
            told.iter().filter_map(|line| line.strip_prefix("two versions of ")).collect();
        assert_eq!(
            versions,
            [
                "Bulkhead: 0.1.0 and 0.2.0",
                "etcd: 3.5.28 and 3.6.9",
                "Linux kernel: not known and 6.18.0"
            ]
        );
    }

    #[test]
    fn where_nothing_was_held_nobody_waited_and_nothing_differs() {
        let (a, mut b) = (example(), example());
        let held = &mut b.requests.held;
        (held.count, held.p50, held.max) = (0, 0.0, 0.0);
        let told = lines(&a, &b);
        for line in [
            "held                            1          0         -1",
            "held, p50                  2.20 s          –",
            "held, longest              2.20 s          –",
        ] {
            assert!(told.iter().any(|told| told == line), "{line}: {told:#?}");
        }
    }

    #[test]
    fn what_only_one_of_them_has_is_told_as_not_there_in_the_other() {
        let (mut a, mut b) = (example(), example());
        a.claims.retain(|claim| claim.name != "failed");
        a.checks.retain(|check| check.name != "session-order");
        b.checks.retain(|check| check.name != "exactly-once");
        a.stages[0].reached.clear();
        (a.requests.held.max, b.requests.held.max) = (2.0, 4.5);
        let told = lines(&a, &b);
        for line in [
            "failed                  not there          1",
            "c1 first-success        not there     2.40 s",
            "held, longest              2.00 s     4.50 s    +2.50 s",
        ] {
            assert!(told.iter().any(|told| told == line), "{line}: {told:#?}");
        }
        let result = |name: &str, of: &Document| {
            of.checks.iter().find(|check| check.name == name).unwrap().result.clone()
        };
        let gone = format!("exactly-once: {} → not there", result("exactly-once", &a));
        let new = format!("session-order: not there → {}", result("session-order", &b));
        assert!(told.contains(&gone) && told.contains(&new), "{told:#?}");
    }
}
