use super::super::Spec;

/// Monday, 2026-11-23, 00:00.
const MONDAY: u64 = 1_795_392_000_000;
const MINUTE: u64 = 60_000;

fn spec(windows: &str) -> Result<Spec, Vec<String>> {
    let text = include_str!("../../../../regions.yaml").to_owned() + windows;
    Spec::parse(&text)
        .map_err(|findings| findings.iter().map(|found| found.problem.to_string()).collect())
}

/// Says whether it is open, or how many minutes until it is, at minutes since Monday.
#[track_caller]
fn check(windows: &str, moments: &[(u64, Option<u64>)]) {
    let windows = spec(&format!("change-windows: [{windows}]\n")).unwrap().change_windows;
    for (minute, expected) in moments {
        // Every week is like the first.
        for week in [0, 1, 53] {
            let now = MONDAY + (week * 7 * 24 * 60 + minute) * MINUTE + 17_000;
            let wait =
                windows.closed_at(now).map(|it| (it.opens_unix_ms - (now - 17_000)) / MINUTE);
            assert_eq!(wait, *expected, "{windows} at minute {minute} of week {week}");
        }
    }
}

#[test]
fn without_windows_it_is_always_open() {
    assert_eq!(spec("").unwrap().change_windows.closed_at(MONDAY), None);
}

#[test]
fn a_window_opens_and_closes_on_the_minute() {
    let night = "{days: [mon, wed], from: \"22:00\", to: \"23:30\"}";
    let hour = 60;
    check(
        night,
        &[
            (0, Some(22 * hour)),
            (22 * hour - 1, Some(1)),
            (22 * hour, None),
            (23 * hour + 29, None),
            (23 * hour + 30, Some(46 * hour + 30)),
            (70 * hour, None),
            // After Wednesday's the next is Monday's.
            (72 * hour, Some(118 * hour)),
        ],
    );
}

#[test]
fn a_window_may_end_on_the_next_day_and_in_the_next_week() {
    let hour = 60;
    check(
        "{days: [sun], from: \"22:00\", to: \"04:00\"}",
        &[(0, None), (4 * hour - 1, None), (4 * hour, Some(162 * hour)), (166 * hour, None)],
    );
    let all_day = "{days: [tue], from: \"00:00\", to: \"24:00\"}";
    check(all_day, &[(24 * hour - 1, Some(1)), (24 * hour, None), (48 * hour, Some(144 * hour))]);
}

#[test]
fn of_several_windows_the_next_one_is_told() {
    let two = "{days: [mon], from: \"10:00\", to: \"11:00\"}, \
               {days: [mon], from: \"09:00\", to: \"09:30\"}";
    check(two, &[(0, Some(540)), (540, None), (570, Some(30)), (660, Some(10_080 - 660 + 540))]);
    let windows = spec(&format!("change-windows: [{two}]\n")).unwrap().change_windows;
    assert_eq!(windows.to_string(), "mon 10:00-11:00, mon 09:00-09:30");
}

#[test]
fn what_is_no_window_is_found() {
    for (windows, expected) in [
        ("[]", "0 windows is out of range: 1 to 50; without the key, changes are always allowed"),
        (
            "[{days: [someday], from: \"22:00\", to: \"23:00\"}]",
            "expected days, as in [mon, fri], found \"someday\"",
        ),
        (
            "[{days: [mon], from: \"24:00\", to: \"23:00\"}]",
            "expected a time of day in UTC, as in 22:30, found \"24:00\"",
        ),
        (
            "[{days: [mon], from: \"9:00\", to: \"23:00\"}]",
            "expected a time of day in UTC, as in 22:30, found \"9:00\"",
        ),
        (
            "[{days: [mon], from: \"22:00\", to: \"22:00\"}]",
            "an empty window is out of range: a window from 00:00 to 24:00 is open all day",
        ),
    ] {
        let found = spec(&format!("change-windows: {windows}\n")).unwrap_err();
        assert_eq!(found, [expected], "{windows}");
    }
}
