//! Each problem as it is answered, for the document: with the detail and the fields that it has.

use std::time::Duration;

use runtime::Problem;
use runtime::json_body::{BODY_MAX, invalid};
use topology::Epoch;

use super::{
    ABORTED, ACTIVE_SERVES, ACTIVE_UNREACHABLE, ALREADY_ACTIVE, ELECTING, ETCD_UNREACHABLE,
    FAILOVER_FAILED, FROZEN, INVALID, KEY_REUSED, Kind, NO_DATABASE, NO_HEADROOM, NO_READY_SITE,
    NOBODY_TO_PROMOTE, NOT_A_SITE, NOT_A_STANDBY, NOT_FROZEN, NOT_OPENED, NOT_STEADY,
    NOT_UNDERSTOOD, NOTHING_KNOWN, NOTHING_RECORDED, OPERATION_ENDED, OPERATION_RUNNING,
    OTHER_PROMOTED, OUTCOME_PENDING, OUTDATED, OUTSIDE_WINDOW, OVERTAKEN, REGION_DRAINED,
    ROLE_INSUFFICIENT, SECOND_REGION, STALE, STILL_ELECTING, STOPPING, TARGET_BEHIND,
    TARGET_LAGGING, TARGET_UNREACHABLE, TOKEN_MALFORMED, TOKEN_MISSING, TOKEN_UNKNOWN,
    TOO_FEW_VOTES, TOO_LATE, TOO_LONG, TOO_MANY, UNKNOWN_CELL, UNKNOWN_DRILL, UNKNOWN_OPERATION,
    UNKNOWN_REGION,
};
use crate::api::operations::example::{ID, begun, cell, evacuate, failed, region, site};
use crate::api::{auth, error, rate};
use crate::callers::{Caller, Role};
use crate::decide::asked_failover;
use crate::decide::data_loss::Blocked;
use crate::decide::operation::exclude::Common;
use crate::decide::operation::{Goal, Operation, Status};
use crate::decide::safety::{Broken, Rule};
use crate::decide::switchover::Refusal;
use crate::tasks::fail_over::Unelected;
use crate::tasks::switch::Undone;

/// Returns one of this type.
pub(in crate::api) fn of(kind: &Kind) -> Problem {
    match *kind {
        INVALID => invalid("/to", "unknown region \"South\": ids are lowercase"),
        TOKEN_MISSING | TOKEN_MALFORMED | TOKEN_UNKNOWN => auth::unknown(kind),
        ROLE_INSUFFICIENT => {
            let caller = Caller { name: "mei".to_owned(), role: Role::Operator };
            caller.require(Role::Admin).expect_err("an operator is no admin")
        }
        UNKNOWN_CELL => error::unknown_cell("c9"),
        UNKNOWN_REGION => error::unknown_region("west"),
        UNKNOWN_OPERATION => error::unknown_operation("op-000099"),
        UNKNOWN_DRILL => error::unknown_drill("1795385107000-region-loss"),
        NOTHING_RECORDED => {
            let detail = "what is recorded of cell c1 begins at 2026-10-28 06:12:40.000+00:00";
            kind.problem().detail(detail)
        }
        OVERTAKEN => error::overtaken("somebody else has changed the freeze"),
        ABORTED => {
            let why = "east did not stop".to_owned();
            error::undone(&Undone::Aborted(why)).with("operation", ID)
        }
        NOT_STEADY => refused(Refusal::NotSteady("electing the successor of east".to_owned())),
        ALREADY_ACTIVE => refused(Refusal::AlreadyActive(region("south"))),
        NOT_A_STANDBY => refused(Refusal::NotAStandby(region("west"))),
        ACTIVE_UNREACHABLE => refused(Refusal::ActiveUnreachable(region("east"))),
        TARGET_UNREACHABLE => refused(Refusal::TargetUnreachable(region("south"))),
        TARGET_LAGGING => {
            let why = "is 4194304 bytes behind".to_owned();
            refused(Refusal::TargetLagging { region: region("south"), why })
        }
        NOT_OPENED => error::not_opened(9, "epoch 9, promoting south").with("operation", ID),
        TOO_FEW_VOTES => unelected(&Unelected::TooFewVotes("1 of 2 voters answer".to_owned())),
        OTHER_PROMOTED => {
            let (to, winner) = (region("south"), region("north"));
            unelected(&Unelected::Further { to, winner, epoch: Epoch(9) })
        }
        NOT_FROZEN => {
            let why = "no answer within 3 s".to_owned();
            unelected(&Unelected::Blocked(Blocked::NotFrozen { region: region("north"), why }))
        }
        NOBODY_TO_PROMOTE => unelected(&Unelected::Blocked(Blocked::NobodyAnswers)),
        NOT_A_SITE => error::not_a_site(&cell(), &region("west")),
        NO_DATABASE => no_failover(asked_failover::Refusal::NoDatabase),
        ACTIVE_SERVES => no_failover(asked_failover::Refusal::ActiveServes(region("east"))),
        ELECTING => {
            let phase = "electing the successor of east".to_owned();
            no_failover(asked_failover::Refusal::Electing(phase))
        }
        OUTDATED => no_failover(asked_failover::Refusal::Outdated),
        TARGET_BEHIND => {
            let (to, who) = (region("south"), region("north"));
            no_failover(asked_failover::Refusal::Behind { to, who, bytes: 4096 })
        }
        FAILOVER_FAILED => error::not_moved(ID, &failed()),
        STILL_ELECTING => {
            let phase = "epoch 9, electing the successor of east";
            error::still_electing(&cell(), phase).with("operation", ID)
        }
        FROZEN => broken(Rule::Frozen, "everything is frozen by ada: we are looking"),
        OUTSIDE_WINDOW => {
            let detail =
                "the next change window opens at 2026-11-23 01:00:00Z of daily 01:00-05:00";
            broken(Rule::OutsideWindow, detail)
        }
        REGION_DRAINED => broken(Rule::RegionDrained, "south is drained"),
        SECOND_REGION => broken(Rule::SecondRegion, "north is drained"),
        NO_READY_SITE => broken(Rule::NoReadySite, "c1 has no ready site but east"),
        NO_HEADROOM => broken(Rule::NoHeadroom, "south would have 10 % of its capacity left"),
        NOT_UNDERSTOOD => broken(Rule::NotUnderstood, "op-000011 goes on, and may be about c1"),
        OPERATION_RUNNING => {
            let goes_on = begun(evacuate());
            error::operation_running(ID, &goes_on, Common::Region(&region("east")))
        }
        TOO_LATE => {
            let moves = begun(Goal::Switchover(site()));
            error::too_late(ID, &moves, "c1 is at epoch 9, promoting south by now")
        }
        OPERATION_ENDED => {
            error::operation_ended(ID, &Operation { status: Status::Done, ..begun(evacuate()) })
        }
        OUTCOME_PENDING => error::outcome_pending("1795385107000-north"),
        STALE => error::matches("\"7\"", "\"8\"").expect_err("they are different"),
        TOO_LONG => kind.problem().detail(format!("at most {BODY_MAX} bytes are read")),
        KEY_REUSED => error::key_reused(),
        TOO_MANY => rate::too_many(Duration::from_secs(1)),
        NOTHING_KNOWN => error::nothing_known(),
        STOPPING => kind.problem().detail("channel closed"),
        ETCD_UNREACHABLE => error::etcd_silent(Duration::from_millis(500)),
        // They say all in their titles.
        _ => kind.problem(),
    }
}

fn refused(refusal: Refusal) -> Problem {
    error::undone(&Undone::Refused(refusal))
}

fn unelected(unelected: &Unelected) -> Problem {
    error::unelected(&cell(), unelected).with("operation", ID)
}

fn no_failover(refusal: asked_failover::Refusal) -> Problem {
    error::unelected(&cell(), &Unelected::Refused(refusal))
}

fn broken(rule: Rule, detail: &str) -> Problem {
    let broken = Broken { rule, detail: detail.to_owned() };
    error::broken(&broken, &[&broken])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::{KINDS, METHOD_NOT_ALLOWED, NO_SUCH_ROUTE, UNKNOWN_PROBLEM};

    /// Their titles say all there is.
    const WITHOUT_DETAIL: [Kind; 5] =
        [NO_SUCH_ROUTE, UNKNOWN_PROBLEM, METHOD_NOT_ALLOWED, KEY_REUSED, NOTHING_KNOWN];

    #[test]
    fn every_problem_is_shown_as_itself_and_with_what_it_says() {
        for kind in KINDS {
            let shown = of(kind);
            let told = (shown.status, shown.code.as_str(), shown.title.as_str());
            assert_eq!(told, (kind.status, kind.code, kind.title));
            let says = shown.detail.is_some() || !shown.errors.is_empty();
            assert_eq!(says, !WITHOUT_DETAIL.contains(kind), "{}", kind.code);
        }
    }
}
