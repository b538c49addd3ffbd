//! Query parameters and pages, the same on every list.

use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::request::Parts;
use runtime::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Rows of a page when the client does not say.
pub const LIMIT: i64 = 50;
/// The most rows of a page.
pub const LIMIT_MAX: i64 = 200;

/// A request's query parameters; types deny unknown ones.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match AxumQuery::from_request_parts(parts, state).await {
            Ok(AxumQuery(query)) => Ok(Self(query)),
            Err(rejection) => {
                Err(Problem::new(400, "validation-error", "The request is not valid")
                    .detail(rejection.body_text()))
            }
        }
    }
}

/// Returns how many rows a page has.
pub fn limit(asked: Option<i64>) -> Result<i64, Problem> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        limit => Err(Problem::new(400, "validation-error", "The request is not valid")
            .detail(format!("limit is {limit}, not 1 to {LIMIT_MAX}"))),
    }
}

/// A list's answer.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    data: Vec<T>,
    page: Place,
}

#[derive(Debug, Serialize)]
struct Place {
    next_cursor: Option<String>,
    has_more: bool,
}

impl<T> Page<T> {
    /// Makes a page of the rows found with a limit one above the asked one: the one too many tells
    /// that there are more.
    pub fn of(mut rows: Vec<T>, limit: i64, cursor: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(0);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| has_more).map(cursor);
        Self { data: rows, page: Place { next_cursor, has_more } }
    }
}
