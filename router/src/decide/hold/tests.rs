use super::*;

const EPOCH: Epoch = Epoch(7);

#[test]
fn a_fresh_request_goes_to_an_active_site_at_once() {
    check(Evidence::None, steady(7), 0, Step::Send);
}

#[test]
fn without_an_active_site_a_request_waits_until_the_tail() {
    check(Evidence::None, moving(8), 0, Step::Wait { until: ms(9_900) });
    check(Evidence::None, moving(8), 9_899, Step::Wait { until: ms(9_900) });
    check(Evidence::None, moving(8), 9_900, Step::GiveUp);
}

#[test]
fn without_any_table_a_request_waits_for_the_first() {
    assert_eq!(step(&Evidence::None, None, ms(0)), Step::Wait { until: ms(9_900) });
}

#[test]
fn after_a_421_the_same_epoch_releases_nothing() {
    check(misdirected(), steady(7), 5_000, Step::Wait { until: ms(9_900) });
    check(misdirected(), steady(8), 5_000, Step::Send);
}

#[test]
fn after_a_421_a_later_epoch_without_an_active_site_releases_nothing() {
    check(misdirected(), moving(8), 5_000, Step::Wait { until: ms(9_900) });
}

#[test]
fn after_a_421_a_slot_that_moved_to_another_cell_goes_there() {
    let cell = "c2".parse().unwrap();
    let target = Target { cell: &cell, epoch: Epoch(3), has_site: true };
    assert_eq!(step(&misdirected(), Some(target), ms(40)), Step::Send);
}

#[test]
fn a_site_that_does_not_serve_yet_is_asked_again_after_a_pause() {
    let refused = Evidence::NotServing { epoch: EPOCH, at: ms(50) };
    check(refused.clone(), steady(7), 60, Step::Wait { until: ms(150) });
    check(refused.clone(), steady(7), 150, Step::Send);
    check(refused, steady(8), 60, Step::Send);
}

#[test]
fn an_unreachable_site_is_tried_again_ever_more_slowly() {
    let pauses = [1, 2, 3, 4, 5, 6, 40].map(|failures| {
        pause(&Evidence::Unreachable { epoch: EPOCH, at: ms(0), failures }).as_millis()
    });
    assert_eq!(pauses, [20, 40, 80, 160, 250, 250, 250]);
}

#[test]
fn a_lost_request_goes_again_within_the_budget_or_under_a_later_epoch_without_it() {
    let lost = Evidence::Lost { epoch: EPOCH, at: ms(100), failures: 1 };
    check(lost.clone(), steady(7), 110, Step::Wait { until: ms(120) });
    check(lost.clone(), steady(7), 120, Step::SendWithinBudget);
    check(lost, steady(8), 110, Step::Send);
}

#[test]
fn nothing_is_tried_again_after_the_deadline() {
    let unreachable = Evidence::Unreachable { epoch: EPOCH, at: ms(9_800), failures: 9 };
    check(unreachable.clone(), steady(7), 9_850, Step::Wait { until: ms(9_900) });
    check(unreachable, steady(7), 10_060, Step::GiveUp);
}

#[derive(Clone, Copy)]
struct Seen {
    epoch: u64,
    has_site: bool,
}

fn steady(epoch: u64) -> Seen {
    Seen { epoch, has_site: true }
}

fn moving(epoch: u64) -> Seen {
    Seen { epoch, has_site: false }
}

fn misdirected() -> Evidence {
    Evidence::Misdirected { cell: "c1".parse().unwrap(), epoch: EPOCH }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "reads better at each call")]
fn check(evidence: Evidence, seen: Seen, waited: u64, expected: Step) {
    let cell = "c1".parse().unwrap();
    let target = Target { cell: &cell, epoch: Epoch(seen.epoch), has_site: seen.has_site };
    assert_eq!(step(&evidence, Some(target), ms(waited)), expected);
}
