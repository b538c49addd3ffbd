use super::*;
use crate::decide::operation::{Asked, Cancel, Goal};

fn operation() -> Operation {
    let region = |id: &str| id.parse::<RegionId>().unwrap();
    let asked = Asked {
        who: "mei".to_owned(),
        vantage: region("north"),
        at_unix_ms: 0,
        reason: Some("power works".to_owned()),
        override_rules: Vec::new(),
        idempotency_key: None,
    };
    let planned = Move {
        cell: "c1".parse().unwrap(),
        from: region("east"),
        to: region("south"),
        epoch: topology::Epoch(1),
    };
    let waves = vec![vec![What::Drain(region("east"))], vec![What::Move(planned)]];
    Operation::new(Goal::Evacuate(region("east")), asked, 0, waves)
}

#[test]
fn an_operation_is_told_from_its_beginning_to_its_end() {
    let (mut now, mut told) = (operation(), Vec::new());
    let mut before = None;
    let mut look = |now: &Operation| {
        told.extend(lines(&of_operation("op-1", now, before.as_ref())));
        before = Some(now.clone());
    };
    look(&now);
    now.waves[0][0].state = StepState::Done { took_ms: 3, hold_ms: None, epoch: None };
    now.waits_for = Some("5 s between two waves".to_owned());
    look(&now);
    // A record that only shows that its executor lives.
    now.sequence += 1;
    look(&now);
    now.waits_for = None;
    now.waves[1][0].state = StepState::Going { attempt: 1, since_unix_ms: 0 };
    look(&now);
    now.waves[1][0].state = StepState::Done { took_ms: 300, hold_ms: Some(140), epoch: None };
    now.status = Status::Done;
    look(&now);
    assert_eq!(
        told,
        [
            "operation-begun op-1 - east: evacuate east, asked by mei in north: power works \
             (wave 1 of 2, 0 of 2 steps)",
            "operation-step op-1 - east: drain east: done in 3 ms (wave 2 of 2, 1 of 2 steps)",
            "operation-waits op-1 - east: evacuate east waits for 5 s between two waves (wave 2 of \
             2, 1 of 2 steps)",
            "operation-step op-1 c1 south: move c1 from east to south: begins (wave 2 of 2, 1 of 2 \
             steps)",
            "operation-step op-1 c1 south: move c1 from east to south: done in 300 ms, requests \
             waited 140 ms (2 of 2 steps)",
            "operation-ended op-1 - east: evacuate east: done (2 of 2 steps)",
        ]
    );
}

#[test]
fn whatever_was_missed_in_between_is_told_at_the_end() {
    let (begun, mut ended) = (operation(), operation());
    ended.waves[0][0].state = StepState::Done { took_ms: 3, hold_ms: None, epoch: None };
    ended.waves[1][0].state = StepState::Failed("south does not answer".to_owned());
    ended.cancel = Some(Cancel { who: "ada".to_owned(), at_unix_ms: 1 });
    ended.status = Status::Failed("south does not answer".to_owned());
    let turns = of_operation("op-1", &ended, Some(&begun));
    let kinds: Vec<&str> = turns.iter().map(|turn| turn.kind.name()).collect();
    let expected = ["operation-step", "operation-step", "operation-cancelled", "operation-ended"];
    assert_eq!(kinds, expected);
    assert_eq!(turns[3].reason, "evacuate east: failed: south does not answer");
    assert_eq!(of_operation("op-1", &ended, Some(&ended)), []);
}

#[test]
fn what_is_gone_and_was_not_seen_to_end_is_asked_for() {
    let running = Arc::new(operation());
    let mut ended = operation();
    ended.status = Status::Done;
    let before = Wishes {
        operations: [("op-1".to_owned(), running), ("op-2".to_owned(), Arc::new(ended))].into(),
        ..Wishes::default()
    };
    let gone = Wishes::default();
    let ids: Vec<&String> = gone.gone_since(&before).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["op-1"]);
    assert_eq!(before.gone_since(&before), []);
}

#[test]
fn drains_and_freezes_are_told_when_they_change() {
    let freeze = |frozen: bool, reason: &str| Freeze {
        frozen,
        reason: reason.to_owned(),
        who: "ada".to_owned(),
        since_unix_ms: 0,
        until_unix_ms: None,
    };
    let held = freeze(true, "we look");
    let none = Wishes::default();
    let drained = ["east".parse().unwrap()].into();
    let both = Wishes {
        drained,
        freeze: Some(held.clone()),
        said: Some(held.clone()),
        ..Wishes::default()
    };
    let drained = "region-drained - - east: no target of any move any more ()";
    assert_eq!(lines(&both.since(&none)), [drained, "freeze - - -: we look (said by ada)"]);
    assert_eq!(both.since(&both), []);
    let restored = "region-restored - - east: a target again ()";
    let lifted = Wishes { said: Some(freeze(false, "all is well")), ..Wishes::default() };
    let over = "freeze-over - - -: all is well (said by ada)";
    assert_eq!(lines(&lifted.since(&both)), [restored, over]);
    let run_out = Wishes { said: Some(held), ..Wishes::default() };
    let over = "freeze-over - - -: its time is over ()";
    assert_eq!(lines(&run_out.since(&both)), [restored, over]);
}

fn lines(turns: &[Turn]) -> Vec<String> {
    let name = |name: Option<String>| name.unwrap_or_else(|| "-".to_owned());
    let line = |turn: &Turn| {
        let Turn { kind, operation, cell, region, reason, evidence } = turn;
        let (cell, region) = (cell.as_ref().map(ToString::to_string), region.as_ref());
        let region = name(region.map(ToString::to_string));
        let operation = name(operation.clone());
        format!("{} {operation} {} {region}: {reason} ({evidence})", kind.name(), name(cell))
    };
    turns.iter().map(line).collect()
}
