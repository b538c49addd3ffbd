//! `POST /_bulkhead/cache/purge` on the admin port: forget a path, or all that begin so.

use axum::Router;
use axum::extract::State;
use axum::response::Json;
use axum::routing::post;
use runtime::Problem;
use runtime::json_body::{JsonBody, invalid};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::Cache;

/// What to forget: exactly one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// With whatever query.
    path: Option<String>,
    prefix: Option<String>,
}

#[derive(Serialize)]
struct Purged {
    purged: usize,
}

pub(crate) fn routes(cache: Cache) -> Router {
    Router::new().route("/_bulkhead/cache/purge", post(purge)).with_state(cache)
}

async fn purge(
    State(cache): State<Cache>,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Json<Purged>, Problem> {
    let purged = match (&asked.path, &asked.prefix) {
        (Some(path), None) => cache.store.purge_paths(|kept| is_path(kept, path)),
        (None, Some(prefix)) => cache.store.purge_paths(|kept| kept.starts_with(prefix.as_bytes())),
        (Some(_), Some(_)) | (None, None) => {
            return Err(invalid("", "give either path or prefix; the prefix / is everything"));
        }
    };
    info!(path = asked.path, prefix = asked.prefix, purged, "cache purged");
    Ok(Json(Purged { purged }))
}

fn is_path(kept: &[u8], path: &str) -> bool {
    let path_of_kept = kept.split(|byte| *byte == b'?').next().unwrap_or(kept);
    kept == path.as_bytes() || path_of_kept == path.as_bytes()
}
