//! What the gateway counts.

use std::sync::LazyLock;

use prometheus::{IntCounter, IntCounterVec, register_int_counter, register_int_counter_vec};

/// Why a request was not answered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason {
    RoutingHeaders,
    NotOwner,
    StaleEpoch,
    FailingOver,
    Draining,
    Fenced,
    AtRisk,
    Overload,
    OutcomeUnknown,
}

impl Reason {
    const ALL: [Self; 9] = [
        Self::RoutingHeaders,
        Self::NotOwner,
        Self::StaleEpoch,
        Self::FailingOver,
        Self::Draining,
        Self::Fenced,
        Self::AtRisk,
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
            Self::AtRisk => "at_risk",
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

static STALE: LazyLock<IntCounter> = LazyLock::new(|| {
    register_int_counter!("cell_stale_reads_total", "Reads answered while this site does not serve")
        .expect("registered once")
});

/// Makes all series exist before anything is counted.
pub(super) fn begin() {
    LazyLock::force(&REFUSED);
    LazyLock::force(&STALE);
}

pub(super) fn refused(reason: Reason) {
    REFUSED.with_label_values(&[reason.label()]).inc();
}

pub(super) fn read_stale() {
    STALE.inc();
}
