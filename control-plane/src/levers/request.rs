//! Who asks for an operation, and what goes with it whatever it is about.

use runtime::clock;

use crate::api::Api;
use crate::decide::operation::Asked;

/// Longest reason, in characters: a sentence or three, for whoever reads the audit log.
pub(crate) const REASON_MAX: usize = 500;

/// Who asks, and why.
#[derive(Clone, Debug)]
pub struct Request {
    pub who: String,
    pub reason: Option<String>,
    /// Names of safety rules that shall not stand in the way.
    pub override_rules: Vec<String>,
    pub idempotency_key: Option<String>,
}

impl Request {
    /// Returns it as it is written down: asked now, and here.
    pub(super) fn asked(&self, api: &Api) -> Asked {
        Asked {
            who: self.who.clone(),
            vantage: api.vantage.clone(),
            at_unix_ms: clock::unix_millis(),
            reason: self.reason.clone(),
            override_rules: self.override_rules.clone(),
            idempotency_key: self.idempotency_key.clone(),
        }
    }
}
