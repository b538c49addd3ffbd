//! The table of problems: every one this API answers with, and what to do about it. Each is served at
//! its type's address, `/problems/{code}`, and named in the API's document.

pub(super) mod example;

use runtime::Problem;

/// A type of problem.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) code: &'static str,
    pub(super) status: u16,
    pub(super) title: &'static str,
    /// What it means, and what can be done.
    pub(super) about: &'static str,
}

impl Kind {
    /// Returns a problem of this type.
    pub(super) fn problem(&self) -> Problem {
        Problem::new(self.status, self.code, self.title)
    }
}

/// Whether whoever accepts data loss is not refused for this reason.
#[must_use]
pub(crate) fn is_ended_by_force(problem: &Problem) -> bool {
    [ELECTING.code, OUTDATED.code].contains(&problem.code.as_str())
}

macro_rules! kinds {
    ($($name:ident = $status:literal $code:literal $title:literal: $about:literal;)*) => {
        $(pub(super) const $name: Kind =
            Kind { code: $code, status: $status, title: $title, about: $about };)*

        /// All of them, in the order of their status.
        pub(super) const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    INVALID = 400 "validation-error" "The request is not valid":
        "`errors` names each wrong value by a JSON pointer into the body.";
    TOKEN_MISSING = 401 "token-missing" "There is no bearer token":
        "Send a token of the control plane's callers as `Authorization: Bearer …`.";
    TOKEN_MALFORMED = 401 "token-malformed" "This is no bearer token":
        "The header reads `Authorization: Bearer …`.";
    TOKEN_UNKNOWN = 401 "token-unknown" "The bearer token is not known here":
        "It was rotated, or is of another platform. Callers are in `secrets/control-plane.callers`.";
    ROLE_INSUFFICIENT = 403 "role-insufficient" "The caller's role does not allow this":
        "`required_role` says which does. Viewers read, operators move cells, admins freeze and give \
         up data.";
    NO_SUCH_ROUTE = 404 "no-such-route" "There is nothing at this path":
        "`/docs` lists every call.";
    UNKNOWN_CELL = 404 "unknown-cell" "There is no such cell":
        "`GET /v1/cells` lists those there are.";
    UNKNOWN_REGION = 404 "unknown-region" "There is no such region":
        "`GET /v1/regions` lists those there are.";
    UNKNOWN_OPERATION = 404 "unknown-operation" "There is no such operation":
        "`GET /v1/operations` lists those there are; those that ended long ago are forgotten.";
    UNKNOWN_DRILL = 404 "unknown-drill" "There is no such run of a drill":
        "`GET /v1/drills` lists those there are; the newest 200 are kept.";
    UNKNOWN_PROBLEM = 404 "unknown-problem" "There is no such type of problem":
        "`/docs` lists every type.";
    NOTHING_RECORDED = 404 "nothing-recorded" "Nothing is recorded of that moment":
        "Where cells were is kept for thirty days. `detail` says when the record begins.";
    METHOD_NOT_ALLOWED = 405 "method-not-allowed" "This path does not take this method":
        "`/docs` lists every call.";
    OVERTAKEN = 409 "overtaken" "Somebody else changed the cell first":
        "Look at the cell again, and decide anew.";
    ABORTED = 409 "switchover-aborted" "The planned move was aborted":
        "The cell is active where it was, under a later epoch if it was interrupted; `detail` says why, or which \
         step did not end. Try again, or look at the target's alerts.";
    NOT_STEADY = 409 "not-steady" "The cell is being moved already":
        "Wait until `phase` is steady.";
    ALREADY_ACTIVE = 409 "already-active" "The cell is active there already":
        "There is nothing to do.";
    NOT_A_STANDBY = 409 "not-a-standby" "The cell has no voting standby there":
        "`voters` of the cell lists the regions it can move to.";
    ACTIVE_UNREACHABLE = 409 "active-unreachable" "The active site could not hand over":
        "A planned move needs both sides. If the active site is lost, the cell fails over by itself.";
    TARGET_UNREACHABLE = 409 "target-unreachable" "The target does not answer":
        "Choose another standby, or look at the site.";
    TARGET_LAGGING = 409 "target-lagging" "The target does not keep up":
        "Wait until it streams, `lag_bytes` is small and its disk has room, or choose another standby.";
    NOT_OPENED = 409 "switchover-unfinished" "The target has not opened its epoch in time":
        "The target is to be promoted, and has not said that it serves. Look at the cell: `at_risk` and the \
         alerts of its sites say what is missing.";
    TOO_FEW_VOTES = 409 "too-few-votes" "The voters that answer do not suffice":
        "Nothing was changed. An admin may give up data with `accept_data_loss` and a reason.";
    OTHER_PROMOTED = 409 "other-promoted" "Another site was further, and is promoted":
        "The cell is served; move it on by a switchover if it should be elsewhere.";
    NOT_FROZEN = 409 "not-frozen" "A site answers and does not freeze its vote":
        "It may still acknowledge writes. Stop that site, or try again.";
    NOBODY_TO_PROMOTE = 409 "nobody-to-promote" "No site answers that could be promoted":
        "Bring a site of the cell back; see its alerts.";
    NOT_A_SITE = 409 "not-a-site" "The cell has no site there":
        "`sites` of the cell lists where it has one.";
    NO_DATABASE = 409 "no-database" "The cell has no database yet":
        "It is being made for the first time; wait.";
    ACTIVE_SERVES = 409 "active-serves" "The active site is in its right":
        "Nothing is lost. Move the cell by a switchover.";
    ELECTING = 409 "electing" "The cell elects its active site already":
        "It goes on by itself as soon as enough voters answer.";
    OUTDATED = 409 "outdated" "The cell's record in etcd is an older one":
        "etcd was restored to an earlier time; its agents write the present back.";
    TARGET_BEHIND = 409 "target-behind" "Another site is further":
        "Name that site, or none.";
    FAILOVER_FAILED = 409 "failover-failed" "The failover that was asked for before has failed":
        "`detail` says why, and `operation` names it. Look at the cell, and ask anew, with another key.";
    STILL_ELECTING = 409 "still-electing" "The election has not come to a result yet":
        "It goes on, as `operation`. Look at the cell.";
    FROZEN = 409 "frozen" "Everything is frozen":
        "A person said so: `GET /v1/freeze` tells who and why. `PUT /v1/freeze` lifts it.";
    OUTSIDE_WINDOW = 409 "outside-change-window" "Planned moves are not allowed at this time":
        "`detail` says when the next window opens. An admin may override it, with a reason. What is lost \
         fails over at any time.";
    REGION_DRAINED = 409 "region-drained" "A drained region is never a target":
        "Choose another region, or restore this one first.";
    SECOND_REGION = 409 "second-region" "No second region is emptied while one is down or drained":
        "Restore the other region first. An admin may override it, with a reason.";
    NO_READY_SITE = 409 "no-ready-site" "A cell would be left without a ready site":
        "`rules` names each cell and what its sites lack.";
    NO_HEADROOM = 409 "no-headroom" "Too little capacity would be left":
        "Move less, or say a larger `capacity` in `regions.yaml`. An admin may override it, with a \
         reason.";
    OPERATION_RUNNING = 409 "operation-running" "Another operation is in the way":
        "Of two about the same region or cell one goes on at a time, and no second region is emptied while \
         one is. `operation` names the other: wait for it, or cancel it.";
    NOT_UNDERSTOOD = 409 "operation-not-understood" "An operation that is not understood here is in the way":
        "A newer version has begun it, and it may be about the same. `detail` names it: wait for its end, or \
         have it cancelled by a control plane of that version. If none is left, an admin may override it, \
         with a reason.";
    TOO_LATE = 409 "too-late-to-cancel" "The cell moves already":
        "It is brought to its end within a minute: see `GET /v1/operations/{id}`. Move the cell back by a \
         switchover if it should be where it was.";
    OPERATION_ENDED = 409 "operation-ended" "The operation has ended already":
        "There is nothing to cancel.";
    OUTCOME_PENDING = 409 "outcome-pending" "The same request goes on, or its outcome is not known":
        "`audit` names its entry, or `operation` what goes on. Look at what it is about.";
    STALE = 412 "stale" "It has changed since you looked":
        "`etag` is the tag of what there is now. Look again, and decide anew.";
    TOO_LONG = 413 "payload-too-large" "The request's body is too large":
        "Bodies are at most 64 KiB.";
    KEY_REUSED = 422 "idempotency-key-reused" "The key was used for another request":
        "Each new request takes an `Idempotency-Key` of its own.";
    TOO_MANY = 429 "too-many-requests" "The caller asks too often":
        "Wait as long as `Retry-After` says, in seconds.";
    NOTHING_KNOWN = 503 "nothing-known" "This control plane has not read etcd yet":
        "Try again, or ask another region's control plane.";
    STOPPING = 503 "stopping" "This control plane is stopping":
        "Ask another region's control plane.";
    ETCD_UNREACHABLE = 503 "etcd-unreachable" "etcd does not answer":
        "Nothing was done: what cannot be written down is not done. Reads go on being answered from what \
         was last known; cells move and serve on their own rights.";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_different_and_in_the_order_of_their_status() {
        let codes: BTreeSet<&str> = KINDS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.len(), KINDS.len());
        assert!(KINDS.is_sorted_by_key(|kind| kind.status));
    }
}
