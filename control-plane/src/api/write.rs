//! What every write may say besides its body: that nothing shall be done, what it rests on, and that it
//! is the same as one before.

use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use runtime::Problem;
use runtime::json_body::invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use topology::wire::header::IDEMPOTENCY_KEY;

use super::call::Call;
use crate::levers::preview::Preview;

/// Longest key kept with an entry of the audit log; a UUID has 36 characters.
const KEY_MAX: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Write {
    /// Only say what would be done.
    pub(super) dry_run: bool,
    /// The tag of what the write rests on: another is refused.
    pub(super) expected: Option<String>,
    /// The same key is the same write, and the same answer.
    pub(super) idempotency_key: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Flags {
    /// Only say what would be done: the diff, whom it concerns, how long, and what stands in the way.
    #[serde(default)]
    dry_run: bool,
}

/// What a write answers: what was done, or with `dry_run` what would be. Only its schema is used, and to show
/// what it is of.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "whoever answers answers the one or the other")]
pub(super) enum DoneOrAhead<T> {
    Done(T),
    Ahead(Box<Preview>),
}

impl Call {
    /// Takes the headers that every write may carry.
    pub(super) fn write(self) -> Self {
        let header = |name: &str, about: &str| {
            json!({ "name": name, "in": "header", "required": false, "description": about,
                "schema": { "type": "string" } })
        };
        self.parameter(header("If-Match", "The tag of what was looked at: another is refused."))
            .parameter(header(
                "Idempotency-Key",
                "Asked again with the same key it is the same write, and the same answer.",
            ))
    }
}

impl<S: Sync> FromRequestParts<S> for Write {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let flags: Result<Query<Flags>, QueryRejection> = Query::try_from_uri(&parts.uri);
        let Query(Flags { dry_run }) = flags.map_err(|err| invalid("", &err.body_text()))?;
        let expected = text(&parts.headers, header::IF_MATCH.as_str())?.filter(|tag| tag != "*");
        let idempotency_key = text(&parts.headers, IDEMPOTENCY_KEY)?;
        let fits = |key: &String| (1..=KEY_MAX).contains(&key.len());
        if !idempotency_key.as_ref().is_none_or(fits) {
            let why = format!("Idempotency-Key has 1 to {KEY_MAX} characters");
            return Err(invalid("", &why));
        }
        Ok(Self { dry_run, expected, idempotency_key })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let text = value.to_str().map_err(|err| invalid("", &format!("{name}: {err}")))?;
    Ok(Some(text.trim().to_owned()))
}
