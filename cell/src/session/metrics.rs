//! What the session counts.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};

use super::decide::turn::Trouble;

static DEGRADED: LazyLock<IntCounterVec> = LazyLock::new(|| {
    let degraded = register_int_counter_vec!(
        "cell_degraded_answers_total",
        "Answers that were not what they should be, by why",
        &["reason"]
    )
    .expect("registered once");
    for trouble in Trouble::ALL {
        degraded.with_label_values(&[trouble.as_str()]);
    }
    degraded
});

/// Makes all series exist before anything is counted.
pub(super) fn begin() {
    LazyLock::force(&DEGRADED);
}

pub(super) fn degraded(trouble: Trouble) {
    DEGRADED.with_label_values(&[trouble.as_str()]).inc();
}
