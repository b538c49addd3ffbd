//! Decides which control plane has the drills run that are due by schedule, and when it ends that.
//!
//! One at a time holds the right to it: a record that its holder writes again and again. Like a cell's
//! lease it is judged by everybody's own clock, from the sending of a write that succeeded and from
//! when the record was last seen to change; nothing is at stake but a drill that ends early, and so the
//! times are long. Whoever runs a drill is a process of its own, which has a lock on the machine: should
//! two be started after all, the second ends.

use std::time::Duration;

use tokio::time::Instant;

/// How often the right is renewed, and looked at: nobody waits for a drill.
pub const RENEW: Duration = Duration::from_secs(5);
/// How long it lasts: an election in etcd and a member that stands still are over by then.
const LASTS: Duration = Duration::from_secs(20);
/// How long it has to stay as it is before another takes it: whoever lost it has the rest to end its drill.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much longer each waits than the one before it, so that one tries first.
const RANK: Duration = Duration::from_secs(1);
/// After the process has ended by itself, as when another drill runs.
const AGAIN: Duration = Duration::from_secs(30);
/// So often in a row it ends before it has followed anything: then it is left to another control plane, and
/// tried again when that has had its time.
const IN_VAIN: u32 = 4;
const REST: Duration = Duration::from_mins(10);

/// What is known of the right.
#[derive(Clone, Debug, Default)]
pub struct Right {
    /// Nothing before it was read.
    seen: Option<Seen>,
    /// When the last write of this process that succeeded was sent.
    renewed: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    record: Option<Holder>,
    since: Instant,
}

/// Who holds it, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub region: String,
    pub sequence: u64,
}

/// What this process has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Child {
    /// When the last one ended, if there was one, and how many have ended in vain since one did not.
    None {
        ended: Option<Instant>,
        in_vain: u32,
    },
    Runs,
    /// It was let go: it ends, unless a drill that it runs is the reason.
    LetGo,
    /// It was told to end, whatever it does.
    Stopping,
}

/// What is done, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take the right, or renew it, under this sequence.
    Write { sequence: u64 },
    /// Have the suite followed.
    Start,
    /// Let go of whoever follows it: a drill ends, unless it is the drill that has taken the right.
    LetGo { why: String },
    /// End it, and a drill that runs.
    Stop { why: String },
}

impl Right {
    /// Folds in what was read.
    pub fn saw(&mut self, record: Option<Holder>, now: Instant) {
        if self.seen.as_ref().is_none_or(|seen| seen.record != record) {
            self.seen = Some(Seen { record, since: now });
        }
    }

    /// Folds in that a write was answered: whether it succeeded, and when it was sent.
    pub fn wrote(&mut self, holder: Holder, succeeded: bool, sent: Instant, now: Instant) {
        if succeeded {
            self.renewed = Some(sent);
            self.saw(Some(holder), now);
        } else {
            // Somebody else was first; who, is read next.
            self.renewed = None;
        }
    }

    /// Returns who holds it, as far as anybody can tell.
    #[must_use]
    pub fn holder(&self, now: Instant) -> Option<&str> {
        let Seen { record, since } = self.seen.as_ref()?;
        let record = record.as_ref().filter(|_| now - *since < PATIENCE)?;
        Some(&record.region)
    }
}

/// Returns what is to be done. `allowed` is whether drills may run here, and if not, why.
#[must_use]
pub fn decide(
    right: &Right,
    own: &str,
    rank: u32,
    child: Child,
    allowed: Result<(), &str>,
    now: Instant,
) -> Vec<Action> {
    if let Err(why) = allowed {
        // Let others have it where they are allowed to.
        return match child {
            Child::Runs | Child::LetGo => vec![Action::Stop { why: why.to_owned() }],
            Child::None { .. } | Child::Stopping => Vec::new(),
        };
    }
    let cannot = |ended: Instant, in_vain| in_vain >= IN_VAIN && now - ended < REST;
    if matches!(child, Child::None { ended: Some(ended), in_vain } if cannot(ended, in_vain)) {
        // Another may be able to: the right runs out.
        return Vec::new();
    }
    let Some(Seen { record, since }) = &right.seen else { return Vec::new() };
    let age = now - *since;
    let sequence = record.as_ref().map_or(0, |record| record.sequence) + 1;
    let is_ours = record.as_ref().is_some_and(|record| record.region == own);
    let renewed = right.renewed.filter(|_| is_ours);
    let may_take = match record {
        None => true,
        Some(_) if is_ours => renewed.is_none_or(|sent| now - sent >= RENEW),
        Some(_) => age >= PATIENCE + RANK * rank,
    };
    let write = may_take.then_some(Action::Write { sequence });
    let is_valid = renewed.is_some_and(|sent| now - sent < LASTS);
    let then = match child {
        Child::Runs if !is_valid => {
            let why = match record {
                Some(record) if !is_ours => format!("{} has taken the right", record.region),
                Some(_) | None => "the right could not be renewed".to_owned(),
            };
            Some(Action::LetGo { why })
        }
        Child::None { ended, .. } if is_valid => {
            ended.is_none_or(|ended| now - ended >= AGAIN).then_some(Action::Start)
        }
        Child::None { .. } | Child::Runs | Child::LetGo | Child::Stopping => None,
    };
    write.into_iter().chain(then).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Child = Child::None { ended: None, in_vain: 0 };

    #[test]
    fn a_right_that_nobody_has_is_taken_and_the_suite_followed() {
        let mut case = Case::new();
        assert_eq!(case.decide(NONE, 0), []);
        case.right.saw(None, case.at(0));
        assert_eq!(case.decide(NONE, 0), [Action::Write { sequence: 1 }]);
        case.wrote("east", 1, 0);
        assert_eq!(case.decide(NONE, 1), [Action::Start]);
        assert_eq!(case.decide(Child::Runs, 4), []);
        assert_eq!(case.decide(Child::Runs, 5), [Action::Write { sequence: 2 }]);
    }

    #[test]
    fn anothers_right_is_left_alone_until_it_has_stood_still_for_long_enough() {
        let mut case = Case::new();
        case.saw("north", 7, 0);
        case.saw("north", 8, 20);
        // The same again says nothing.
        case.saw("north", 8, 40);
        assert_eq!(case.decide(NONE, 49), []);
        assert_eq!(case.decide(NONE, 50), [Action::Write { sequence: 9 }]);
        let later = decide(&case.right, "south", 2, NONE, Ok(()), case.at(51));
        assert_eq!(later, []);
        assert_eq!(case.right.holder(case.at(49)), Some("north"));
        assert_eq!(case.right.holder(case.at(50)), None);
    }

    #[test]
    fn a_right_that_cannot_be_renewed_ends_before_another_may_take_it() {
        let mut case = Case::new();
        case.wrote("east", 3, 0);
        assert_eq!(case.decide(Child::Runs, 19), [Action::Write { sequence: 4 }]);
        let lost = |why: &str| Action::LetGo { why: why.to_owned() };
        let expected = [Action::Write { sequence: 4 }, lost("the right could not be renewed")];
        assert_eq!(case.decide(Child::Runs, 20), expected);
        assert_eq!(case.decide(Child::LetGo, 20), [Action::Write { sequence: 4 }]);
        case.saw("north", 4, 33);
        assert_eq!(case.decide(Child::Runs, 33), [lost("north has taken the right")]);
    }

    #[test]
    fn a_process_that_comes_back_takes_its_right_again_before_it_uses_it() {
        let mut case = Case::new();
        case.saw("east", 12, 0);
        assert_eq!(case.decide(NONE, 0), [Action::Write { sequence: 13 }]);
    }

    #[test]
    fn whoever_was_overtaken_starts_nothing() {
        let mut case = Case::new();
        case.right.saw(None, case.at(0));
        let mine = Holder { region: "east".to_owned(), sequence: 1 };
        case.right.wrote(mine, false, case.at(0), case.at(1));
        assert_eq!(case.decide(NONE, 1), [Action::Write { sequence: 1 }]);
        case.saw("north", 1, 2);
        assert_eq!(case.decide(NONE, 2), []);
    }

    #[test]
    fn a_suite_that_ended_is_followed_again_after_a_while() {
        let mut case = Case::new();
        case.wrote("east", 1, 0);
        let ended = Child::None { ended: Some(case.at(0)), in_vain: 3 };
        assert_eq!(case.decide(ended, 4), []);
        case.wrote("east", 7, 28);
        assert_eq!(case.decide(ended, 30), [Action::Start]);
    }

    #[test]
    fn whoever_cannot_follow_the_suite_lets_another_have_the_right_for_a_while() {
        let mut case = Case::new();
        case.wrote("east", 1, 0);
        let ended = Child::None { ended: Some(case.at(0)), in_vain: 4 };
        assert_eq!(case.decide(ended, 30), []);
        assert_eq!(case.right.holder(case.at(30)), None);
        assert_eq!(case.decide(ended, 599), []);
        assert_eq!(case.decide(ended, 600), [Action::Write { sequence: 2 }]);
    }

    #[test]
    fn where_drills_are_not_allowed_nothing_runs_and_the_right_is_let_go() {
        let mut case = Case::new();
        case.wrote("east", 1, 0);
        let refused = |child| decide(&case.right, "east", 0, child, Err("no"), case.at(6));
        assert_eq!(refused(Child::Runs), [Action::Stop { why: "no".to_owned() }]);
        // A drill that goes on though it was let go is ended, too.
        assert_eq!(refused(Child::LetGo), [Action::Stop { why: "no".to_owned() }]);
        assert_eq!(refused(Child::Stopping), []);
        assert_eq!(refused(NONE), []);
    }

    /// East, the first in rank.
    struct Case {
        right: Right,
        begun: Instant,
    }

    impl Case {
        fn new() -> Self {
            Self { right: Right::default(), begun: Instant::now() }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.begun + Duration::from_secs(seconds)
        }

        fn saw(&mut self, region: &str, sequence: u64, seconds: u64) {
            let holder = Holder { region: region.to_owned(), sequence };
            self.right.saw(Some(holder), self.at(seconds));
        }

        fn wrote(&mut self, region: &str, sequence: u64, seconds: u64) {
            let holder = Holder { region: region.to_owned(), sequence };
            self.right.wrote(holder, true, self.at(seconds), self.at(seconds));
        }

        fn decide(&self, child: Child, seconds: u64) -> Vec<Action> {
            decide(&self.right, "east", 0, child, Ok(()), self.at(seconds))
        }
    }
}
