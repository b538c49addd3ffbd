//! A request's body as JSON of a known shape; anything else is a problem that says where.
//!
//! Types mark themselves `#[serde(deny_unknown_fields)]`, so that a misspelt field is told instead
//! of ignored.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::Problem;

/// Longest body read; the longest message with its metadata is a quarter of it.
pub const BODY_MAX: usize = 64 * 1024;

/// An axum extractor that reads a body of at most [`BODY_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        parse(&whole(request.into_body()).await?).map(Self)
    }
}

/// Reads JSON of a known shape, or says where it is something else.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut text = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut text)
        .map_err(|err| invalid(&pointer(err.path()), &err.inner().to_string()))?;
    text.end().map_err(|err| invalid("", &err.to_string()))?;
    Ok(value)
}

/// Returns the problem of a value that has the right type and is wrong nevertheless. `pointer` is
/// RFC 6901, into the request's body; empty for the whole of it.
#[must_use]
pub fn invalid(pointer: &str, detail: &str) -> Problem {
    Problem::new(400, "validation-error", "The request is not valid").error(pointer, detail)
}

async fn whole(body: Body) -> Result<Vec<u8>, Problem> {
    match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(err) if err.is::<LengthLimitError>() => {
            Err(Problem::new(413, "payload-too-large", "The request's body is too large")
                .detail(format!("at most {BODY_MAX} bytes are read")))
        }
        Err(err) => Err(invalid("", &format!("the body ended early: {err}"))),
    }
}

/// Writes a path as RFC 6901 does.
fn pointer(path: &Path) -> String {
    path.iter()
        .map(|segment| match segment {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            // A variant's name is no step into the body where enums are tagged by a field, as all
            // of ours are; what cannot be told is left out, and the pointer ends above it.
            Segment::Enum { .. } | Segment::Unknown => String::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        lines: Vec<Line>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        quantity: u8,
    }

    #[test]
    fn a_body_of_the_right_shape_is_read() {
        let order: Order = parse(br#"{"lines": [{"quantity": 2}]}"#).unwrap();
        assert_eq!(order, Order { lines: vec![Line { quantity: 2 }] });
    }

    #[test]
    fn a_wrong_type_is_pointed_at() {
        refused(
            r#"{"lines": [{"quantity": 2}, {"quantity": "2"}]}"#,
            "/lines/1/quantity",
            "invalid type",
        );
    }

    #[test]
    fn an_unknown_field_is_pointed_at_with_its_name_escaped() {
        refused(r#"{"lines": [{"a/b~": 2}]}"#, "/lines/0/a~1b~0", "unknown field `a/b~`");
    }

    #[test]
    fn broken_json_says_where_it_breaks() {
        refused(r#"{"lines": [], "#, "", "line 1 column");
        refused(r#"{"lines": []} x"#, "", "trailing characters at line 1 column 15");
        refused("", "", "EOF while parsing");
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_not_read() {
        let request = Request::new(Body::from(vec![b' '; BODY_MAX + 1]));
        let problem = JsonBody::<Order>::from_request(request, &()).await.unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (413, "payload-too-large"));
    }

    #[track_caller]
    fn refused(body: &str, pointer: &str, detail: &str) {
        let problem = parse::<Order>(body.as_bytes()).unwrap_err();
        assert_eq!((problem.status, problem.code.as_str()), (400, "validation-error"));
        assert_eq!(problem.errors.len(), 1);
        assert_eq!(problem.errors[0].pointer, pointer);
        assert!(problem.errors[0].detail.contains(detail), "{}", problem.errors[0].detail);
    }
}
