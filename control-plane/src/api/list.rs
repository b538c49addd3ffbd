//! How lists are answered: whole, or page by page where they grow.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use runtime::Problem;
use runtime::json_body::invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Entries returned unless more or fewer are asked for.
const LIMIT: u16 = 100;
/// A page of the longest entries is some megabytes.
const LIMIT_MAX: u16 = 1000;
/// Longer than any cursor that was given out.
const CURSOR_MAX: usize = 100;

/// All there are.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
}

/// Some of them, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    /// The `cursor` of the next page; `null` where there is none.
    pub(super) next: Option<String>,
}

/// Which page is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// How many entries; 100 unless it is said.
    #[schemars(range(min = 1, max = 1000))]
    limit: Option<u16>,
    /// The `next` of the page before; the newest entries without it.
    #[schemars(length(min = 1, max = 100))]
    cursor: Option<String>,
}

pub(super) struct Asked {
    pub(super) limit: u16,
    pub(super) cursor: Option<String>,
}

impl PageQuery {
    /// Returns what is asked for, if it can be.
    pub(super) fn asked(query: Result<Query<Self>, QueryRejection>) -> Result<Asked, Problem> {
        let Query(Self { limit, cursor }) = query.map_err(|err| invalid("", &err.body_text()))?;
        let limit = limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(invalid("", &format!("limit is 1 to {LIMIT_MAX}")));
        }
        if cursor.as_ref().is_some_and(|cursor| !(1..=CURSOR_MAX).contains(&cursor.len())) {
            return Err(invalid("", "the cursor is none that was given out"));
        }
        Ok(Asked { limit, cursor })
    }
}
