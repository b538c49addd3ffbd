//! What is measured of a run: the names of its numbers, and what they are in.

use std::fmt;
use std::time::Duration;

#[cfg(doc)]
use super::HELD;

/// What a drill may claim something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// From then on 99 % of the requests of each second were answered within [`HELD`]; the worst of
    /// the cells the fault was aimed at.
    Recover99,
    /// The last user's last wait had ended.
    RecoverAllUsers,
    FirstSuccess,
    /// The same, of tickets alone: what is acknowledged from here on is on a standby's disk, too.
    FirstStrongAck,
    Detect,
    /// From when the cell began to elect to when it had a winner; the slowest of the cells.
    Vote,
    Promote,
    Publish,
    LongestHold,
    /// By how much the 99th percentile of the cells that were hit was longer while the fault was there.
    AddedP99,
    /// Of the cells the fault was aimed at, but for [`Measure::RefusedAsExpected`].
    Failed,
    /// The same, but for what was under way in a router when the fault killed it.
    FailedNotUnderWay,
    /// Refused as they should be while writes were to be refused.
    RefusedAsExpected,
    OtherCellsFailed,
    FailedAfterHeal,
    AckedStrongLost,
    AckedWeakLost,
    /// From the first acknowledged message that is lost to the fault that lost it: how much of the past is gone.
    WeakLossSeconds,
    /// How often a user's stream of their conversation was opened again.
    StreamsReopened,
    /// The longest time from a stream's end to when it was open again.
    LongestStreamPause,
    /// Acknowledged messages that are there, and that a stream did not tell: it had told a lost one under
    /// their number.
    UnheardAfterLoss,
    /// How often a cell went on in another region.
    Moves,
    /// By how much the cells' epochs have grown: a failover that nobody needed is seen here.
    EpochsChanged,
    /// How often a site's database was rewound or copied anew: a planned move needs neither.
    Rebuilt,
    RedundancyRestored,
    /// The same as [`Measure::Recover99`], from when the fault was taken away.
    RecoverAfterHeal,
    /// From the order to restore a cell from its backups until it was compared; the slowest of them.
    RestoredIn,
    /// Tables of what was restored that are not as the cell had them at the same position, or that are missing.
    TablesDiffering,
    /// How long ago the last piece of WAL that was in the archive had been finished when a cell was to be
    /// restored: what was written since is lost with all its sites.
    ArchiveBehind,
    /// From when the leader of etcd was broken to when another one was seen to lead; the slowest of them.
    EtcdLedAgain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Time,
    Count,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Time(Duration),
    Count(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    Got(Value),
    /// It did not happen while anybody looked.
    Never,
    /// Nothing shows it: not every fault leads to every event.
    Unseen,
}

impl Measure {
    pub(crate) const ALL: [Self; 30] = [
        Self::Recover99,
        Self::RecoverAllUsers,
        Self::FirstSuccess,
        Self::FirstStrongAck,
        Self::Detect,
        Self::Vote,
        Self::Promote,
        Self::Publish,
        Self::LongestHold,
        Self::AddedP99,
        Self::Failed,
        Self::FailedNotUnderWay,
        Self::RefusedAsExpected,
        Self::OtherCellsFailed,
        Self::FailedAfterHeal,
        Self::AckedStrongLost,
        Self::AckedWeakLost,
        Self::WeakLossSeconds,
        Self::StreamsReopened,
        Self::LongestStreamPause,
        Self::UnheardAfterLoss,
        Self::Moves,
        Self::EpochsChanged,
        Self::Rebuilt,
        Self::RedundancyRestored,
        Self::RecoverAfterHeal,
        Self::RestoredIn,
        Self::TablesDiffering,
        Self::ArchiveBehind,
        Self::EtcdLedAgain,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recover99 => "recover-99",
            Self::RecoverAllUsers => "recover-all-users",
            Self::FirstSuccess => "first-success",
            Self::FirstStrongAck => "first-strong-ack",
            Self::Detect => "detect",
            Self::Vote => "vote",
            Self::Promote => "promote",
            Self::Publish => "publish",
            Self::LongestHold => "longest-hold",
            Self::AddedP99 => "added-p99",
            Self::Failed => "failed",
            Self::FailedNotUnderWay => "failed-not-under-way",
            Self::RefusedAsExpected => "refused-as-expected",
            Self::OtherCellsFailed => "other-cells-failed",
            Self::FailedAfterHeal => "failed-after-heal",
            Self::AckedStrongLost => "acked-strong-lost",
            Self::AckedWeakLost => "acked-weak-lost",
            Self::WeakLossSeconds => "weak-loss-seconds",
            Self::StreamsReopened => "streams-reopened",
            Self::LongestStreamPause => "longest-stream-pause",
            Self::UnheardAfterLoss => "unheard-after-loss",
            Self::Moves => "moves",
            Self::EpochsChanged => "epochs-changed",
            Self::Rebuilt => "rebuilt",
            Self::RedundancyRestored => "redundancy-restored",
            Self::RecoverAfterHeal => "recover-after-heal",
            Self::RestoredIn => "restored-in",
            Self::TablesDiffering => "tables-differing",
            Self::ArchiveBehind => "archive-behind",
            Self::EtcdLedAgain => "etcd-led-again",
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::Recover99
            | Self::RecoverAllUsers
            | Self::FirstSuccess
            | Self::FirstStrongAck
            | Self::Detect
            | Self::Vote
            | Self::WeakLossSeconds
            | Self::Promote
            | Self::Publish
            | Self::LongestHold
            | Self::AddedP99
            | Self::LongestStreamPause
            | Self::RedundancyRestored
            | Self::RecoverAfterHeal
            | Self::RestoredIn
            | Self::ArchiveBehind
            | Self::EtcdLedAgain => Unit::Time,
            Self::Failed
            | Self::FailedNotUnderWay
            | Self::RefusedAsExpected
            | Self::OtherCellsFailed
            | Self::FailedAfterHeal
            | Self::AckedStrongLost
            | Self::AckedWeakLost
            | Self::StreamsReopened
            | Self::UnheardAfterLoss
            | Self::Moves
            | Self::EpochsChanged
            | Self::Rebuilt
            | Self::TablesDiffering => Unit::Count,
        }
    }

    /// Whether it is the time to something that a control plane does and says.
    pub(crate) fn is_event(self) -> bool {
        matches!(self, Self::Detect | Self::Vote | Self::Promote | Self::Publish)
    }

    /// Whether exceeding it means that data is not safe, rather than not at hand.
    pub(crate) fn is_safety(self) -> bool {
        matches!(self, Self::AckedStrongLost | Self::TablesDiffering)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) if *time < Duration::from_secs(1) => {
                write!(f, "{} ms", time.as_millis())
            }
            Self::Time(time) => write!(f, "{:.2} s", time.as_secs_f64()),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Got(value) => value.fmt(f),
            Self::Never => f.write_str("never"),
            Self::Unseen => f.write_str("not seen"),
        }
    }
}

impl From<Option<Duration>> for Measured {
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::Never, |time| Self::Got(Value::Time(time)))
    }
}
