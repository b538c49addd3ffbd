//! What a platform could do wrong, and which check must not let it pass.

use crate::check::Check;
use crate::course::Course;
use crate::selftest::put_in;

/// Something a platform could do wrong.
pub(crate) struct Defect {
    pub(crate) name: &'static str,
    /// What the platform would do, for people.
    pub(crate) what: &'static str,
    /// The check that must not let it pass.
    pub(crate) meant: Check,
    pub(super) put_in: fn(&mut Course),
}

pub(crate) const DEFECTS: [Defect; 23] = [
    Defect {
        name: "ack-before-commit",
        what: "a ticket is acknowledged before it is committed, and its site dies in between",
        meant: Check::NoLostAck,
        put_in: put_in::ack_before_commit,
    },
    Defect {
        name: "lagging-standby-promoted",
        what: "a standby is promoted that lacks an acknowledged ticket",
        meant: Check::NoLostAck,
        put_in: put_in::lagging_standby_promoted,
    },
    Defect {
        name: "refused-yet-done",
        what: "a ticket is refused for good, and is written nevertheless",
        meant: Check::NoLostAck,
        put_in: put_in::refused_yet_done,
    },
    Defect {
        name: "no-deduplication",
        what: "an idempotency key is not remembered, and a message is written again",
        meant: Check::ExactlyOnce,
        put_in: put_in::no_deduplication,
    },
    Defect {
        name: "keys-not-replicated",
        what: "the successor does not know an idempotency key, and does the request again",
        meant: Check::ExactlyOnce,
        put_in: put_in::keys_not_replicated,
    },
    Defect {
        name: "two-keys-one-answer",
        what: "two requests are acknowledged with one ticket",
        meant: Check::ExactlyOnce,
        put_in: put_in::two_keys_one_answer,
    },
    Defect {
        name: "epoch-ignored",
        what: "a router sends a ticket to the old site, which takes it after its successor has",
        meant: Check::SingleWriter,
        put_in: put_in::epoch_ignored,
    },
    Defect {
        name: "epoch-ignored-on-retry",
        what: "a ticket is asked for again after the move, and the old site takes it",
        meant: Check::SingleWriter,
        put_in: put_in::epoch_ignored_on_retry,
    },
    Defect {
        name: "no-fence-on-thaw",
        what: "a site that stood still wakes up, and acknowledges what had waited in it",
        meant: Check::NoLateAck,
        put_in: put_in::no_fence_on_thaw,
    },
    Defect {
        name: "strong-read-from-standby",
        what: "a standby that is behind answers a read as if it were the active site",
        meant: Check::NoStaleStrongRead,
        put_in: put_in::strong_read_from_standby,
    },
    Defect {
        name: "set-without-compare",
        what: "two transitions are acknowledged that were decided on the same version",
        meant: Check::NoStaleStrongRead,
        put_in: put_in::set_without_compare,
    },
    Defect {
        name: "sequence-restarted",
        what: "the successor numbers a conversation's messages anew",
        meant: Check::SessionOrder,
        put_in: put_in::sequence_restarted,
    },
    Defect {
        name: "resumed-too-late",
        what: "the successor goes on with a stream behind a message that its user was not told",
        meant: Check::StreamOrder,
        put_in: put_in::resumed_too_late,
    },
    Defect {
        name: "resumed-too-early",
        what: "the successor tells a stream's user a message that they have been told",
        meant: Check::StreamOrder,
        put_in: put_in::resumed_too_early,
    },
    Defect {
        name: "loss-not-reported",
        what: "an acknowledged message is lost, and the platform's report does not list it",
        meant: Check::LostWritesReported,
        put_in: put_in::loss_not_reported,
    },
    Defect {
        name: "fault-spreads",
        what: "a fault in one cell makes another one hang",
        meant: Check::BlastRadius,
        put_in: put_in::fault_spreads,
    },
    Defect {
        name: "blind-and-silent",
        what: "a control plane that sees no site writes nothing down of what it made of that",
        meant: Check::ObserverAlone,
        put_in: put_in::blind_and_silent,
    },
    Defect {
        name: "alone-and-strong",
        what: "a site without voters acknowledges a ticket that nobody else has",
        meant: Check::NoForbiddenAck,
        put_in: put_in::alone_and_strong,
    },
    Defect {
        name: "left-waiting",
        what: "a ticket that cannot be taken is neither taken nor refused",
        meant: Check::CleanRefusals,
        put_in: put_in::left_waiting,
    },
    Defect {
        name: "written-under-an-old-epoch",
        what: "the successor goes on writing under the epoch of the site it has succeeded",
        meant: Check::Ledger,
        put_in: put_in::written_under_an_old_epoch,
    },
    Defect {
        name: "epoch-used-twice",
        what: "a site writes under an epoch that another one had, and nobody is answered",
        meant: Check::Ledger,
        put_in: put_in::epoch_used_twice,
    },
    Defect {
        name: "copy-not-equal",
        what: "a standby has lost a change of a ticket, and goes on replicating",
        meant: Check::Convergence,
        put_in: put_in::copy_not_equal,
    },
    Defect {
        name: "panic-unseen",
        what: "a process panics and is started again, and every request is answered all the same",
        meant: Check::LogPatterns,
        put_in: put_in::panic_unseen,
    },
];
