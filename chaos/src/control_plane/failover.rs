//! Asks for a failover, and says what it gives up.

use std::fmt;

use anyhow::Context as _;
use http::StatusCode;
use serde::Deserialize;
use topology::CellId;

use super::ControlPlane;

/// What a failover that a person has asked for came to.
pub(crate) enum FailedOver {
    Done(Promoted),
    /// By the code of its problem.
    Refused(String),
}

#[derive(Deserialize)]
pub(crate) struct Promoted {
    cell: String,
    pub(crate) to: String,
    epoch: u64,
    /// Missing where nothing may be lost.
    pub(crate) gives_up: Option<GivesUp>,
}

/// What may be lost with it.
#[derive(Deserialize)]
pub(crate) struct GivesUp {
    /// Sites that could not be asked.
    unheard: Vec<String>,
    /// Whether strong writes that were acknowledged may be among it.
    acknowledged_writes: bool,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

impl ControlPlane {
    /// Has a cell served by whoever of what is left of it is furthest: with a reason to give up what the others
    /// had, or without giving up anything.
    pub(crate) async fn failover(
        &self,
        cell: &CellId,
        reason: Option<&str>,
    ) -> anyhow::Result<FailedOver> {
        let body = match reason {
            Some(reason) => serde_json::json!({ "accept_data_loss": true, "reason": reason }),
            None => serde_json::json!({}),
        };
        let path = format!("/v1/cells/{cell}/failover");
        let asked = self.ordered(&path, &body).await;
        let (url, answer) = asked.with_context(|| format!("fail over {cell}"))?;
        if answer.status == StatusCode::CONFLICT {
            let problem: Problem = serde_json::from_slice(&answer.body)
                .with_context(|| format!("read why {url} refuses"))?;
            return Ok(FailedOver::Refused(problem.code));
        }
        let promoted = answer.json(&url).with_context(|| format!("fail over {cell}"))?;
        Ok(FailedOver::Done(promoted))
    }
}

impl fmt::Display for Promoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "promoted {}@{} under epoch {}", self.cell, self.to, self.epoch)
    }
}

impl fmt::Display for GivesUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let among = if self.acknowledged_writes { "may be" } else { "is not" };
        let unheard = self.unheard.join(" and ");
        write!(
            f,
            "given up is what only {unheard} had; an acknowledged strong write {among} among it"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_told_as_the_control_plane_has_it() {
        let promoted: Promoted = serde_json::from_value(serde_json::json!({
            "operation": "01J", "cell": "c3", "from": "south", "to": "east", "epoch": 3,
            "took_ms": 5200, "opened": false,
            "gives_up": {
                "further": null, "bytes": 0, "later_timeline": false, "unheard": ["north", "south"],
                "acknowledged_writes": true,
            },
        }))
        .unwrap();
        assert_eq!(promoted.to_string(), "promoted c3@east under epoch 3");
        let told = "given up is what only north and south had; an acknowledged strong write may be among it";
        assert_eq!(promoted.gives_up.unwrap().to_string(), told);
    }
}
