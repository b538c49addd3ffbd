//! Deliberate mistakes, one at a time. Each leaves out or turns round one step that the protocol
//! rests on, and a test shows that the simulation finds it.
//!
//! Not among them: that a standby counts under another epoch's name. A voter receives nothing under
//! the epoch it has voted for or one before, so whatever it acknowledges under any name it has when
//! it votes. The name is a second fence, for a standby that somebody points elsewhere by hand.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A vote is forgotten when its voter crashes.
    VoteNotOnDisk,
    /// A voter does not stop receiving before it says how far it is.
    VoteWithoutCut,
    /// A voter votes though it has promised not to yet.
    VotesDespitePromise,
    /// A voter that restarted votes at once, though it has forgotten what it promised.
    NoWaitAfterRestart,
    /// One vote is taken for enough.
    OneVoteIsEnough,
    /// The right counts from a renewal's answer instead of its sending.
    LeaseFromTheReply,
    /// The right of who is elected counts from when they hear of it instead of from their vote.
    RightFromTheRecord,
    /// A site says that it sends a renewal a second and a half before it does.
    RenewalSaidTooSoon,
    /// A winner is promoted without waiting for the end of its predecessor's right.
    NoWaitForTheRight,
    /// A take-over is written without comparing the lease.
    LeaseNotCompared,
    /// A voter leaves the record before its name leaves PostgreSQL's.
    RecordBeforeName,
    /// A standby's name counts before the record makes it a voter.
    NameBeforeRecord,
    /// A voter leaves the record before the others have what it alone had acknowledged.
    NoFlushBeforeRecord,
    /// After a change of voters went unanswered, the standbys are named as if it had not happened.
    RecordLeftUnsettled,
    /// The promise of a voter that leaves goes on counting.
    LeaversPromiseCounts,
    /// An epoch is opened without its barrier.
    NoBarrier,
    /// A restarted agent counts its renewals as before, and finds one of its former life's for its own.
    RenewalsCountedFromOne,
    /// A right begins with promises, before a renewal has shown that the record is in force.
    PromisesBeginARight,
    /// A site with a slow disk hands over before its gateway has heard that the gate is closed.
    HandedOverBeforeTheGatewayKnows,
    /// It hands over what it had flushed before it closed the gate.
    FlushedReadBeforeTheGate,
    /// A former primary is taken to be in line because its timeline has its successor's number.
    TrustTheTimeline,
    /// The gate is not checked between the commit and the answer.
    GateNotCheckedAfterwards,
}
