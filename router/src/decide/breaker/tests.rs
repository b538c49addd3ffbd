use super::*;

#[test]
fn half_of_enough_answers_must_have_failed() {
    check("+10@0 -9@1 ?@1 -1@1 ?@1 ?@3", "yes 2000 yes");
    check("-19@0 ?@0 -1@0 ?@0", "yes 2000");
    check("+30@0 -20@9 ?@9", "yes");
}

#[test]
fn what_is_longer_ago_than_the_window_does_not_count() {
    check("-19@0 -1@10 ?@10", "yes");
    check("-19@0 -1@9 ?@9", "2000");
}

#[test]
fn after_the_pause_one_trial_goes_at_a_time() {
    check("-20@0 ?@2 ?@2 ?@2.4 ?@2.5", "yes 500 100 yes");
}

#[test]
fn three_answered_trials_close_it() {
    check("-20@0 ?@2 +1@2 ?@2 +2@2 ?@2 ?@2", "yes 500 yes yes");
}

#[test]
fn a_failed_trial_doubles_the_pause_and_the_next_ones_do_not() {
    check("-20@0 ?@2 -1@2 ?@2 ?@6 -1@6 ?@6 ?@10 -1@10 ?@10", "yes 4000 yes 4000 yes 4000");
}

#[test]
fn a_later_epoch_begins_with_a_clean_slate_and_an_earlier_one_says_nothing() {
    check("-20@0 ?@0 e8 ?@0 e7 -20@0 e8 ?@0", "2000 yes yes");
}

#[test]
fn what_was_sent_before_it_opened_does_not_keep_it_open() {
    check("-20@0 -50@1 ?@2", "yes");
}

/// Words in a row: `+n@s` n answers at second s, `-n@s` n failures, `?@s` may a request go, `eN` from
/// here on under epoch N. Expects for each question `yes`, or the milliseconds until it may.
#[track_caller]
fn check(story: &str, expected: &str) {
    let policy = Policy { requests: 20, failed_percent: 50, pause: Duration::from_secs(2) };
    let mut breaker = Breaker::default();
    let mut epoch = Epoch(7);
    let mut answers = Vec::new();
    for word in story.split(' ') {
        if let Some(number) = word.strip_prefix('e') {
            epoch = Epoch(number.parse().unwrap());
            continue;
        }
        let (what, second) = word.split_once('@').unwrap();
        let now = Duration::from_secs_f64(second.parse().unwrap());
        if what == "?" {
            let answer = breaker.admit(epoch, now);
            answers
                .push(answer.map_or_else(|left| left.as_millis().to_string(), |()| "yes".into()));
            continue;
        }
        let (sign, count) = what.split_at(1);
        let outcome = if sign == "+" { Outcome::Answered } else { Outcome::Failed };
        for _ in 0..count.parse::<u32>().unwrap() {
            breaker.saw(epoch, outcome, &policy, now);
        }
    }
    assert_eq!(answers.join(" "), expected, "{story}");
}
