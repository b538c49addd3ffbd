//! What a drill's run came to.

use serde_json::Value;

/// In seconds. What takes longer than the hard limit of every drill is not slow, but broken.
const BROKEN: f64 = 30.0;

/// Fails unless everything was seen that the drill claims. How fast a machine is which does other things, too,
/// is no test's to say: what took longer than its limit is told, what never came fails.
#[track_caller]
#[expect(clippy::print_stderr, reason = "a test says what it overlooks")]
pub fn assert_holds(report: &Value) {
    if report["verdict"] == "pass" {
        return;
    }
    let reasons = report["reasons"].as_array().map_or(&[][..], Vec::as_slice);
    assert!(report["verdict"] == "fail" && reasons.len() == late(report), "{report:#}");
    for reason in reasons {
        eprintln!("overlooked: {}: {reason}", report["drill"]);
    }
}

/// Returns how many limits in seconds were exceeded by something that did come.
fn late(report: &Value) -> usize {
    let claims = report["claims"].as_array().into_iter().flatten();
    let late = claims.filter(|claim| {
        let came = claim["measured"].as_f64().is_some_and(|seconds| seconds <= BROKEN);
        claim["unit"] == "time" && claim["standing"] == "exceeded" && came
    });
    late.count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failed(unit: &str, measured: &Value, reasons: &[&str]) -> Value {
        let claim = json!({ "unit": unit, "standing": "exceeded", "measured": measured });
        json!({ "verdict": "fail", "reasons": reasons, "claims": [claim] })
    }

    #[test]
    fn what_took_long_holds() {
        assert_holds(&failed(
            "time",
            &json!(1.05),
            &["longest-hold is 1.05 s, the limit is 1.00 s"],
        ));
    }

    #[test]
    #[should_panic(expected = "31.0")]
    fn what_took_longer_than_any_drill_may_does_not() {
        assert_holds(&failed(
            "time",
            &json!(31.0),
            &["recover-99 is 31.00 s, the limit is 5.00 s"],
        ));
    }

    #[test]
    #[should_panic(expected = "never")]
    fn what_never_came_does_not() {
        assert_holds(&failed("time", &json!("never"), &["recover-99 is never"]));
    }

    #[test]
    #[should_panic(expected = "lost")]
    fn what_is_counted_does_not() {
        assert_holds(&failed("count", &json!(1), &["acked-strong-lost is 1, the limit is 0"]));
    }

    #[test]
    #[should_panic(expected = "no-lost-ack")]
    fn one_reason_does_not_hide_another() {
        assert_holds(&failed("time", &json!(1.05), &["no-lost-ack", "longest-hold is 1.05 s"]));
    }
}
