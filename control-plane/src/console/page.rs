//! The pages that are live: which there are, and what is in each.

use askama::Template;
use axum::extract::{Extension, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use runtime::Problem;
use tokio::time::Instant;
use topology::{CellId, RegionId, Spec};

use super::frame::Frame;
use super::language::Language;
use super::session::Session;
use super::texts::Texts;
use super::{Console, audit, cell, drills, operations, overview, region, vantages};
use crate::callers::{Caller, Role};
use crate::decide::State as Known;

/// Somebody who is signed in, and reads in a language.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) caller: Caller,
    pub(super) session: Session,
    pub(super) language: Language,
}

impl Reader {
    #[must_use]
    pub(super) fn t(&self) -> &'static Texts {
        self.language.texts()
    }

    /// Whether levers are shown. Whether they work is decided by the API.
    #[must_use]
    pub(super) fn may_operate(&self) -> bool {
        self.caller.role >= Role::Operator
    }

    /// Whether the levers of the freeze are shown.
    #[must_use]
    pub(super) fn may_freeze(&self) -> bool {
        self.caller.role >= Role::Admin
    }

    /// Whether data loss may be accepted.
    #[must_use]
    pub(super) fn may_lose_data(&self) -> bool {
        self.caller.role >= Role::Admin
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    Overview,
    Cell(CellId),
    Region(RegionId),
    Operations,
    Vantages,
    Audit,
    Drills,
}

type Title = fn(&Texts) -> &'static str;

impl Page {
    /// What the navigation has.
    pub(super) const MENU: [(Self, Title); 5] = [
        (Self::Overview, |t| t.overview),
        (Self::Operations, |t| t.operations),
        (Self::Vantages, |t| t.vantages),
        (Self::Audit, |t| t.audit),
        (Self::Drills, |t| t.drills),
    ];

    #[must_use]
    pub(super) fn from_path(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/console")?.split('/').skip(1).collect();
        match parts[..] {
            [] => Some(Self::Overview),
            ["cells", id] => Some(Self::Cell(id.parse().ok()?)),
            ["regions", id] => Some(Self::Region(id.parse().ok()?)),
            ["operations"] => Some(Self::Operations),
            ["vantages"] => Some(Self::Vantages),
            ["audit"] => Some(Self::Audit),
            ["drills"] => Some(Self::Drills),
            _ => None,
        }
    }

    #[must_use]
    pub(super) fn path(&self) -> String {
        match self {
            Self::Cell(id) => format!("/console/cells/{id}"),
            Self::Region(id) => format!("/console/regions/{id}"),
            Self::Overview | Self::Operations | Self::Vantages | Self::Audit | Self::Drills => {
                self.menu_path().to_owned()
            }
        }
    }

    /// Returns the path of the page in the navigation that this one is found by.
    #[must_use]
    pub(super) fn menu_path(&self) -> &'static str {
        match self {
            Self::Overview | Self::Cell(_) | Self::Region(_) => "/console",
            Self::Operations => "/console/operations",
            Self::Vantages => "/console/vantages",
            Self::Audit => "/console/audit",
            Self::Drills => "/console/drills",
        }
    }

    /// Returns the page that this one is a part of.
    #[must_use]
    pub(super) fn parent(&self) -> Option<&'static Self> {
        match self {
            Self::Cell(_) | Self::Region(_) => Some(&Self::Overview),
            Self::Overview | Self::Operations | Self::Vantages | Self::Audit | Self::Drills => None,
        }
    }

    #[must_use]
    pub(super) fn title(&self, t: &Texts, spec: &Spec) -> String {
        match self {
            Self::Overview => t.overview.to_owned(),
            Self::Operations => t.operations.to_owned(),
            Self::Vantages => t.vantages.to_owned(),
            Self::Audit => t.audit.to_owned(),
            Self::Drills => t.drills.to_owned(),
            Self::Cell(id) => format!("{} {id}", t.cell),
            Self::Region(id) => {
                let name = spec.region(id).map_or(id.as_str(), |region| region.name.as_str());
                format!("{} {name}", t.region)
            }
        }
    }

    /// Returns what is in the page now.
    pub(super) async fn body(&self, console: &Console, reader: &Reader) -> Result<String, Problem> {
        let known = std::sync::Arc::clone(&console.state.borrow());
        let scene = Scene {
            t: reader.t(),
            console,
            known: &known,
            now: Instant::now(),
            may_operate: reader.may_operate(),
        };
        if known.read_at().is_none() {
            return made(NothingKnown { t: scene.t }.render());
        }
        match self {
            Self::Overview => made(overview::Overview::of(&scene).render()),
            Self::Cell(id) => made(cell::CellPage::of(&scene, id).ok_or_else(not_found)?.render()),
            Self::Region(id) => {
                made(region::RegionPage::of(&scene, id).ok_or_else(not_found)?.render())
            }
            Self::Operations => {
                made(operations::OperationsPage::read(&scene, reader).await?.render())
            }
            Self::Vantages => made(vantages::VantagesPage::read(&scene, reader).await?.render()),
            Self::Audit => made(audit::AuditPage::read(&scene).await?.render()),
            Self::Drills => made(drills::DrillsPage::of(&scene).render()),
        }
    }
}

/// What pages are made from.
pub(super) struct Scene<'a> {
    pub(super) t: &'static Texts,
    pub(super) console: &'a Console,
    pub(super) known: &'a Known,
    pub(super) now: Instant,
    pub(super) may_operate: bool,
}

impl Scene<'_> {
    /// Returns a region's name for people.
    #[must_use]
    pub(super) fn region_name(&self, id: &str) -> String {
        let regions = &self.console.spec.regions;
        let region = regions.iter().find(|region| region.id.as_str() == id);
        region.map_or_else(|| id.to_owned(), |region| region.name.clone())
    }
}

#[derive(Template)]
#[template(path = "console/nothing_known.html")]
struct NothingKnown<'a> {
    t: &'a Texts,
}

#[derive(Template)]
#[template(path = "console/problem.html")]
pub(super) struct ProblemPage<'a> {
    pub(super) t: &'a Texts,
    pub(super) title: &'a str,
    pub(super) detail: String,
}

/// Shows a page.
pub(super) async fn show(
    State(console): State<Console>,
    Extension(reader): Extension<Reader>,
    uri: Uri,
) -> Response {
    let Some(page) = Page::from_path(uri.path()) else { return missing(&console, &reader) };
    match page.body(&console, &reader).await {
        Ok(body) => Frame::live(&console, &reader, &page).answer(StatusCode::OK, Ok(body)),
        Err(problem) => failed(&console, &reader, &page, &problem),
    }
}

/// Answers that there is no such page.
pub(super) fn missing(console: &Console, reader: &Reader) -> Response {
    failed(console, reader, &Page::Overview, &not_found())
}

/// Answers with a page that says what is wrong.
pub(super) fn failed(
    console: &Console,
    reader: &Reader,
    page: &Page,
    problem: &Problem,
) -> Response {
    let t = reader.t();
    let title = match problem.status {
        404 => t.not_found,
        400..500 => t.refused,
        _ => t.problem,
    };
    let detail = if problem.status == 404 { String::new() } else { told(problem) };
    let body = ProblemPage { t, title, detail }.render();
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Frame::still(console, reader, title, page).answer(status, body)
}

/// Returns what a problem says, in one line.
pub(super) fn told(problem: &Problem) -> String {
    match &problem.detail {
        Some(detail) => format!("{}: {detail}", problem.title),
        None => problem.title.clone(),
    }
}

/// A form of another session, or none of ours.
pub(super) fn form_expired(reader: &Reader) -> Problem {
    Problem::new(403, "form-expired", reader.t().form_expired)
}

fn not_found() -> Problem {
    Problem::new(404, "no-such-page", "There is no such page")
}

fn made(body: askama::Result<String>) -> Result<String, Problem> {
    body.map_err(|err| {
        Problem::new(500, "internal", "The page could not be made").detail(err.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_by_its_path() {
        for path in [
            "/console",
            "/console/cells/c1",
            "/console/regions/east",
            "/console/operations",
            "/console/vantages",
            "/console/audit",
            "/console/drills",
        ] {
            assert_eq!(Page::from_path(path).unwrap().path(), path);
        }
        for other in
            ["", "/", "/console/", "/console/cells", "/console/cells/C 1", "/console/audit/x"]
        {
            assert_eq!(Page::from_path(other), None, "{other:?}");
        }
    }
}
