use super::*;

const EPOCH: Epoch = Epoch(7);
/// More than any of these takes.
const MOST: Share = Share { first: 8, most: 10_000 };
const FEW: Share = Share { first: 8, most: 4 };

#[test]
fn eight_go_at_first_and_twice_as_many_after_each_step_with_good_answers() {
    check(&[(8, 0, 10), (16, 0, 10), (32, 0, 12), (64, 0, 11)], 128);
}

#[test]
fn the_longer_an_answer_is_on_its_way_the_more_are_under_way_at_first() {
    for (round_trip, first) in [(0, 8), (99, 8), (100, 16), (160, 16), (400, 40)] {
        assert_eq!(Share::over(ms(round_trip), 30), Share { first, most: 30 }, "{round_trip} ms");
    }
    // What the cell may have is the bound all the same.
    let mut pace = Pace::default();
    assert_eq!(taken(&mut pace, EPOCH, Share { first: 40, most: 30 }, ms(0)), 30);
}

#[test]
fn a_site_that_fails_gets_half_as_many_and_never_less_than_at_first() {
    check(&[(8, 0, 10), (16, 0, 10), (28, 4, 10)], 16);
    check(&[(8, 0, 10), (16, 0, 10), (29, 3, 10)], 64);
    check(&[(8, 0, 10), (0, 16, 0), (0, 8, 0)], 8);
}

#[test]
fn a_site_that_answers_twice_as_slowly_as_before_gets_no_more() {
    check(&[(8, 0, 300), (16, 0, 300), (32, 0, 600)], 64);
    check(&[(8, 0, 300), (16, 0, 300), (32, 0, 601)], 32);
    check(&[(8, 0, 300), (16, 0, 300), (32, 0, 601), (32, 0, 300)], 64);
}

#[test]
fn a_site_that_was_slow_at_first_is_measured_by_what_it_can_do_warm() {
    check(&[(8, 0, 1500), (16, 0, 300), (32, 0, 650)], 32);
}

#[test]
fn less_than_half_a_second_is_not_slow() {
    check(&[(8, 0, 5), (16, 0, 500)], 32);
    check(&[(8, 0, 5), (16, 0, 501)], 16);
}

#[test]
fn a_site_that_says_nothing_gets_no_more_until_its_first_answer() {
    let mut pace = Pace::default();
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(0)), 8);
    assert_eq!(pace.take(EPOCH, MOST, ms(40)), Err(ms(60)));
    assert_eq!(pace.take(EPOCH, MOST, ms(5_000)), Err(STEP));
    pace.ended(EPOCH, Ended::Answered(ms(4_900)), ms(5_000));
    assert!(pace.take(EPOCH, MOST, ms(5_001)).is_ok());
    assert!(pace.wakes_another(MOST), "the others sleep");
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(5_001)), 8);
    assert!(!pace.wakes_another(MOST));
}

#[test]
fn answers_to_what_was_asked_before_a_step_do_not_end_it() {
    let mut pace = Pace::default();
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(0)), 8);
    pace.ended(EPOCH, Ended::Answered(ms(100)), ms(100));
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(100)), 9, "16 less the 7 under way");
    (0..7).for_each(|_| pace.ended(EPOCH, Ended::Answered(ms(150)), ms(150)));
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(250)), 7);
    pace.ended(EPOCH, Ended::Answered(ms(160)), ms(260));
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(260)), 17, "32 less the 15 under way");
}

#[test]
fn a_turn_that_was_not_used_says_nothing_about_the_site() {
    let mut pace = Pace::default();
    for _ in 0..3 {
        assert_eq!(taken(&mut pace, EPOCH, MOST, ms(0)), 8);
        (0..8).for_each(|_| pace.ended(EPOCH, Ended::Unused, ms(10)));
    }
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(150)), 8);
}

#[test]
fn a_later_epoch_starts_small_and_earlier_answers_do_not_count_for_it() {
    let mut pace = Pace::default();
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(0)), 8);
    assert!(pace.take(Epoch(8), MOST, ms(10)).is_err(), "8 are under way");
    (0..7).for_each(|_| pace.ended(EPOCH, Ended::Answered(ms(10)), ms(20)));
    assert_eq!(taken(&mut pace, Epoch(8), MOST, ms(200)), 7);
}

#[test]
fn a_release_after_a_quiet_while_starts_small_again() {
    let mut pace = Pace::default();
    for now in [0, 100, 200] {
        let turns = taken(&mut pace, EPOCH, MOST, ms(now));
        (0..turns).for_each(|_| pace.ended(EPOCH, Ended::Answered(ms(10)), ms(now + 10)));
    }
    assert_eq!(taken(&mut pace, EPOCH, MOST, ms(2_201)), 8);
}

#[test]
fn there_are_never_more_than_the_cell_may_have() {
    let mut pace = Pace::default();
    assert_eq!(taken(&mut pace, EPOCH, FEW, ms(0)), 4);
    assert_eq!(taken(&mut pace, EPOCH, FEW, ms(3_600_000)), 0);
}

/// A site that works at 50 requests at once, each 300 ms long, and shares its time among more.
#[test]
fn five_thousand_requests_find_out_what_a_site_bears_and_keep_it_busy() {
    const BEARS: usize = 50;
    const WORK: usize = 300 * BEARS;
    let mut pace = Pace::default();
    let (mut waiting, mut at_site, mut most_at_once) = (5_000, Vec::new(), 0);
    let mut now = 0;
    while waiting > 0 || !at_site.is_empty() {
        while waiting > 0 && pace.take(EPOCH, MOST, ms(now)).is_ok() {
            waiting -= 1;
            at_site.push((now, 0));
        }
        most_at_once = most_at_once.max(at_site.len());
        now += 1;
        let each = BEARS * BEARS / at_site.len().max(BEARS);
        for (_, done) in &mut at_site {
            *done += each;
        }
        at_site.retain(|(since, done)| {
            let is_done = *done >= WORK;
            if is_done {
                pace.ended(EPOCH, Ended::Answered(ms(now - since)), ms(now));
            }
            !is_done
        });
    }
    assert!(most_at_once <= 6 * BEARS, "{most_at_once} at once");
    // At best it takes 5,000 / 50 × 300 ms.
    assert!(now < 33_000, "{now} ms");
}

/// Steps of so many answers and failures, of so many milliseconds each; then how many may go.
#[track_caller]
fn check(steps: &[(usize, usize, u64)], expected: usize) {
    let mut pace = Pace::default();
    let mut now = ms(0);
    for (answered, failed, took) in steps {
        assert_eq!(taken(&mut pace, EPOCH, MOST, now), answered + failed);
        let end = now + ms(*took);
        (0..*answered).for_each(|_| pace.ended(EPOCH, Ended::Answered(ms(*took)), end));
        (0..*failed).for_each(|_| pace.ended(EPOCH, Ended::Failed, end));
        now = end.max(now + STEP);
    }
    assert_eq!(taken(&mut pace, EPOCH, MOST, now), expected);
}

/// Takes the turns that can be had now.
fn taken(pace: &mut Pace, epoch: Epoch, share: Share, now: Duration) -> usize {
    std::iter::from_fn(|| pace.take(epoch, share, now).ok()).count()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
