//! The stylesheet and the script: two files, named by what is in them, so that browsers may keep them.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("../../static/console.css");
const SCRIPT: &str = include_str!("../../static/console.js");
const ICON: &str = include_str!("../../static/icon.svg");

/// Changes with any of the files.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest =
        Sha256::new().chain_update(STYLE).chain_update(SCRIPT).chain_update(ICON).finalize();
    digest[..6].iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
});

/// What pages put behind the files' names.
pub(super) fn version() -> &'static str {
    &VERSION
}

pub(super) async fn file(Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "console.css" => ("text/css; charset=utf-8", STYLE),
        "console.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    // The name has the version in it wherever a page mentions it.
    let kept = "public, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], text).into_response()
}

#[cfg(test)]
mod contrast;
