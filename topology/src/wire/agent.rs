//! Between the agents of a cell's sites, from the control plane to an agent, and from an agent to
//! its own services. All of it is `POST` or `GET` with JSON at the agent's address.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `POST /v1/promise`: the active site asks a voter not to vote before the promise is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseRequest {
    pub cell: String,
    pub region: String,
    pub epoch: u64,
    /// The asker has stopped serving by itself: whatever was promised to it is over.
    #[serde(default)]
    pub release: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromiseReply {
    pub granted: bool,
    /// Why not, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `GET /v1/renewal?after=N`: the last renewal of the lease that this site has begun to send, once it is
/// another one than that. It says nothing of what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    pub epoch: u64,
    /// The lease record's; 0 while nothing has been sent.
    pub sequence: u64,
}

/// `GET /v1/timeline?epoch=N`: the timeline of PostgreSQL that this site began when it was promoted under
/// that epoch. It is told once there is one; `503` after two seconds without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BegunTimeline {
    pub epoch: u64,
    pub system: u64,
    pub timeline: u32,
    /// How far the site had come.
    pub lsn: u64,
    /// The file in which PostgreSQL notes where earlier timelines were left.
    pub history: String,
}

/// `POST /v1/vote`: freeze, and say how far you are. With `dry`, only say whether you would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteRequest {
    pub cell: String,
    pub epoch: u64,
    pub dry: bool,
    /// Whether `voter` is the site whose right is over: it must have stopped being primary.
    pub predecessor: bool,
    /// With `dry`: the vote would be asked for so much later. An agent of an earlier version answers as if
    /// it were now, and may say no where a promise will have run out.
    #[serde(default)]
    pub ahead_ms: u64,
    /// How far the voter will come in a moment: it waits for that, half a second at most, and freezes then. An
    /// agent of an earlier version freezes at once, and a planned move that needed more ends in an election.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_lsn: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum VoteReply {
    /// The vote is on disk, nothing is received any more, and everything received is replayed.
    Frozen {
        system: u64,
        timeline: u32,
        /// Where that timeline began. An agent of an earlier version does not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        begun: Option<u64>,
        lsn: u64,
    },
    /// Asked with `dry`: nothing stands in the way.
    Willing,
    Refused {
        reason: String,
    },
}

/// `POST /v1/hand-over`: finish what is in flight, stop serving, stop PostgreSQL cleanly. With
/// `prepare`, only do beforehand what would take long then: write a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverRequest {
    pub cell: String,
    pub epoch: u64,
    #[serde(default)]
    pub prepare: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum HandOverReply {
    /// PostgreSQL has written its last checkpoint, on this timeline, at `checkpoint`; what its standbys do not
    /// have yet is being sent.
    Stopped {
        timeline: u32,
        checkpoint: u64,
    },
    /// The disk is too slow or too full for a clean stop: PostgreSQL is stopped at once. Whatever was
    /// acknowledged had been flushed by `flushed`, on this timeline, and nothing is acknowledged here any more.
    Abandoned {
        timeline: u32,
        flushed: u64,
    },
    /// PostgreSQL has ended, though not cleanly, and the gateway knows that nothing more is acknowledged here:
    /// the right is over, and the voters know what there is.
    Ended {
        reason: String,
    },
    /// Asked with `prepare`: a checkpoint has been written.
    Prepared,
    Refused {
        reason: String,
    },
}

/// `GET /v1/tenure`: one line of JSON now and at each change, for the site's own services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenureLine {
    pub tenure: TenureName,
    pub epoch: u64,
    /// Until when the site may acknowledge, in nanoseconds of this machine's boot-time clock.
    pub valid_until: u64,
    /// Whether the epoch's barrier has been passed, so that strong writes and replays may answer.
    pub open: bool,
    /// Whether enough voters replicate under this epoch for a strong commit to come through. Only a
    /// forecast: what counts is the commit itself.
    #[serde(default)]
    pub strong: bool,
    /// Whether the voters are so far behind that weak writes wait for them too.
    #[serde(default)]
    pub lagging: bool,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum TenureName {
    Standby,
    Serving,
    Draining,
    Fenced,
}
