use topology::{Cause, Failure, Phase};

use super::*;

#[test]
fn a_move_is_told_once_it_is_over_with_what_began_it() {
    check(
        "7 steady east: opened",
        &[
            (100, "8 switching east south: planned move"),
            (130, "9 promoting south: planned move"),
            (150, "9 steady south: opened"),
            (190, "9 steady south: voters changed"),
        ],
        "9 south 100..150 planned move",
    );
}

#[test]
fn an_aborted_move_and_a_failover_are_told_as_one_course() {
    check(
        "7 steady east: opened",
        &[
            (100, "8 electing: east lost"),
            (120, "9 promoting south: furthest"),
            (140, "10 electing: south lost"),
            (160, "11 promoting north: furthest"),
            (180, "11 steady north: opened"),
        ],
        "11 north 100..180 east lost",
    );
}

#[test]
fn whatever_took_a_move_up_last_is_what_moved_it() {
    let cell: CellId = "c1".parse().unwrap();
    let mut chronicle = Chronicle::new("north".parse().unwrap());
    let lost = Cause::failure(Failure::SiteLost);
    let forced = Cause::operation("op-000007", "failover");
    for (now, text, cause) in [
        (100, "8 electing: east lost", &lost),
        (200, "9 electing: forced", &forced),
        (240, "10 promoting south: forced; south is promoted", &forced),
    ] {
        let seen = activation(text).because(cause.clone());
        assert_eq!(chronicle.saw(&cell, &seen, now), None);
    }
    let opened = activation("10 steady south: opened").because(forced.clone());
    let record = chronicle.saw(&cell, &opened, 300).unwrap();
    assert_eq!(record.cause, Some(CauseRecord::from(&forced)));
    assert_eq!((record.begun_unix_ms, record.reason.as_str()), (100, "forced"));
}

#[test]
fn what_began_a_move_is_not_lost_where_an_older_version_goes_on_with_it() {
    let cell: CellId = "c1".parse().unwrap();
    let mut chronicle = Chronicle::new("north".parse().unwrap());
    let lost = Cause::failure(Failure::SiteLost);
    let electing = activation("8 electing: east lost").because(lost.clone());
    assert_eq!(chronicle.saw(&cell, &electing, 100), None);
    assert_eq!(chronicle.saw(&cell, &activation("9 promoting south: furthest"), 150), None);
    let record = chronicle.saw(&cell, &activation("9 steady south: opened"), 200).unwrap();
    assert_eq!(
        (record.cause, record.reason.as_str()),
        (Some(CauseRecord::from(&lost)), "east lost")
    );
}

#[test]
fn what_older_versions_have_written_is_still_read() {
    let record: HistoryRecord = serde_json::from_str(
        r#"{"epoch":9,"active":"south","begun_unix_ms":1,"opened_unix_ms":2,"reason":"lost",
            "vantage":"north"}"#,
    )
    .unwrap();
    assert_eq!((record.epoch, record.cause), (9, None));
}

#[test]
fn what_was_moved_unseen_is_told_from_when_it_was_seen() {
    check("7 steady east: opened", &[(100, "9 steady south: opened")], "9 south 100..100 opened");
}

#[test]
fn an_earlier_epoch_is_no_news() {
    check("7 steady east: opened", &[(100, "5 electing: lost"), (110, "5 steady south: x")], "");
}

#[test]
fn a_moment_is_in_an_epoch_in_a_move_or_before_everything() {
    let records = [record(7, "east", 100, 100), record(9, "south", 200, 240)];
    let [east, south] = &records;
    for (at, expected) in [
        (99, Whereabouts::Unrecorded),
        (100, Whereabouts::Serving(east, Some(200))),
        (199, Whereabouts::Serving(east, Some(200))),
        (200, Whereabouts::Moving(south)),
        (239, Whereabouts::Moving(south)),
        (240, Whereabouts::Serving(south, None)),
    ] {
        assert_eq!(whereabouts(&records, at), expected, "{at}");
    }
    assert_eq!(whereabouts(&[], 1), Whereabouts::Unrecorded);
}

#[test]
fn what_held_thirty_days_ago_is_kept_and_what_was_before_is_not() {
    let records = [record(1, "east", 0, 0), record(2, "south", 50, 50), record(3, "east", 90, 90)];
    let kept = |now| first_kept(&records, now).map(|record| record.epoch);
    assert_eq!(kept(KEPT_MS), Some(1));
    assert_eq!(kept(KEPT_MS + 49), Some(1));
    assert_eq!(kept(KEPT_MS + 50), Some(2));
    assert_eq!(kept(10 * KEPT_MS), Some(3));
    let many: Vec<HistoryRecord> =
        (0..KEPT_MAX as u64 + 5).map(|epoch| record(epoch, "east", epoch, epoch)).collect();
    assert_eq!(first_kept(&many, KEPT_MAX as u64).unwrap().epoch, 5);
    assert_eq!(first_kept(&[], 1), None);
}

/// Takes the first sight, then the others, and compares what the last ones tell.
#[track_caller]
fn check(first: &str, then: &[(u64, &str)], expected: &str) {
    let cell: CellId = "c1".parse().unwrap();
    let mut chronicle = Chronicle::new("north".parse().unwrap());
    assert!(chronicle.saw(&cell, &activation(first), 50).is_some());
    let told: Vec<String> = then
        .iter()
        .filter_map(|(now, text)| chronicle.saw(&cell, &activation(text), *now))
        .map(|record| {
            let HistoryRecord { epoch, active, begun_unix_ms, opened_unix_ms, reason, .. } = record;
            format!("{epoch} {active} {begun_unix_ms}..{opened_unix_ms} {reason}")
        })
        .collect();
    assert_eq!(told.join("; "), expected);
}

fn activation(text: &str) -> Activation {
    let (head, reason) = text.split_once(": ").unwrap();
    let words: Vec<&str> = head.split(' ').collect();
    let region = |at: usize| words[at].parse().unwrap();
    let phase = match words[1] {
        "steady" => Phase::Steady { active: region(2) },
        "promoting" => Phase::Promoting { active: region(2) },
        "switching" => Phase::Switching { active: region(2), target: region(3) },
        _ => Phase::Electing { predecessor: None },
    };
    Activation {
        epoch: Epoch(words[0].parse().unwrap()),
        phase,
        voters: std::collections::BTreeSet::new(),
        retired: [].into(),
        acks: 1,
        system: None,
        elected_at: None,
        cause: None,
        reason: reason.to_owned(),
    }
}

fn record(epoch: u64, active: &str, begun_unix_ms: u64, opened_unix_ms: u64) -> HistoryRecord {
    let (active, reason, vantage) = (active.to_owned(), String::new(), String::new());
    HistoryRecord { epoch, active, begun_unix_ms, opened_unix_ms, cause: None, reason, vantage }
}
