//! `chaos compare A B`: two reports side by side.

use crate::report::Document;
use crate::report::value_told;

/// Returns the lines of the comparison.
pub(crate) fn lines(a: &Document, b: &Document) -> Vec<String> {
    let mut lines = vec![
        format!("A  {} ({}, seed {})", a.id, a.verdict, a.seed),
        format!("B  {} ({}, seed {})", b.id, b.verdict, b.seed),
    ];
    if a.drill != b.drill {
        lines.push(format!("two drills: {} and {}", a.drill, b.drill));
    }
    lines.push(format!("{:<22} {:>10} {:>10} {:>10}", "measure", "A", "B", "B − A"));
    for claim in &a.claims {
        let Some(other) = b.claims.iter().find(|other| other.name == claim.name) else { continue };
        let told = |value| value_told(value, &claim.unit);
        let difference = match (claim.measured.as_f64(), other.measured.as_f64()) {
            (Some(one), Some(two)) if claim.unit == "time" => format!("{:+.2} s", two - one),
            (Some(one), Some(two)) => format!("{:+.0}", two - one),
            _ => String::new(),
        };
        let (one, two) = (told(&claim.measured), told(&other.measured));
        lines.push(
            format!("{:<22} {one:>10} {two:>10} {difference:>10}", claim.name)
                .trim_end()
                .to_owned(),
        );
    }
    for check in &a.checks {
        let other = b.checks.iter().find(|other| other.name == check.name);
        if let Some(other) = other.filter(|other| other.result != check.result) {
            lines.push(format!("{}: {} → {}", check.name, check.result, other.result));
        }
    }
    lines
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
}
