use topology::{Epoch, RegionId};

use super::*;
use crate::decide::switchover;

#[test]
fn each_reason_why_a_move_was_not_made_has_its_problem() {
    for (why, code) in [
        (Undone::Overtaken, "overtaken"),
        (Undone::Aborted("south did not stop".to_owned()), "switchover-aborted"),
    ] {
        check(&undone(&why), code);
    }
    for (why, code) in [
        (switchover::Refusal::UnknownCell(cell()), "unknown-cell"),
        (switchover::Refusal::NotSteady("electing".to_owned()), "not-steady"),
        (switchover::Refusal::AlreadyActive(east()), "already-active"),
        (switchover::Refusal::NotAStandby(east()), "not-a-standby"),
        (switchover::Refusal::ActiveUnreachable(east()), "active-unreachable"),
        (switchover::Refusal::TargetUnreachable(east()), "target-unreachable"),
        (
            switchover::Refusal::TargetLagging { region: east(), why: "lags".to_owned() },
            "target-lagging",
        ),
    ] {
        check(&undone(&Undone::Refused(why)), code);
    }
    check(&not_opened(7, "epoch 7, promoting south"), "switchover-unfinished");
}

#[test]
fn each_reason_why_nobody_was_promoted_has_its_problem() {
    use asked_failover::Refusal;
    for (why, code) in [
        (Refusal::UnknownCell(cell()), "unknown-cell"),
        (Refusal::NotAVoter(east()), "not-a-standby"),
        (Refusal::NotASite(east()), "not-a-site"),
        (Refusal::NoDatabase, "no-database"),
        (Refusal::ActiveServes(east()), "active-serves"),
        (Refusal::Electing("electing".to_owned()), "electing"),
        (Refusal::Outdated, "outdated"),
        (Refusal::TargetUnreachable(east()), "target-unreachable"),
        (Refusal::Behind { to: east(), who: east(), bytes: 9 }, "target-behind"),
    ] {
        check(&unelected(&cell(), &Unelected::Refused(why)), code);
    }
    let further = Unelected::Further { to: east(), winner: east(), epoch: Epoch(9) };
    let not_frozen = Blocked::NotFrozen { region: east(), why: "no".to_owned() };
    for (why, code) in [
        (Unelected::TooFewVotes("1 of 2".to_owned()), "too-few-votes"),
        (further, "other-promoted"),
        (Unelected::Blocked(not_frozen), "not-frozen"),
        (Unelected::Blocked(Blocked::NobodyAnswers), "nobody-to-promote"),
        (Unelected::Blocked(Blocked::NotTarget(east())), "nobody-to-promote"),
        (Unelected::Overtaken, "overtaken"),
    ] {
        check(&unelected(&cell(), &why), code);
    }
    check(&still_electing(&cell(), "electing"), "still-electing");
}

#[test]
fn a_process_that_stops_says_so_and_when_to_try_again() {
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    drop(sender);
    let closed = receiver.blocking_recv().unwrap_err();
    let problem = stopping(&closed);
    check(&problem, "stopping");
    assert_eq!(problem.headers, [("retry-after", "1".to_owned())]);
}

#[track_caller]
fn check(found: &Problem, code: &str) {
    let kind = problem::KINDS.iter().find(|kind| kind.code == code).unwrap();
    assert_eq!((found.status, &*found.code, &*found.title), (kind.status, kind.code, kind.title));
}

fn cell() -> CellId {
    "c1".parse().unwrap()
}

fn east() -> RegionId {
    "east".parse().unwrap()
}

#[test]
fn each_broken_rule_has_the_problem_of_its_name() {
    for (rule, code) in [
        (Rule::Frozen, "frozen"),
        (Rule::RegionDrained, "region-drained"),
        (Rule::SecondRegion, "second-region"),
        (Rule::NoReadySite, "no-ready-site"),
        (Rule::NoHeadroom, "no-headroom"),
        (Rule::OutsideWindow, "outside-change-window"),
    ] {
        let rule = Broken { rule, detail: "so it is".to_owned() };
        check(&broken(&rule, &[&rule]), code);
        assert_eq!(rule.rule.code(), code);
    }
    check(&outcome_pending("17-east"), "outcome-pending");
}
