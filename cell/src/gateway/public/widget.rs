//! The chat widget: a page, and a script and a style under names that change with their content.
//!
//! The page is asked for again every minute, what it names for ever kept: an update shows within the
//! minute, and nobody gets a new page with an old script.

use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::file::File;
use crate::gateway::refusal;

const PAGE: &str = include_str!("../../../widget/index.html");
const SCRIPT: &[u8] = include_bytes!("../../../widget/widget.js");
const STYLE: &[u8] = include_bytes!("../../../widget/widget.css");

/// Its name changes when it does.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// While a new page is fetched, or no site is there, the last one will do.
const PAGE_CACHE: &str = "public, max-age=60, stale-while-revalidate=600, stale-if-error=86400";
/// The page runs its own script and style, and talks to where it came from.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'";

static WIDGET: LazyLock<Widget> = LazyLock::new(Widget::new);

struct Widget {
    page: File,
    script: (String, File),
    style: (String, File),
}

impl Widget {
    fn new() -> Self {
        let named = |stem: &str, extension: &str, content_type, content: &'static [u8]| {
            let file = File::new(content_type, FOR_EVER, Bytes::from_static(content));
            (format!("{stem}.{}.{extension}", file.name()), file)
        };
        let script = named("widget", "js", "text/javascript; charset=utf-8", SCRIPT);
        let style = named("widget", "css", "text/css; charset=utf-8", STYLE);
        let page = PAGE.replace("{{widget.js}}", &script.0).replace("{{widget.css}}", &style.0);
        let page = File::new("text/html; charset=utf-8", PAGE_CACHE, page.into());
        Self { page, script, style }
    }
}

pub(super) fn routes() -> Router {
    Router::new().route("/widget/", get(page)).route("/widget/{file}", get(file))
}

async fn page(asked: HeaderMap) -> Response {
    let policy = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (policy, WIDGET.page.answer(&asked)).into_response()
}

async fn file(Path(name): Path<String>, asked: HeaderMap) -> Response {
    let Widget { script, style, .. } = &*WIDGET;
    let found = [script, style].into_iter().find(|(listed, _)| *listed == name);
    match found {
        Some((_, file)) => file.answer(&asked),
        None => refusal::not_found().into_response(),
    }
}
