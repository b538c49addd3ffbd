//! What the gateway counts.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

/// Why a request was not answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    RoutingHeaders,
    NotOwner,
    StaleEpoch,
    FailingOver,
    Draining,
    Fenced,
    Overload,
    OutcomeUnknown,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::RoutingHeaders,
        Self::NotOwner,
        Self::StaleEpoch,
        Self::FailingOver,
        Self::Draining,
        Self::Fenced,
        Self::Overload,
        Self::OutcomeUnknown,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::RoutingHeaders => "routing_headers",
            Self::NotOwner => "not_owner",
            Self::StaleEpoch => "stale_epoch",
            Self::FailingOver => "failing_over",
            Self::Draining => "draining",
            Self::Fenced => "fenced",
            Self::Overload => "overload",
            Self::OutcomeUnknown => "outcome_unknown",
        }
    }
}

static REFUSED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let refused = register_int_counter_vec!(
        "cell_refused_total",
        "Requests not answered, by why",
        &["reason"]
    )
    .expect("registered once");
    for reason in Reason::ALL {
        refused.with_label_values(&[reason.label()]);
    }
    refused
});

/// Makes all series exist before anything is counted.
pub(super) fn begin() {
    LazyLock::force(&REFUSED);
}

pub(super) fn refused(reason: Reason) {
    REFUSED.with_label_values(&[reason.label()]).inc();
}
