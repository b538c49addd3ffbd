//! What is around every page: who, where, and whether it is live.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use runtime::{Problem, clock};
use tracing::error;

use super::language::Language;
use super::page::{Page, Reader};
use super::texts::{Texts, fill};
use super::{Console, files};

#[derive(Template)]
#[template(path = "console/frame.html")]
pub(super) struct Frame<'a> {
    t: &'a Texts,
    language: Language,
    title: String,
    version: &'static str,
    now_unix_ms: u64,
    seen_from: String,
    body: String,
    /// Missing on pages for people who are not signed in.
    inside: Option<Inside>,
}

/// What only somebody who is signed in sees.
struct Inside {
    /// The path whose changes are streamed; nothing where the page stays as it is.
    live: Option<String>,
    /// The page to come back to.
    path: String,
    signed_in_as: String,
    form_token: String,
    links: Vec<Link>,
}

struct Link {
    path: &'static str,
    text: &'static str,
    /// As for `aria-current`.
    current: Option<&'static str>,
}

impl Frame<'_> {
    /// Makes the frame of a page for somebody who is not signed in.
    #[must_use]
    pub(super) fn outside(console: &Console, language: Language, title: &str) -> Self {
        let t = language.texts();
        let region = console.spec.region(&console.vantage);
        let region =
            region.map_or_else(|| console.vantage.to_string(), |region| region.name.clone());
        Self {
            t,
            language,
            title: title.to_owned(),
            version: files::version(),
            now_unix_ms: clock::unix_millis(),
            seen_from: fill(t.seen_from, &[("region", &region)]),
            body: String::new(),
            inside: None,
        }
    }

    /// Makes the frame of a page that changes while it is looked at.
    #[must_use]
    pub(super) fn live(console: &Console, reader: &Reader, page: &Page) -> Self {
        let title = page.title(reader.t(), &console.spec);
        Self::inside(console, reader, &title, Some(page), page.path(), true)
    }

    /// Makes the frame of a page that belongs to another one and stays as it is.
    #[must_use]
    pub(super) fn still(console: &Console, reader: &Reader, title: &str, page: &Page) -> Self {
        Self::inside(console, reader, title, Some(page), page.path(), false)
    }

    fn inside(
        console: &Console,
        reader: &Reader,
        title: &str,
        page: Option<&Page>,
        path: String,
        live: bool,
    ) -> Self {
        let t = reader.t();
        let who = format!("{} ({})", reader.caller.name, reader.caller.role);
        let links = Page::MENU.iter().map(|(listed, text)| {
            let current = match page {
                Some(page) if page == listed => Some("page"),
                Some(page) if page.parent() == Some(listed) => Some("true"),
                Some(_) | None => None,
            };
            Link { path: listed.menu_path(), text: text(t), current }
        });
        let inside = Inside {
            live: live.then(|| path.clone()),
            path,
            signed_in_as: fill(t.signed_in_as, &[("who", &who)]),
            form_token: console.key.form_token(&reader.session),
            links: links.collect(),
        };
        Self { inside: Some(inside), ..Self::outside(console, reader.language, title) }
    }

    /// Answers with the page around this body.
    pub(super) fn answer(mut self, status: StatusCode, body: askama::Result<String>) -> Response {
        let whole = body.and_then(|body| {
            self.body = body;
            self.render()
        });
        match whole {
            Ok(page) => (status, Html(page)).into_response(),
            Err(err) => {
                error!(error = %err, "page not rendered");
                Problem::new(500, "internal", "The page could not be made").into_response()
            }
        }
    }
}
